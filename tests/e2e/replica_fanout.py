"""Reads that real replicas answer as well as their primary: everybody has a share, nobody reads something older than what was
acknowledged here, and a replica that stands still, loses its link or becomes the primary fails no read."""

import contextlib
import re
import tempfile
import threading

from discovery import FAILOVER_SECONDS_MAX, SETTINGS, named_by, usable, watched_pair
from failures import Load, killed, serve_without_others, stopped, under
from report import eventually
from support import resp, servers
from topology import field, start_cluster

OK = resp.Reply("simple", b"OK")
ALL = 'mode: enforce, keys: ["*"]'


def bulk(text):
    return resp.Reply("bulk", str(text).encode())


@contextlib.contextmanager
def in_front_of(start, kind, ports, fanout=ALL, more=""):
    nodes = ", ".join('"127.0.0.1:%d"' % port for port in ports)
    settings = SETTINGS.replace("refresh-interval: 1s", "refresh-interval: 100ms")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write("clusters:\n  - {name: shop, kind: %s, nodes: [%s], %s%s}\n" % (kind, nodes, settings, more))
        config.write('routes: [{match: "*", cluster: shop, policies: {replica_fanout: {%s}}}]\n' % fanout)
        config.flush()
        with start("--workers", "2", "--hot-key-rate", "200", files=[config.name]) as server:
            yield server


@contextlib.contextmanager
def set_of_three():
    fast = ("--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(servers.redis_server(*fast))
        replicas = [stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % primary.port, *fast)) for _ in range(2)]
        eventually(lambda: all(node.info().get("master_link_status") == "up" for node in replicas), 20)
        yield [primary, *replicas]


def gets(node):
    found = re.search(r"cmdstat_get:calls=(\d+)", node.connect().command("INFO", "commandstats").value.decode())
    return int(found[1]) if found else 0


def figure(server, name):
    return float(re.search(r'^tidegate_replica_fanout_%s_total\{cluster="shop"\} ([0-9.e+]+)$' % name, server.metrics_text(), re.M)[1])


def fans_out(client, nodes, key):
    """Reads until each node has answered one."""
    def each():
        before = [gets(node) for node in nodes]
        for _ in range(50):
            client.command("GET", key)
        return all(gets(node) > count for node, count in zip(nodes, before))
    return eventually(each, 20)


class Counter(threading.Thread):
    """Writes numbers that grow over one connection and reads them over another: none may be older than the last that was acknowledged."""

    def __init__(self, server, key):
        super().__init__(daemon=True)
        self.writes, self.reads = server.connect(timeout=20), server.connect(timeout=20)
        self.key = key
        self.stop = threading.Event()
        self.written, self.answered, self.wrong = 0, 0, []

    def run(self):
        try:
            while not self.stop.is_set() and not self.wrong:
                self.written += 1
                if self.writes.command("SET", self.key, str(self.written)) != OK:
                    self.wrong.append("a write failed")
                for _ in range(20 if self.written % 10 else 400):
                    reply = self.reads.command("GET", self.key)
                    self.answered += 1
                    if reply != bulk(self.written):
                        self.wrong.append((self.written, reply))
                        return
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(repr(error))


def goes_on(threads, more=2000):
    marks = [thread.answered for thread in threads]
    return eventually(lambda: all(t.answered >= mark + more or t.wrong for t, mark in zip(threads, marks)), 60)


def fanout_replicas(report, start):
    with set_of_three() as nodes, in_front_of(start, "replicas", [node.port for node in nodes]) as server:
        client = server.connect(timeout=20)
        eventually(lambda: client.command("SET", "k", "1") == OK, 10)
        report.check("each node answers reads", fans_out(client, nodes, "k"))
        clients = [server.connect(timeout=20) for _ in range(4)]
        for each in clients:  # both workers have their connections, and replicas have been asked since
            report.check("on each connection", fans_out(each, nodes, "k"))
        before = [gets(node) for node in nodes]
        wrong = sum(each.command("GET", "k") != bulk(1) for _ in range(750) for each in clients)
        shares = [gets(node) - count for node, count in zip(nodes, before)]
        report.equal("no wrong reply", wrong, 0)
        report.check("3,000 reads: each has a fair share", min(shares) > 600, shares)
        explained = repr(client.command("TIDEGATE", "EXPLAIN", "k"))
        report.check("EXPLAIN says who may answer", all("127.0.0.1:%d" % node.port in explained for node in nodes), explained)
        report.check("they are counted", figure(server, "replica_reads") > 1000)
        fanout_under_trouble(report, server, nodes)


def fanout_under_trouble(report, server, nodes):
    counters = [Counter(server, "counter:%d" % i) for i in range(2)]
    readers = [Load(server, ["k%d" % i], writes=False) for i in range(2)]
    writer = server.connect()
    for load in readers:
        writer.command("SET", load.keys[0], load.keys[0] + "=0")
    with under([*counters, *readers]):
        report.check("clients read what they wrote", goes_on(counters))
        with stopped(nodes[1]):
            report.check("a replica that stands still: everybody goes on", goes_on(counters))
            report.check("it is known", eventually(lambda: usable(server).get(nodes[1].port) is False, 10), usable(server))
        eventually(lambda: usable(server).get(nodes[1].port) is True, 20)
        nodes[2].connect().command("REPLICAOF", "127.0.0.1", servers.free_port())
        report.check("a replica without a link: everybody goes on", goes_on(counters))

        def unread():
            before = gets(nodes[2])
            goes_on(counters, 200)
            return gets(nodes[2]) == before
        report.check("it is not read", eventually(unread, 20))
        nodes[2].connect().command("REPLICAOF", "127.0.0.1", nodes[0].port)
        report.check("it is read again", fans_out(server.connect(), nodes, "k"))
        with killed(nodes[1]):
            report.check("a replica that is killed: everybody goes on", goes_on(counters))
        report.check("clients still read what they wrote", goes_on(counters))
    wrong = [one for thread in counters for one in thread.wrong]
    report.check("never older than what was acknowledged (%d reads)" % sum(t.answered for t in counters), not wrong, wrong[:3])
    errors = [error for load in readers for error in load.errors]
    report.check("no read has failed (%d)" % sum(load.answered for load in readers), not errors, errors[:3])


def fanout_hot(report, start):
    with set_of_three() as nodes, in_front_of(start, "replicas", [node.port for node in nodes], "mode: enforce, keys: hot") as server:
        client = server.connect(timeout=20)
        eventually(lambda: client.command("SET", "k", "1") == OK, 10)
        client.command("SET", "cold", "1")

        def heat():
            before = [gets(node) for node in nodes]
            client.send(b"".join([resp.encode_command(("GET", "k"))] * 500))
            for _ in range(500):
                client.read()
            return all(gets(node) > count for node, count in zip(nodes, before))
        report.check("a key that is read much is read everywhere", eventually(heat, 30))
        before = [gets(node) for node in nodes[1:]]
        for _ in range(20):
            server.connect().command("GET", "cold")
        report.equal("another one at the primary", [gets(node) for node in nodes[1:]], before)
    with set_of_three() as nodes, in_front_of(start, "replicas", [node.port for node in nodes], 'keys: ["*"]') as server:
        client = server.connect(timeout=20)
        eventually(lambda: client.command("SET", "k", "1") == OK, 10)
        before = [gets(node) for node in nodes[1:]]

        def observed():
            client.command("GET", "k")
            return figure(server, "observed") > 0
        report.check("without a mode it is counted what would be", eventually(observed, 10))
        report.equal("and nothing is done", [gets(node) for node in nodes[1:]], before)


def fanout_sentinel(report, start):
    with contextlib.ExitStack() as stack:
        old, new, sentinels = watched_pair(stack)
        server = stack.enter_context(in_front_of(start, "sentinel", [sentinels[0].port], more=", primary-name: db"))
        client = server.connect(timeout=20)
        eventually(lambda: client.command("SET", "k", "k=0") == OK, 10)
        report.check("both nodes answer reads", fans_out(client, [old, new], "k"))
        readers = [Load(server, ["k"], writes=False) for _ in range(2)]
        with under(readers):
            old.crash()
            report.check("the sentinels promote the replica", eventually(lambda: named_by(sentinels, new.port), FAILOVER_SECONDS_MAX))
            report.check("writes go on", eventually(lambda: client.command("SET", "other", "1") == OK, 10))
            old.restart()
            report.check("the former primary is read as a replica", fans_out(server.connect(timeout=20), [old, new], "k"))
        wrong = [one for load in readers for one in load.wrong]
        report.check("no wrong reply (%d reads)" % sum(load.answered for load in readers), not wrong, wrong[:3])


def fanout_cluster(report, start):
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
        eventually(lambda: all(node.info().get("master_link_status", "up") == "up" for node in nodes), 20)
        for node in nodes:
            serve_without_others(node)
        server = stack.enter_context(in_front_of(start, "redis_cluster", [nodes[0].port]))
        client = server.connect(timeout=20)
        keys = {}
        for i in range(100):
            eventually(lambda i=i: client.command("SET", "key:%d" % i, "key:%d=0" % i) == OK, 10)
            owner = next(n for n in range(3) if nodes[n].talk.command("GET", "key:%d" % i).kind == "bulk")
            keys.setdefault(owner, "key:%d" % i)
            if len(keys) == 3:
                break
        for number, key in sorted(keys.items()):
            report.check("shard %d: primary and replica answer reads" % number, fans_out(client, [nodes[number], nodes[number + 3]], key))
        counter = Counter(server, keys[1])
        readers = [Load(server, [keys[0]], writes=False) for _ in range(2)]
        with under([counter, *readers]):
            report.check("clients read what they wrote", goes_on([counter]))
            nodes[0].crash()
            report.check("a primary dies: its replica takes over", eventually(lambda: nodes[3].info().get("role") == "master", FAILOVER_SECONDS_MAX))
            report.check("its keys are written", eventually(lambda: client.command("SET", keys[0], keys[0] + "=1") == OK, 10))
            nodes[0].restart()
            report.check("and read at both again", fans_out(server.connect(timeout=20), [nodes[0], nodes[3]], keys[0]))
            report.check("others go on", goes_on([counter]))
        report.check("never older than what was acknowledged (%d reads)" % counter.answered, not counter.wrong, counter.wrong[:3])
        wrong = [one for load in readers for one in load.wrong]
        report.check("no wrong reply", not wrong, wrong[:3])
