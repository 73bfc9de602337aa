"""Client programs through Tidegate to a real Redis Cluster: those that know clusters, which take Tidegate for one, and
those that do not."""

import contextlib
import pathlib
import sys

from clients import take_over
from discovery import in_front_of
from report import eventually
from support import resp
from tools import run_tool
from topology import field, start_cluster

HERE = pathlib.Path(__file__).resolve().parent
NODE_MODULES = HERE / "node" / "node_modules"


def cluster_clients(report, start):
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
        server = stack.enter_context(in_front_of(start, "redis_cluster", [nodes[0].port]))
        eventually(lambda: server.connect().command("SET", "k", "v") == resp.Reply("simple", b"OK"), 10)
        seen_as_a_cluster(report, server, nodes[0])
        programs(report, server)
        python = next((p for p in (sys.executable, "/usr/bin/python3") if run_tool([p, "-c", "import redis"])[0] == 0), None)
        if report.check("python3-redis: is installed", python is not None):
            status, output = run_tool([python, HERE / "cluster_client.py", server.port])
            take_over(report, status, output, "python3-redis")
        if NODE_MODULES.exists():
            for name, program in (("ioredis", "cluster_client.mjs"), ("bullmq", "bullmq_client.mjs")):
                status, output = run_tool(["node", HERE / "node" / program, server.port])
                take_over(report, status, output, name)


def seen_as_a_cluster(report, server, node):
    """Tidegate says that it has all slots, in the words of a node of a cluster."""
    ask, there = server.connect(), node.talk
    host, port = b"127.0.0.1", server.port
    slots = ask.command("CLUSTER", "SLOTS").value
    report.equal("SLOTS: one range", [[part.value for part in entry.value[:2]] for entry in slots], [[0, 16383]])
    report.equal("SLOTS: it is ours", [part.value for part in slots[0].value[2].value[:2]], [host, port])
    me = ask.command("CLUSTER", "MYID").value
    report.equal("MYID: as long as a node's", len(me), len(there.command("CLUSTER", "MYID").value))
    report.equal("NODES", ask.command("CLUSTER", "NODES").value,
                 b"%s %s:%d@%d myself,master - 0 0 0 connected 0-16383\n" % (me, host, port, port + 10000))
    mine, theirs = ask.command("CLUSTER", "SHARDS").value, there.command("CLUSTER", "SHARDS").value
    report.equal("SHARDS: fields", [part.value for part in mine[0].value[3].value[0].value[::2]],
                 [part.value for part in theirs[0].value[3].value[0].value[::2]])
    report.equal("INFO: lines", [line.split(b":")[0] for line in ask.command("CLUSTER", "INFO").value.splitlines()],
                 [line.split(b":")[0] for line in there.command("CLUSTER", "INFO").value.splitlines()
                  if not line.startswith((b"cluster_stats_messages_ping", b"cluster_stats_messages_pong", b"cluster_stats_messages_meet",
                                          b"cluster_stats_messages_fail", b"cluster_stats_messages_update",
                                          b"cluster_stats_messages_auth"))])
    for command in (("CLUSTER", "KEYSLOT", "a{b}c"), ("READONLY",), ("READWRITE",), ("CLUSTER", "KEYSLOT"), ("SELECT", "1")):
        report.equal(" ".join(command), ask.command(*command), there.command(*command))
    report.check("INFO says so", b"cluster_enabled:1" in ask.command("INFO", "cluster").value)


def programs(report, server):
    status, output = run_tool(["redis-cli", "-c", "-p", server.port, "SET", "cli", "1"])
    report.check("redis-cli -c SET", status == 0 and output.strip() == "OK", output)
    status, output = run_tool(["redis-cli", "--cluster", "check", "127.0.0.1:%d" % server.port])
    report.check("redis-cli --cluster check", "All 16384 slots covered" in output, output)
    # Not with --cluster: it wants two nodes at least.
    status, output = run_tool(["redis-benchmark", "-p", server.port, "-t", "set,get,incr,lpush,hset,mset", "-n", "4000", "-r", "1000",
                               "-P", "8", "-q"])
    report.check("redis-benchmark", status == 0 and output.count("requests per second") >= 6 and "rror" not in output, output[-600:])
