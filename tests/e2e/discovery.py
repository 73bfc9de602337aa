"""Clusters whose nodes change: Tidegate finds out by itself who is the primary and who has which slot, how fast is measured.
Real sentinels, a real replica set, and a real Redis Cluster of six nodes."""

import contextlib
import json
import tempfile
import threading
import time
import urllib.request

from report import eventually
from support import resp, servers
from tools import run_tool
from topology import RANGES, field, start_cluster, start_sentinel

FAILOVER_SECONDS_MAX = 20
# From the moment that the servers themselves have changed roles.
FOLLOWED_SECONDS_MAX = 1.0
SETTINGS = "health-check-interval: 300ms, refresh-interval: 1s, connect-timeout: 500ms, request-timeout: 2s"


@contextlib.contextmanager
def in_front_of(start, kind, ports, more="", settings=SETTINGS):
    """A Tidegate whose only cluster beside the engine is of that kind, with these nodes."""
    nodes = ", ".join('"127.0.0.1:%d"' % port for port in ports)
    text = "clusters:\n  - {name: shop, kind: %s, nodes: [%s], %s%s}\n" % (kind, nodes, settings, more)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        with start("--workers", "2", files=[config.name]) as server:
            yield server


def topology_of(server):
    """The topology of the only cluster as the admin page has it."""
    with urllib.request.urlopen("http://127.0.0.1:%d/clusters" % server.admin_port, timeout=5) as answer:
        return json.loads(answer.read())["clusters"][0]["topology"]


def primary_of(server):
    """Port of the primary; 0 when there is none."""
    return next((port_of(node) for node in topology_of(server)["nodes"] if node["role"] == "primary"), 0)


def port_of(node):
    return int(node["node"].rsplit(":", 1)[1])


def usable(server):
    return {port_of(node): node["usable"] for node in topology_of(server)["nodes"]}


def owner_of_slot(server, slot):
    for node in topology_of(server)["nodes"]:
        for text in node.get("slots", ()):
            first, _, last = text.partition("-")
            if int(first) <= slot <= int(last or first):
                return port_of(node)
    return 0


class Writer:
    """A client that goes on writing: when did a write last fail?"""

    def __init__(self, server, key="foo"):
        self.connection = server.connect(timeout=10)
        self.key = key

    def works(self):
        return self.connection.command("SET", self.key, "v") == resp.Reply("simple", b"OK")


def in_background(works):
    """Tries until it works; `at` is when it did."""
    def run():
        if eventually(works, FAILOVER_SECONDS_MAX):
            thread.at = time.monotonic()

    thread = threading.Thread(target=run, daemon=True)
    thread.at = None
    thread.start()
    return thread


def named_by(sentinels, port):
    """Whether one of them names the server at that port as the primary."""
    names = [s.connect().command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "db").value[1].value for s in sentinels]
    return b"%d" % port in names


def says_primary(node):
    """Whether the server itself does."""
    with contextlib.suppress(OSError, resp.Closed, resp.Timeout):
        connection = node.connect()
        try:
            return connection.command("ROLE").value[0].value == b"master"
        finally:
            connection.close()
    return False


def timed(report, name, condition, begun, seconds_max):
    """Checks that the condition comes true within the time, counted from `begun`, and prints when it did."""
    good = eventually(condition, max(0.0, seconds_max - (time.monotonic() - begun)))
    report.check("%s (%.2f s)" % (name, time.monotonic() - begun), good)


def metric(server, name):
    for line in server.metrics_text().splitlines():
        if line.startswith(name + '{cluster="shop"}'):
            return float(line.split()[-1])
    return None


def discovery_replicas(report, start):
    fast = ("--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(servers.redis_server(*fast))
        new = stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % old.port, *fast))
        unnamed = stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % old.port, *fast))
        server = stack.enter_context(in_front_of(start, "replicas", [new.port, old.port]))
        report.equal("the first request finds the primary", server.connect().command("SET", "foo", "1"), resp.Reply("simple", b"OK"))
        report.equal("which is not the first node", primary_of(server), old.port)
        report.check("a replica that only the primary names is used",
                     eventually(lambda: usable(server) == {old.port: True, new.port: True, unnamed.port: True}, 10), usable(server))
        check_ping(report, server, [old, new, unnamed])
        writer = Writer(server)
        begun = time.monotonic()
        new.connect().command("REPLICAOF", "NO", "ONE")
        old.connect().command("REPLICAOF", "127.0.0.1", new.port)
        timed(report, "a swap of roles is followed after the first refused write", writer.works, begun, FOLLOWED_SECONDS_MAX)
        report.equal("the primary is the promoted one", primary_of(server), new.port)
        old.connect().command("REPLICAOF", "127.0.0.1", new.port)
        unnamed.connect().command("REPLICAOF", "127.0.0.1", new.port)
        eventually(lambda: usable(server).get(old.port), 10)
        new.crash()
        report.check("a primary that died stays, and is said to be the problem",
                     eventually(lambda: "does not answer" in topology_of(server)["problem"], 5), topology_of(server))
        report.check("and is not usable after three questions", eventually(lambda: usable(server).get(new.port) is False, 5))
        begun = time.monotonic()
        old.connect().command("REPLICAOF", "NO", "ONE")
        timed(report, "the promoted replica takes the writes", writer.works, begun, 2.5)
        new.restart()
        new.connect().command("REPLICAOF", "NO", "ONE")
        report.check("the old primary that comes back as one is a problem",
                     eventually(lambda: "says that it is the primary" in topology_of(server)["problem"], 5), topology_of(server))
        report.equal("and changes nothing", primary_of(server), old.port)
        report.equal("failovers are counted", metric(server, "tidegate_discovery_failovers_total"), 2.0)


def check_ping(report, server, nodes):
    command = [server.command[0], "--check-config", "--ping", server.command[1]]
    status, output = run_tool(command)
    report.equal("--check-config --ping: all is well", status, 0)
    for node in nodes[:2]:
        report.check("and says so of each node", "cluster 'shop': node 127.0.0.1:%d: ok" % node.port in output, output)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write('clusters:\n  - {name: gone, kind: redis, nodes: ["127.0.0.1:%d"]}\n' % servers.free_port())
        config.flush()
        status, output = run_tool([server.command[0], "--check-config", "--ping", config.name])
        report.equal("a node that is not there: status 1", status, 1)
        report.check("and why", "connect: Connection refused" in output, output)


def watched_pair(stack):
    """A primary, its replica, and three sentinels that know all of them."""
    old = stack.enter_context(servers.redis_server("--repl-diskless-sync-delay", "0"))
    new = stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % old.port))
    eventually(lambda: new.info()["master_link_status"] == "up", 10)
    sentinels = [start_sentinel(stack, old.port) for _ in range(3)]
    eventually(lambda: all(len(s.connect().command("SENTINEL", "SENTINELS", "db").value) == 2 and
                           len(s.connect().command("SENTINEL", "REPLICAS", "db").value) == 1 for s in sentinels), 15)
    return old, new, sentinels


def discovery_sentinel(report, start):
    with contextlib.ExitStack() as stack:
        old, new, sentinels = watched_pair(stack)
        server = stack.enter_context(in_front_of(start, "sentinel", [sentinels[0].port], ", primary-name: db"))
        report.equal("the primary by its sentinels", primary_of(server), old.port)
        writer = Writer(server)
        report.check("a write", writer.works())
        report.check("the replica is known", eventually(lambda: usable(server) == {old.port: True, new.port: True}, 5), usable(server))
        # The one that was configured goes with the primary: the others were found through it.
        died = time.monotonic()
        sentinels[0].crash()
        old.crash()
        works = in_background(writer.works)
        report.check("the sentinels promote the replica", eventually(lambda: named_by(sentinels[1:], new.port), FAILOVER_SECONDS_MAX))
        promoted = time.monotonic()
        timed(report, "writes go on after the failover", lambda: works.at, promoted, FOLLOWED_SECONDS_MAX)
        print("     writes were down for %.2f s, the sentinels needed %.2f s" % (works.at - died, promoted - died))
        report.equal("the primary", primary_of(server), new.port)
        report.equal("the failover is counted", metric(server, "tidegate_discovery_failovers_total"), 1.0)
        old.restart()
        works = writer.works()
        report.check("the old primary that comes back takes nothing", works and primary_of(server) == new.port, topology_of(server))
        report.check("and is not read before it is a replica",
                     eventually(lambda: usable(server).get(old.port) is False or named_by(sentinels[1:], old.port), 5), topology_of(server))


def discovery_cluster(report, start):
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        ports = [node.port for node in nodes]
        eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
        eventually(lambda: all(node.info().get("master_link_status", "up") == "up" for node in nodes), 20)
        server = stack.enter_context(in_front_of(start, "redis_cluster", [ports[0]]))
        report.check("all six nodes from one", eventually(lambda: usable(server) == dict.fromkeys(ports, True), 10), usable(server))
        report.equal("slots", [owner_of_slot(server, first) for first, _ in RANGES], ports[:3])
        report.equal("nothing is wrong", topology_of(server)["problem"], "")
        writer = Writer(server)
        report.check("a write", writer.works())
        slot_moved(report, server, nodes, writer)
        primary_killed(report, server, nodes)


def slot_moved(report, server, nodes, writer):
    """Slot 12182 from the third node to the first, as redis-cli does it."""
    names = [node.talk.command("CLUSTER", "MYID").value for node in nodes[:3]]
    nodes[0].talk.command("CLUSTER", "SETSLOT", 12182, "IMPORTING", names[2])
    nodes[2].talk.command("CLUSTER", "SETSLOT", 12182, "MIGRATING", names[0])
    report.check("a key of a slot that moves is written", writer.works())
    nodes[2].talk.command("MIGRATE", "127.0.0.1", nodes[0].port, "", 0, 1000, "KEYS", "foo")
    report.check("and after it has gone", writer.works())
    begun = time.monotonic()
    for node in nodes[:3]:
        node.talk.command("CLUSTER", "SETSLOT", 12182, "NODE", names[0])
    report.check("the slot has moved: written", writer.works())
    timed(report, "the topology has it", lambda: owner_of_slot(server, 12182) == nodes[0].port, begun, FOLLOWED_SECONDS_MAX)
    stays = not eventually(lambda: owner_of_slot(server, 12182) != nodes[0].port, 2)
    report.check("and keeps it while gossip tells the others", stays)


def primary_killed(report, server, nodes):
    writer = Writer(server, "bar{06S}")  # slot 0
    report.check("a write to the first node", writer.works())
    died = time.monotonic()
    nodes[0].crash()
    works = in_background(writer.works)
    report.check("the cluster promotes its replica", eventually(lambda: says_primary(nodes[3]), FAILOVER_SECONDS_MAX))
    promoted = time.monotonic()
    timed(report, "writes go on after the failover", lambda: works.at, promoted, FOLLOWED_SECONDS_MAX)
    print("     writes were down for %.2f s, the cluster needed %.2f s" % (works.at - died, promoted - died))
    report.check("the topology agrees", eventually(lambda: owner_of_slot(server, 0) == nodes[3].port, 5), topology_of(server))
    report.check("the dead node is not usable", eventually(lambda: usable(server).get(nodes[0].port) in (False, None), 10))
    other = Writer(server)
    report.check("keys of other nodes are served", eventually(other.works, 2))
    report.check("the configured node is gone, and what is known stays current",
                 eventually(lambda: topology_of(server)["answer_age_seconds"] < 2, 5), topology_of(server))
