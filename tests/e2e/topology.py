"""What proxy/topology reads out of real servers: a Redis Cluster of three primaries and three replicas, and a primary with
a replica and two sentinels, both through a failover. topology_reader.cc asks and says what it understood."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

from report import eventually
from support import servers
from tools import run_tool

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD_SECONDS_MAX = 240
FAILOVER_SECONDS_MAX = 30
RANGES = ((0, 5460), (5461, 10922), (10923, 16383))


@contextlib.contextmanager
def reader(report):
    """ask(*words): the lines that the reader prints; None when it does not build."""
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder:
        program = pathlib.Path(folder) / "reader"
        sources = sorted([*ROOT.glob("proxy/topology/*.cc"), *ROOT.glob("base/*.cc")])
        status, output = run_tool([os.environ.get("CXX", "c++"), "-std=c++20", "-I", ROOT, HERE / "topology_reader.cc", *sources,
                                   "-lxxhash", "-pthread", "-o", program], seconds=BUILD_SECONDS_MAX)
        if not report.check("the reader builds", status == 0, output[-800:]):
            yield None
            return

        def ask(*words):
            return run_tool([program, *words])[1].splitlines()

        ask.program = program
        yield ask


def start_cluster(stack):
    """Six nodes, all known to each other; the first three share the slots, the others replicate them."""
    nodes, buses = [], []
    for _ in range(6):
        buses.append(servers.free_port())
        flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-port", str(buses[-1]),
                 "--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0",
                 "--repl-ping-replica-period", "1"]
        nodes.append(stack.enter_context(servers.redis_server(*flags)))
    for i, node in enumerate(nodes):
        node.talk = node.connect()
        node.talk.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        if i < 3:
            node.talk.command("CLUSTER", "ADDSLOTSRANGE", *RANGES[i])
    for node, bus in list(zip(nodes, buses))[1:]:
        nodes[0].talk.command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    eventually(lambda: all(field(node, "cluster_known_nodes") == "6" for node in nodes), 20)
    for i in range(3):
        name = nodes[i].talk.command("CLUSTER", "MYID").value
        eventually(lambda i=i, name=name: nodes[i + 3].talk.command("CLUSTER", "REPLICATE", name).kind == "simple", 20)
    return nodes


def field(node, name):
    text = node.talk.command("CLUSTER", "INFO").value.decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line).get(name)


def shards(owners, replicas, host=""):
    """The reader's lines when `owners` have the three ranges."""
    lines = []
    for (first, last), owner, replica in zip(RANGES, owners, replicas):
        line = "%d-%d %s%s" % (first, last, host, owner)
        lines.append(line + (" < %s%s" % (host, replica) if replica else ""))
    return sorted(lines)


def topology(report, _):
    with reader(report) as ask:
        if ask is not None:
            cluster(report, ask)
            sentinels(report, ask)


def cluster(report, ask):
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        ports = [node.port for node in nodes]
        whole = shards(ports[:3], ports[3:])
        forms = [(form, protocol) for form in ("slots", "shards", "nodes") for protocol in (2, 3)]
        for form, protocol in forms:
            same = eventually(lambda f=form, p=protocol: all(ask("map", f, p, port) == whole for port in ports), 20)
            report.check("CLUSTER %s, RESP%d, of each node" % (form.upper(), protocol), same, ask("map", form, protocol, ports[0]))
        report.equal("all views are one", ask("agree", *ports), [*whole, "disputed 0"])
        endpoints(report, ask, nodes)
        redirections(report, ask, nodes)
        failover(report, ask, nodes)


def endpoints(report, ask, nodes):
    """Whatever the first node prefers, the way to each node is found."""
    ports = [node.port for node in nodes]
    whole = shards(ports[:3], ports[3:])
    prefer = lambda what: nodes[0].talk.command("CONFIG", "SET", "cluster-preferred-endpoint-type", what)  # noqa: E731
    prefer("hostname")
    report.equal("host names that are not there: by address", ask("map", "slots", 3, ports[0]), whole)
    for node in nodes:
        node.talk.command("CONFIG", "SET", "cluster-announce-hostname", "node.example")
    named = shards(ports[:3], ports[3:], "node.example:")
    for form, protocol in (("slots", 2), ("slots", 3), ("shards", 2), ("shards", 3)):
        same = eventually(lambda f=form, p=protocol: ask("map", f, p, ports[0]) == named, 20)
        report.check("host names by CLUSTER %s, RESP%d" % (form.upper(), protocol), same, ask("map", form, protocol, ports[0]))
    prefer("unknown-endpoint")
    for form, protocol in (("slots", 2), ("slots", 3), ("shards", 3)):
        report.equal("no endpoints by CLUSTER %s, RESP%d" % (form.upper(), protocol), ask("map", form, protocol, ports[0]), whole)
    report.equal("MOVED without a host", ask("error", ports[0], "GET", "foo"), ["moved 12182 %d" % ports[2]])
    prefer("ip")


def redirections(report, ask, nodes):
    ports = [node.port for node in nodes]
    report.equal("MOVED", ask("error", ports[0], "GET", "foo"), ["moved 12182 %d" % ports[2]])
    names = [node.talk.command("CLUSTER", "MYID").value for node in nodes[:3]]
    nodes[2].talk.command("SET", "{foo}1", "here")
    nodes[2].talk.command("CLUSTER", "SETSLOT", 12182, "MIGRATING", names[0])
    nodes[0].talk.command("CLUSTER", "SETSLOT", 12182, "IMPORTING", names[2])
    report.equal("ASK", ask("error", ports[2], "GET", "foo"), ["ask 12182 %d" % ports[0]])
    report.equal("TRYAGAIN", ask("error", ports[2], "MGET", "{foo}1", "{foo}2"), ["tryagain"])
    move = "slot 12182 from %d to %d" % (ports[2], ports[0])
    for port in (ports[0], ports[2]):
        report.check("a slot on the move, as each side tells it", move in ask("map", "nodes", 2, port), ask("map", "nodes", 2, port))
    report.equal("and once when both are asked", ask("agree", *ports).count(move), 1)
    for node in (nodes[0], nodes[2]):
        node.talk.command("CLUSTER", "SETSLOT", 12182, "STABLE")


def failover(report, ask, nodes):
    ports = [node.port for node in nodes]
    nodes[0].crash()
    after = [*shards([ports[3], *ports[1:3]], [None, *ports[4:]]), "disputed 0"]
    report.check("after a failover the survivors agree on the new primary",
                 eventually(lambda: ask("agree", *ports[1:]) == after, FAILOVER_SECONDS_MAX), ask("agree", *ports[1:]))
    report.equal("what MOVED says then", ask("error", ports[1], "GET", "bar{06S}"), ["moved 0 %d" % ports[3]])
    for port in (ports[2], ports[3], ports[5]):
        nodes[ports.index(port)].crash()
    report.check("most primaries gone: CLUSTERDOWN",
                 eventually(lambda: ask("error", ports[1], "GET", "foo") == ["clusterdown"], FAILOVER_SECONDS_MAX))


def start_sentinel(stack, primary, more=""):
    directory = tempfile.mkdtemp(prefix="tidegate-test-sentinel-")
    port = servers.free_port()
    config = pathlib.Path(directory) / "sentinel.conf"
    config.write_text("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor db 127.0.0.1 %d 2\n"
                      "sentinel down-after-milliseconds db 1000\nsentinel failover-timeout db 10000\n%s" % (port, directory, primary, more))
    return stack.enter_context(servers.Server("sentinel", ["redis-server", config, "--sentinel"], port, directory=directory))


def sentinels(report, ask):
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(servers.redis_server("--repl-diskless-sync-delay", "0"))
        new = stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % old.port))
        up = ["primary %d" % old.port, "replica %d up behind 0" % new.port, "rivals 0 strangers 0"]
        report.check("INFO and ROLE of a primary and its replica",
                     eventually(lambda: ask("replicas", new.port, old.port) == up, 20), ask("replicas", new.port, old.port))
        report.equal("READONLY", ask("error", new.port, "SET", "a", "b"), ["readonly"])
        report.equal("without its primary's answer there is none", ask("replicas", new.port), ["primary none", "rivals 0 strangers 1"])
        watchers = [start_sentinel(stack, old.port).port for _ in range(2)]
        one = ["primary %d usable, sentinels 2, quorum 2" % old.port, "replica %d of %d up" % (new.port, old.port)]
        for protocol in (2, 3):
            expected = [*one, *one, "agreed %d" % old.port]
            report.check("two sentinels, RESP%d" % protocol,
                         eventually(lambda p=protocol, e=expected: ask("sentinel", p, "db", *watchers) == e, 40),
                         ask("sentinel", protocol, "db", *watchers))
        report.equal("a name that they do not know", ask("sentinel", 3, "other", *watchers), ["unknown", "unknown", "agreed none"])
        sentinel_failover(report, ask, old, new, watchers)


def sentinel_failover(report, ask, old, new, watchers):
    with subprocess.Popen([ask.program, "events", str(watchers[0])], stdout=subprocess.PIPE, text=True) as events:
        report.equal("events: subscribed", events.stdout.readline(), "subscribed\n")
        new.connect().command("CONFIG", "SET", "replica-serve-stale-data", "no")
        old.crash()
        report.check("a replica whose primary is gone: MASTERDOWN",
                     eventually(lambda: ask("error", new.port, "GET", "a") == ["masterdown"], 5), ask("error", new.port, "GET", "a"))
        try:
            output, _ = events.communicate(timeout=FAILOVER_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            events.kill()
            output = "no switch"
        report.check("events: +odown", "down %d" % old.port in output.splitlines(), output)
        report.check("events: +switch-master", "db from %d to %d" % (old.port, new.port) in output.splitlines(), output)
    report.check("both sentinels name the new primary",
                 eventually(lambda: ask("sentinel", 3, "db", *watchers)[-1] == "agreed %d" % new.port, 20))
    old.restart()
    both = ["primary %d" % new.port, "rivals 1 strangers 0"]
    back = ["primary %d" % new.port, "replica %d up behind 0" % old.port, "rivals 0 strangers 0"]
    report.check("the old primary that comes back is a rival or already a replica",
                 eventually(lambda: ask("replicas", old.port, new.port) in (both, back), 10))
    report.check("and its replica in the end",
                 eventually(lambda: ask("replicas", old.port, new.port) == back, FAILOVER_SECONDS_MAX),
                 ask("replicas", old.port, new.port))
