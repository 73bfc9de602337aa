#!/usr/bin/env python3
"""Tests of the chart: what is generated is current, wrong values are refused, and each set of ready values (helm/tidegate/ci)
renders as in golden/, valid for Kubernetes, with a configuration that the program itself finds right.

  run.py [--binary build/dev/tidegate] [--write]     --write writes the golden files again

With no helm to be had (helm_tool.py) what needs one is skipped, and said to be. The last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

import helm_tool

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.servers import free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "helm/tidegate"
GOLDEN = HERE / "golden"
STEP_SECONDS_MAX = 300

# What must be refused, and a word of the reason.
WRONG_VALUES = (
    ({"mode": "cluster"}, "mode"),
    ({"no-such-value": 1}, "no-such-value"),
    ({"workers": 65}, "workers"),
    ({"workers": "many"}, "workers"),
    ({"settings": {"maxclient": 1}}, "maxclient"),
    ({"settings": {"maxclients": "many"}}, "maxclients"),
    ({"settings": {"aclfile": "users.acl"}}, "aclfile"),
    ({"settings": {"maxmemory": "1gb"}}, "maxmemory"),
    ({"engine": {"maxmemoryPolicy": "lru"}}, "maxmemoryPolicy"),
    ({"engine": {"maxmemory": "1 GiB"}}, "maxmemory"),
    ({"engine": {"persistence": {"fsync": "sometimes"}}}, "fsync"),
    ({"engine": {"persistence": {"size": "8 GB"}}}, "size"),
    ({"engine": {"persistence": {"enabled": False, "tiered": True}}}, "tiered"),
    ({"mode": "proxy"}, "clusters is empty"),
    ({"mode": "proxy", "clusters": [{"name": "a", "kind": "memcached", "nodes": ["a:1"]}]}, "kind"),
    ({"mode": "proxy", "clusters": [{"name": "a", "kind": "redis"}]}, "nodes"),
    ({"mode": "proxy", "clusters": [{"name": "a", "kind": "redis", "nodes": ["a:1"], "timeout": 1}]}, "timeout"),
    ({"routes": [{"match": "*"}]}, "cluster"),
    ({"service": {"port": 70000}}, "port"),
    ({"extraListeners": [{"name": "redis", "port": 6380}]}, "extraListeners"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"secretValues": {"lower": {"name": "a", "key": "b"}}}, "lower"),
    ({"monitoring": {"kind": "Scraper"}}, "kind"),
    ({"drain": {"delaySeconds": -1}}, "delaySeconds"),
)

# A value for each name that the ready values take from Secrets: what YAML, awk and a shell might trip over.
SECRET = """it's "a" \\1 & $(X) #: {x}"""


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, good, why=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}\n  " + str(why).strip()[-2000:].replace("\n", "\n  "))
        return good


def run(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=STEP_SECONDS_MAX, check=False, **options)


def template(helm, *arguments):
    return run(helm, "template", "r1", CHART, "--namespace", "ns1", *arguments)


def shortened(text):
    """Without dashboards and alerts: they have tests of their own, and change for other reasons."""
    documents = []
    for document in text.split("\n---\n"):
        if "-dashboard-" in document or "kind: PrometheusRule" in document:
            document = re.sub(r"\n(data|spec):\n.*", r"\n\1: (not here)\n", document, flags=re.DOTALL)
        documents.append("\n".join(line.rstrip() for line in document.split("\n")))
    return "\n---\n".join(documents)


def check_generated(report):
    made = run(sys.executable, ROOT / "helm/generate.py", "--check")
    report.check("README and schema are current", made.returncode == 0, made.stderr)


def check_wrong_values(report, helm, folder):
    paths = [folder / f"wrong-{number}.json" for number in range(len(WRONG_VALUES))]
    for path, (values, _) in zip(paths, WRONG_VALUES):
        path.write_text(json.dumps(values))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda path: template(helm, "-f", path), paths)
    for rendered, (values, word) in zip(results, WRONG_VALUES):
        name = f"refused: {json.dumps(values)}"
        report.check(name, rendered.returncode != 0 and word in rendered.stderr, rendered.stderr or "it was accepted")


def value_sets():
    return [("default", None)] + [(path.stem, path) for path in sorted((CHART / "ci").glob("*.yaml"))]


def check_golden(report, name, text, write):
    path = GOLDEN / f"{name}.yaml"
    if write:
        path.write_text(shortened(text))
    golden = path.read_text() if path.exists() else ""
    if not report.check(f"{name}: as in golden/", shortened(text) == golden, "tests/helm/run.py --write, and look at the difference"):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as fresh:
            fresh.write(shortened(text))
            fresh.flush()
            print(run("diff", "-u", path, fresh.name).stdout[:3000])


def config_map(objects):
    return next(o["data"] for o in objects if o["kind"] == "ConfigMap" and "configure.sh" in o["data"])


def secret_names(objects):
    workload = next(o for o in objects if o["kind"] in ("Deployment", "StatefulSet"))
    configure = workload["spec"]["template"]["spec"]["initContainers"][0]
    return [entry["name"] for entry in configure.get("env", [])]


def configure(objects, binary, folder, environment):
    """The init container's script, with the program and these secrets: (its result, what it wrote)."""
    data = config_map(objects)
    for name in ("configure.sh", "tidegate.yaml"):
        # Certificates and the admin's token are files of other Secrets.
        (folder / name).write_text(data[name].replace("/etc/tidegate/tls/", f"{folder}/").replace("/etc/tidegate/admin/", f"{folder}/"))
    (folder / "token").write_text("0123456789abcdef\n")
    written = folder / "written.yaml"
    result = run("sh", folder / "configure.sh", folder / "tidegate.yaml", written,
                 env={"PATH": f"{binary.parent}:{os.environ['PATH']}", **environment})
    return result, written.read_text() if written.exists() else ""


def check_configuration(report, name, objects, binary, folder):
    make_certificate(folder / "cache")
    names = secret_names(objects)
    result, written = configure(objects, binary, folder, dict.fromkeys(names, SECRET))
    report.check(f"{name}: the program takes its configuration", result.returncode == 0, result.stdout + result.stderr)
    report.check(f"{name}: each secret is in it", written.count(SECRET.replace("'", "''")) >= len(names), written)
    report.check(f"{name}: no secret is in the ConfigMap", SECRET not in str(config_map(objects)) and "it's" not in str(config_map(objects)))
    for missing in ("", "two\nlines"):
        if names:
            result, _ = configure(objects, binary, folder, {**dict.fromkeys(names, SECRET), names[0]: missing})
            report.check(f"{name}: the secret {missing!r} is refused", result.returncode != 0 and names[0] in result.stderr, result.stderr)


def make_certificate(folder):
    if not folder.exists():
        folder.mkdir()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test",
            "-keyout", folder / "tls.key", "-out", folder / "ca.crt")


def start_with_password(binary, folder, proxy_protocol):
    """Another process may take the port before the server does; then with another one."""
    for _ in range(3):
        port = free_port()
        server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--workers", "1", "--admin-address", "off", "--dir", folder,
                                   "--requirepass", SECRET, "--proxy-protocol", proxy_protocol], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if any("Ready to accept" in line for line in server.stdout):
            return server, port
        server.wait(timeout=STEP_SECONDS_MAX)
    sys.exit("the server does not start")


def check_ping(report, objects, binary, folder, proxy_protocol):
    """The script of `helm test`, against a server that wants a password."""
    script = next(o for o in objects if o["kind"] == "Pod")["spec"]["containers"][0]["args"][0]
    server, port = start_with_password(binary, folder, proxy_protocol)
    try:
        for password, expected in ((SECRET, "GET: ok"), ("wrong", "WRONGPASS"), ("", "NOAUTH")):
            result = run("bash", "-c", script, env={"PATH": os.environ["PATH"], "TARGET_HOST": "127.0.0.1", "TARGET_PORT": str(port), "TIDEGATE_PASSWORD": password,
                                                           "TARGET_PROXY_PROTOCOL": "" if proxy_protocol == "no" else "yes"})
            good = (result.returncode == 0) == (password == SECRET) and expected in result.stdout
            report.check(f"helm test with the password {password!r}, PROXY protocol {proxy_protocol}", good, result.stdout + result.stderr)
    finally:
        server.terminate()
        server.wait(timeout=STEP_SECONDS_MAX)


def check_schemas(report, sets, folder):
    node = HERE / "node"
    installed = run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", node) if not (node / "node_modules").exists() else None
    if installed is not None and installed.returncode != 0:
        print(f"SKIPPED: objects against Kubernetes' schemas: npm ci failed: {installed.stderr.strip()[-300:]}")
        return
    path = folder / "objects.json"
    path.write_text(json.dumps(sets))
    result = run("node", node / "validate.mjs", path)
    report.check("objects are valid for Kubernetes", result.returncode == 0, result.stdout + result.stderr)


def check_rules(report, objects, folder):
    rules = next(o for o in objects if o["kind"] == "PrometheusRule")
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": rules["spec"]["groups"]}))
    if shutil.which("promtool"):
        result = run("promtool", "check", "rules", path)
        report.check("Prometheus takes the rules", result.returncode == 0, result.stdout + result.stderr)


def check_sets(report, helm, binary, folder, write):
    sets = {}
    for name, values in value_sets():
        rendered = template(helm, *(["-f", values] if values else []))
        if not report.check(f"{name}: renders", rendered.returncode == 0, rendered.stderr):
            continue
        lint = run(helm, "lint", "--strict", CHART, *(["-f", values] if values else []))
        report.check(f"{name}: lint", lint.returncode == 0, lint.stdout + lint.stderr)
        check_golden(report, name, rendered.stdout, write)
        sets[name] = [o for o in yaml.safe_load_all(rendered.stdout) if o]
        check_configuration(report, name, sets[name], binary, folder)
    for proxy_protocol in ("no", "yes"):
        check_ping(report, sets["extras-values"], binary, folder, proxy_protocol)
    check_rules(report, sets["engine-production-values"], folder)
    sidecar = list(yaml.safe_load_all((ROOT / "helm/examples/sidecar.yaml").read_text()))
    (folder / "sidecar.yaml").write_text(sidecar[0]["data"]["tidegate.yaml"])
    result = run(binary, "--check-config", folder / "sidecar.yaml")
    report.check("the sidecar's configuration", result.returncode == 0, result.stderr)
    check_schemas(report, {**sets, "sidecar": sidecar}, folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=ROOT / "build/dev/tidegate", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    report = Report()
    check_generated(report)
    helm, why = helm_tool.find()
    if helm is None:
        print(f"SKIPPED: everything that renders the chart: {why}")
    else:
        with tempfile.TemporaryDirectory() as name:
            check_wrong_values(report, helm, pathlib.Path(name))
            check_sets(report, helm, arguments.binary.resolve(), pathlib.Path(name), arguments.write)
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
