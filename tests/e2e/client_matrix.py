"""Each client program through Tidegate to each kind of cluster: they see one server, whatever is behind it."""

import contextlib
import pathlib
import sys

from clients import take_over
from discovery import in_front_of
from report import eventually
from support import resp, servers
from tools import run_tool
from topology import field, start_cluster, start_sentinel

HERE = pathlib.Path(__file__).resolve().parent
OK = resp.Reply("simple", b"OK")


def start_replicas(stack):
    primary = stack.enter_context(servers.redis_server("--repl-diskless-sync-delay", "0"))
    replica = stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % primary.port))
    eventually(lambda: replica.info()["master_link_status"] == "up", 10)
    return primary, replica


def one_node(stack):
    return [stack.enter_context(servers.redis_server()).port], ""


def replicas(stack):
    return [node.port for node in start_replicas(stack)], ""


def sentinel(stack):
    primary, _ = start_replicas(stack)
    sentinels = [start_sentinel(stack, primary.port) for _ in range(3)]
    eventually(lambda: all(len(s.connect().command("SENTINEL", "SENTINELS", "db").value) == 2 for s in sentinels), 15)
    return [s.port for s in sentinels], ", primary-name: db"


def redis_cluster(stack):
    nodes = start_cluster(stack)
    eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
    return [node.port for node in nodes], ""


def ring(stack):
    return [stack.enter_context(servers.redis_server()).port for _ in range(3)], ', hash-tag: "{}"'


TOPOLOGIES = (("redis", one_node), ("replicas", replicas), ("sentinel", sentinel), ("redis_cluster", redis_cluster), ("ring", ring))


def client_matrix(report, start):
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run_tool([p, "-c", "import redis"])[0] == 0), None)
    report.check("python3-redis: is installed", python is not None)
    node = HERE / "node"
    programs = [("python3-redis", [python, HERE / "topology_client.py"], [])] if python else []
    if (node / "node_modules").exists():
        programs += [("ioredis", ["node", node / "topology_ioredis.mjs"], []),
                     ("node-redis RESP2", ["node", node / "topology_redis.mjs"], ["2"]),
                     ("node-redis RESP3", ["node", node / "topology_redis.mjs"], ["3"])]
    else:
        report.skip("ioredis, node-redis", "the group `node` installs them")
    for kind, build in TOPOLOGIES:
        with contextlib.ExitStack() as stack:
            ports, more = build(stack)
            settings = "request-timeout: 2s" if kind == "redis" else "health-check-interval: 300ms, request-timeout: 2s"
            server = stack.enter_context(in_front_of(start, kind, ports, more, settings))
            report.check("%s: is reached" % kind, eventually(lambda s=server: s.connect().command("SET", "k", "v") == OK, 10))
            for name, program, words in programs:
                more_words = ["cluster"] if kind == "redis_cluster" and name.startswith("node-redis") else []
                status, output = run_tool([*program, server.port, *words, *more_words])
                take_over(report, status, output, "%s: %s" % (kind, name))
            # Of the other kinds there are groups that have it.
            if kind == "ring" and (node / "node_modules").exists():
                status, output = run_tool(["node", node / "bullmq_client.mjs", server.port])
                take_over(report, status, output, "ring: bullmq")
            benchmark(report, server, kind)


def benchmark(report, server, kind):
    status, output = run_tool(["redis-benchmark", "-p", server.port, "-t", "set,get,incr,lpush,hset,mset", "-n", "2000", "-r", "1000",
                               "-P", "8", "-q"])
    report.check("%s: redis-benchmark" % kind, status == 0 and output.count("requests per second") >= 6 and "rror" not in output, output[-600:])
