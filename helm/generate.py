#!/usr/bin/env python3
"""Writes helm/tidegate/README.md and values.schema.json; `--check` says whether they are as it would write them.

The README's table is the lines of values.yaml that begin with "# --". The schema's shapes are below; names and values of
settings come from docs/reference/options.md, which the program writes, so that a setting that does not exist is refused by
`helm install` already. Policies of routes are left to the program: the pod's init container has it check the whole file.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE / "tidegate"
OPTIONS = HERE.parent / "docs/reference/options.md"

STRING = {"type": "string"}
BOOL = {"type": "boolean"}
WORD = {"type": "string", "minLength": 1}
NAME = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"}
# Of a further listener; the first three are taken.
PORT_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 15, "not": {"enum": ["tcp", "redis", "admin"]}}
SECRET_NAME = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
ANY_MAP = {"type": "object"}
ANY_LIST = {"type": "array"}
TEXTS = {"type": "object", "additionalProperties": STRING}
MEMORY = {"type": ["string", "integer"], "pattern": "^[0-9]+([kKmMgG][bB]?)?$"}
QUANTITY = {"type": ["string", "integer"], "pattern": "^[0-9]+(\\.[0-9]+)?([kMGTPE]i?)?$"}
SCALAR = {"type": ["string", "number", "boolean"]}


def integer(least, most=None):
    return {"type": "integer", "minimum": least, **({} if most is None else {"maximum": most})}


def one_of(*values):
    return {"enum": list(values)}


def shape(required=(), **properties):
    """An object with these keys and no others."""
    return {"type": "object", "additionalProperties": False, **({"required": list(required)} if required else {}), "properties": properties}


def items(schema):
    return {"type": "array", "items": schema}


def rows(text):
    """The tables of a page, each row as a dict."""
    names = None
    for line in text.splitlines():
        if not line.startswith("|"):
            names = None
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if names is None:
            names = cells
        elif not set(line) <= set("|- :"):
            yield dict(zip(names, cells))


def setting(values):
    """A schema for what the reference says that a setting may be. YAML has numbers and true where redis.conf has text."""
    if values == "yes, no":
        return {"enum": ["yes", "no", True, False]}
    if found := re.match(r"integer(?:, (-?\d+) (?:or more|to (-?\d+)))?$", values):
        low, high = found.groups()
        return {"type": "integer", **({} if low is None else {"minimum": int(low)}), **({} if high is None else {"maximum": int(high)})}
    if values.startswith("bytes"):
        return MEMORY
    if values == "words":
        return {"type": ["string", "number", "array"]}
    if values in ("text", "see text") or values.startswith("octal"):
        return SCALAR
    return {"enum": values.split(", ")}


def settings(place):
    """The settings of one place of the file, without those whose other values are errors."""
    found = {}
    for row in rows(OPTIONS.read_text()):
        if row.get("YAML") != place or "Any other value is an error" in row["what"]:
            continue
        for name in re.findall(r"`([^`]+)`", row["name"]):
            found[name] = setting(row["values"])
    return {"type": "object", "additionalProperties": False, "properties": dict(sorted(found.items()))}


def clusters():
    keys = {"name": WORD, "kind": one_of("redis", "replicas", "sentinel", "redis_cluster", "ring")}
    for row in rows(OPTIONS.read_text()):
        if "kinds" in row:
            values = row["values"]
            keys[row["key"].strip("`")] = (
                ANY_LIST | {"minItems": 1} if values.startswith("list") else
                {"type": ["boolean", "object"]} if values.startswith("true, false") else
                {"type": "integer"} if values.startswith("number") else
                {"type": ["string", "integer"]} if re.match(r"time|text|two", values) else
                {"enum": [int(v) if v.isdigit() else v for v in values.split(", ")]})
    return items({"type": "object", "additionalProperties": False, "required": ["name", "kind", "nodes"], "properties": keys})


def routes():
    keys = {"match": WORD, "cluster": WORD, "mirror": ANY_MAP, "policies": ANY_MAP, "priority": one_of("low", "normal", "high"),
            "strip-prefix": STRING, "add-prefix": STRING, "move-from": WORD}
    return items({"type": "object", "additionalProperties": False, "required": ["match", "cluster"], "properties": keys})


def workload():
    return {
        "mode": one_of("engine", "proxy"), "fullnameOverride": NAME, "nameOverride": NAME,
        "image": shape(repository=WORD, tag=STRING, digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
                       pullPolicy=one_of("Always", "IfNotPresent", "Never")),
        "imagePullSecrets": items(shape(["name"], name=WORD)), "replicaCount": integer(0),
        "workers": {"anyOf": [{"const": "auto"}, integer(1, 64)]}, "profile": one_of("observe", "standard", "strict"),
        "settings": settings("top"),
        "engine": shape(maxmemory=MEMORY, settings=settings("engine"), updatePartition=integer(0), minReadySeconds=integer(0),
                        maxmemoryPolicy=settings("engine")["properties"]["maxmemory-policy"],
                        persistence=shape(enabled=BOOL, fsync=one_of("always", "everysec", "no"), tiered=BOOL, size=QUANTITY, storageClass=STRING,
                                          accessModes={"type": "array", "minItems": 1, "items": one_of("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany")},
                                          annotations=TEXTS,
                                          retention=shape(whenDeleted=one_of("Retain", "Delete"), whenScaled=one_of("Retain", "Delete")))),
        "resources": ANY_MAP, "podSecurityContext": ANY_MAP, "securityContext": ANY_MAP, "antiAffinity": one_of("soft", "hard", "none"),
        "affinity": ANY_MAP, "topologySpread": shape(enabled=BOOL, whenUnsatisfiable=one_of("ScheduleAnyway", "DoNotSchedule")),
        "nodeSelector": TEXTS, "tolerations": ANY_LIST, "priorityClassName": STRING,
        "startupProbe": shape(timeoutSeconds=integer(10)), "livenessProbe": ANY_MAP, "readinessProbe": ANY_MAP,
        "drain": shape(delaySeconds=integer(0, 600), timeoutSeconds=integer(0), graceSeconds=integer(5)),
    }


def traffic():
    listener = shape(["name", "port"], name=PORT_NAME, port=PORT, cluster=WORD)
    secret_key = shape(["name", "key"], name=WORD, key=WORD)
    return {
        "clusters": clusters(), "routes": routes(), "commands": items(ANY_MAP), "extraListeners": items(listener), "proxyProtocol": BOOL,
        "auth": shape(existingSecret=SECRET_NAME, key=WORD, password=STRING),
        "secretValues": {"type": "object", "additionalProperties": False, "patternProperties": {"^[A-Z_][A-Z0-9_]*$": secret_key}},
        "tlsSecrets": {"type": "object", "additionalProperties": False, "patternProperties": {"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": WORD}},
        "admin": shape(port=PORT, tokenSecret=SECRET_NAME, tokenKey=WORD),
        "service": shape(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), port=PORT, annotations=TEXTS, trafficDistribution=STRING,
                         externalTrafficPolicy=one_of("Cluster", "Local"), loadBalancerSourceRanges=items(WORD)),
        "autoscaling": shape(enabled=BOOL, minReplicas=integer(1), maxReplicas=integer(1), behavior=ANY_MAP,
                             targetCPUUtilizationPercentage=integer(1, 1000)),
        "podDisruptionBudget": shape(enabled=BOOL, maxUnavailable={"type": ["integer", "string"]}),
        "networkPolicy": shape(enabled=BOOL, clients=items(ANY_MAP), monitoring=items(ANY_MAP), upstreamPorts=items(PORT), extraEgress=items(ANY_MAP)),
        "serviceAccount": shape(create=BOOL, name=SECRET_NAME, annotations=TEXTS),
        "monitoring": shape(enabled=BOOL, kind=one_of("PodMonitor", "ServiceMonitor"), labels=TEXTS,
                            interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
                            rules=shape(enabled=BOOL, labels=TEXTS), dashboards=shape(enabled=BOOL, labels=TEXTS)),
    }


def extras():
    lists = ("extraEnv", "extraVolumes", "extraVolumeMounts", "extraContainers", "extraInitContainers", "extraObjects")
    return {"extraArgs": items({"type": ["string", "number"]}), **{name: items(ANY_MAP) for name in lists},
            **{name: TEXTS for name in ("commonLabels", "podLabels", "podAnnotations")}, "global": ANY_MAP}


def schema():
    properties = {**workload(), **traffic(), **extras()}
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart tidegate", **shape(**properties)}
    return json.dumps(whole, indent=1) + "\n"


def documented():
    """(path, default, text) of each value of values.yaml with a line "# --" above it."""
    path, text = [], None
    for line in (CHART / "values.yaml").read_text().splitlines():
        if found := re.match(r" *# -- (.*)", line):
            text = found.group(1)
        elif found := re.match(r"( *)([A-Za-z]+):(?: (.*))?$", line):
            indent, key, default = found.groups()
            path = path[:len(indent) // 2] + [key]
            if text is None and default is not None:
                sys.exit(f"values.yaml: {'.'.join(path)} says nothing about itself")
            if text is not None:
                yield ".".join(path), default, text
            text = None


README = """# Chart `tidegate`

Written by `helm/generate.py` from values.yaml; do not edit by hand. How to use it: [Kubernetes](../../docs/kubernetes.md).

```
helm install cache helm/tidegate                                                 # the engine, one pod with a volume
helm install front helm/tidegate -f helm/tidegate/ci/redis-cluster-values.yaml   # in front of a Redis Cluster
helm test cache
```

Ready values, to copy and change, are in [ci/](ci): in front of a Redis Cluster, of Valkey with autoscaling, of Sentinel, of a ring of engines;
the engine with its data on disk, and as a cache.

## Values

| value | default | what |
|---|---|---|
"""


def readme():
    return README + "".join(f"| `{name}` | `{default}` | {text.replace('|', chr(92) + '|')} |\n" for name, default, text in documented())


def main():
    stale = []
    for path, text in ((CHART / "README.md", readme()), (CHART / "values.schema.json", schema())):
        if not path.exists() or path.read_text() != text:
            stale.append(path.relative_to(HERE.parent))
            if "--check" not in sys.argv[1:]:
                path.write_text(text)
    if "--check" in sys.argv[1:] and stale:
        sys.exit(f"not as helm/generate.py writes it: {', '.join(map(str, stale))}")


if __name__ == "__main__":
    main()
