"""Operating upstream clusters: a reload under load, draining a node, the slow log of what was forwarded."""

import contextlib
import hashlib
import json
import pathlib
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request

from report import eventually
from support import resp, servers

OK = resp.Reply("simple", b"OK")
QUEUED = resp.Reply("simple", b"QUEUED")


@contextlib.contextmanager
def reloadable(start, clusters, routes, *flags):
    """A Tidegate and a function that gives it other clusters and routes: a mapping of names to what stands behind them."""
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder:
        path = pathlib.Path(folder) / "tidegate.yaml"

        def write(clusters, routes):
            lines = ["clusters:", "  - {name: local, kind: engine}"]
            lines += ["  - {name: %s, %s}" % one for one in clusters.items()]
            path.write_text("\n".join(lines) + "\nroutes: [%s]\n" % ", ".join("{match: '%s', cluster: %s}" % one for one in routes.items()))

        write(clusters, routes)
        with start("--workers", "2", *flags, files=[path]) as server:
            def reload(clusters, routes, text=None):
                if text is None:
                    write(clusters, routes)
                else:
                    path.write_text(text)
                server.process.send_signal(signal.SIGHUP)

            yield server, reload


def at(server, more=""):
    return 'kind: redis, nodes: ["127.0.0.1:%d"]%s' % (server.port, more)


def clusters_of(server):
    with urllib.request.urlopen("http://127.0.0.1:%d/clusters" % server.admin_port, timeout=5) as answer:
        return json.load(answer)["clusters"]


def names_of(server):
    return [cluster["name"] for cluster in clusters_of(server)]


class Load:
    """Clients that ask ordinary things all the time and note every reply that is not right."""

    def __init__(self, port, clients=6):
        self.wrong = []
        self.rounds = 0
        self.stopping = False
        self.threads = [threading.Thread(target=self.work, args=(port, number)) for number in range(clients)]

    def work(self, port, number):
        try:
            connection = resp.Connection(port, timeout=20)
            while not self.stopping:
                # What a server answers here does not depend on which one it is: no data moves with the routes.
                key = "load:%d" % number
                commands = [("SET", key, "x" * 50), ("STRLEN", key + ":none"), ("SETRANGE", key, "0", "y"), ("TYPE", key + ":none")] * 8
                connection.send(b"".join(resp.encode_command(command) for command in commands))
                for command in commands:
                    reply = connection.read()
                    if reply.kind == "error" or (command[0] == "SET") != (reply == OK) or (command[0] == "TYPE") != (reply.value == b"none"):
                        self.wrong.append((command, reply))
                self.rounds += 1
            connection.close()
        except (OSError, resp.Closed, resp.Timeout, resp.ProtocolError) as error:
            self.wrong.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def goes_on(self, rounds=20):
        before = self.rounds
        return eventually(lambda: self.rounds > before + rounds, 20)

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def reload_under_load(report, start):
    with servers.redis_server() as a, servers.redis_server() as b, servers.redis_server() as c:
        old, both, new = {"old": at(a)}, {"old": at(a), "new": at(b)}, {"new": at(b)}
        with reloadable(start, old, {"*": "old"}) as (server, reload), Load(server.port) as load:
            report.check("clients are at work", load.goes_on())
            reload(both, {"*": "old", "load:1*": "new"})
            report.check("a cluster is added, and a route to it", eventually(lambda: names_of(server) == ["old", "new"], 10), names_of(server))
            report.check("its requests reach it", eventually(lambda: b.connect().command("EXISTS", "load:1").value == 1, 10))
            report.check("clients go on", load.goes_on())
            reload(new, {"*": "new"})
            report.check("the old one is removed", eventually(lambda: names_of(server) == ["new"], 10), clusters_of(server))
            report.check("everything is at the new one", eventually(lambda: b.connect().command("EXISTS", "load:3").value == 1, 10))
            report.equal("nobody of ours is at the old one", eventually(lambda: b"name=tidegate" not in a.connect().command("CLIENT", "LIST").value, 10), True)
            for number in range(12):
                reload({"new": at((b, c)[number % 2], ", request-timeout: %ds" % (3 + number))}, {"*": "new"})
                load.goes_on(5)
            report.check("changed again and again", eventually(lambda: len(clusters_of(server)) == 1, 10), clusters_of(server))
            report.check("clients go on", load.goes_on())
            kept = clusters_of(server)[0]["nodes"][0]["connects"]
            reload({"new": at(c, ", request-timeout: 14s"), "more": at(a)}, {"*": "new", "more:*": "more"})
            report.check("one more", eventually(lambda: names_of(server) == ["new", "more"], 10), names_of(server))
            report.check("clients go on", load.goes_on())
            report.equal("what stays keeps its connections", clusters_of(server)[0]["nodes"][0]["connects"], kept)
        report.equal("not one wrong reply", load.wrong[:3], [])


def accepts(port):
    try:
        resp.Connection(port, timeout=5).close()
        return True
    except OSError:
        return False


def reload_listeners(report, start):
    """Listeners come, change their cluster and go, under load that comes through one that stays and one that goes."""
    with servers.redis_server() as a, servers.redis_server() as b, reloadable(start, {"a": at(a)}, {"*": "a"}) as (server, reload):
        ports = [servers.free_port() for _ in range(2)]

        def text(*listeners, more=""):
            # The flag --port is the first one's.
            lines = ["listeners:", '  - {name: first, address: "127.0.0.1:1"}']
            lines += ["  - {name: %s}" % listener for listener in listeners]
            lines += ["clusters:", "  - {name: local, kind: engine}", "  - {name: a, %s}" % at(a), more, "routes: [{match: '*', cluster: a}]\n"]
            return "\n".join(lines)

        with Load(server.port) as stays:
            with_b = "  - {name: b, %s}" % at(b)
            reload({}, {}, text('more, address: "127.0.0.1:%d", cluster: b' % ports[0], more=with_b))
            report.check("a listener is there", eventually(lambda: accepts(ports[0]), 10), server.log_text()[-1000:])
            other = resp.Connection(ports[0], timeout=10)
            report.equal("with a cluster of its own", other.command("SET", "k", "b"), OK)
            report.equal("which is another one", (b.connect().command("GET", "k").value, a.connect().command("GET", "k").value), (b"b", None))
            with Load(ports[0]) as goes:
                report.check("clients are at work there", goes.goes_on())
                for number in range(6):
                    reload({}, {}, text('more, address: "127.0.0.1:%d", cluster: %s' % (ports[0], "ab"[number % 2]), more=with_b))
                    report.check("clients go on while its cluster changes", goes.goes_on(10))
                reload({}, {}, text('new, address: "127.0.0.1:%d"' % ports[1], more=with_b))
                report.check("it goes, another one comes", eventually(lambda: accepts(ports[1]) and not accepts(ports[0]), 10))
                report.check("who is connected goes on", goes.goes_on())
            report.equal("not one wrong reply there", goes.wrong[:3], [])
            report.equal("a client of it is where it was", other.command("GET", "k").value, b"b")
            refused = server.log_text().count("Reload: nothing is changed")
            reload({}, {}, text('new, address: "127.0.0.1:%d"' % ports[1], 'taken, address: "127.0.0.1:%d"' % a.port))
            report.check("an address that is taken", eventually(lambda: server.log_text().count("Reload: nothing is changed") > refused, 10))
            report.check("is told", "listen on 127.0.0.1:%d: Address already in use" % a.port in server.log_text(), server.log_text()[-500:])
            report.equal("and nothing has changed", (accepts(ports[1]), other.command("GET", "k").value, names_of(server)), (True, b"b", ["a", "b"]))
            reload({}, {}, text('new, address: "127.0.0.1:%d"' % ports[1]))
            report.check("the cluster goes", eventually(lambda: names_of(server) == ["a"], 10))
            try:
                left = other.command("GET", "k")
            except (resp.Closed, OSError):
                left = None
            report.equal("and with it the clients whose listener has gone", left, None)
        report.equal("not one wrong reply", stays.wrong[:3], [])


class Counting(Load):
    """Clients that count in the same keys: whatever becomes of the keys, each increment counts once."""

    keys = 60

    def work(self, port, number):
        try:
            connection = resp.Connection(port, timeout=20)
            while not self.stopping:
                connection.send(b"".join(resp.encode_command(("INCR", "n%d" % ((key * 7 + number) % self.keys))) for key in range(self.keys)))
                for _ in range(self.keys):
                    reply = connection.read()
                    if reply.kind != "integer":
                        self.wrong.append(reply)
                self.rounds_of[number] += 1
            connection.close()
        except (OSError, resp.Closed, resp.Timeout, resp.ProtocolError) as error:
            self.wrong.append(error)

    def __init__(self, port, clients=4):
        self.rounds_of = [0] * clients
        super().__init__(port, clients)

    def goes_round(self):
        """Every client has wanted every key since."""
        before = list(self.rounds_of)
        return eventually(lambda: all(now > then + 1 for now, then in zip(self.rounds_of, before)), 30)


def reload_moves(report, start):
    """Keys are moved on from server to server, and mirrored or not, while clients count."""
    with contextlib.ExitStack() as stack:
        nodes = {name: stack.enter_context(servers.redis_server()) for name in "abc"}
        mirror = stack.enter_context(servers.redis_server())
        lines = ["clusters:", "  - {name: local, kind: engine}"] + ["  - {name: %s, %s}" % (name, at(node)) for name, node in nodes.items()]
        lines.append("  - {name: copy, %s}" % at(mirror))

        def text(cluster, more=""):
            return "\n".join(lines) + "\nroutes: [{match: '*', cluster: %s%s}]\n" % (cluster, more)

        server, reload = stack.enter_context(reloadable(start, {"a": at(nodes["a"])}, {"*": "a"}))
        with Counting(server.port) as load:
            report.check("clients count", load.goes_round())
            order = "abc" * 3
            for old, new in zip(order, order[1:]):
                changes = server.log_text().count("new routes are in force")
                reload({}, {}, text(new, ", move-from: %s" % old))
                eventually(lambda before=changes: server.log_text().count("new routes are in force") > before, 10)
                report.check("from %s to %s" % (old, new), load.goes_round() and load.goes_round(), load.wrong[:3])
                reload({}, {}, text(new, ", mirror: {cluster: copy, percent: 50}"))
                report.check("mirrored meanwhile", load.goes_round())
        report.equal("no wrong reply", load.wrong[:3], [])
        total = str(sum(load.rounds_of)).encode()
        client = server.connect()
        report.equal("each increment counts once", {client.command("GET", "n%d" % key).value for key in range(Counting.keys)}, {total})
        report.equal("all keys are in one place", [nodes[name].connect().command("DBSIZE").value for name in "abc"], [0, 0, Counting.keys])
        report.check("and half of the writes in the mirror too", 0 < mirror.connect().command("DBSIZE").value < Counting.keys)


def reload_commands(report, start):
    """Commands are declared, declared otherwise, and not any more, while clients are at work."""
    with servers.redis_server("--rename-command", "APPEND", "MY.APPEND", "--rename-command", "STRLEN", "MY.STRLEN") as redis, \
            reloadable(start, {}, {"*": "local"}) as (server, reload):
        client = server.connect()

        def declare(*commands):
            lines = ["commands: [%s]" % ", ".join("{name: %s}" % command for command in commands), "clusters:", "  - {name: local, kind: engine}",
                     "  - {name: cache, %s}" % at(redis), "routes: [{match: '*', cluster: cache}]\n"]
            reload({}, {}, "\n".join(lines))

        unknown = lambda *command: client.command(*command).value.startswith(b"ERR unknown command")  # noqa: E731
        report.check("not known without upstreams", unknown("MY.APPEND", "k", "x"))
        # The node calls it otherwise.
        length = "return redis.call('STRLEN', KEYS[1])"
        report.equal("scripts are the engine's", client.command("EVAL", length, "1", "k").value, 0)
        declare()
        report.check("and the node's with the first upstream", eventually(lambda: client.command("EVAL", length, "1", "k").kind == "error", 10))
        report.check("what is not declared is still not known", unknown("MY.APPEND", "k", "x"))
        declare("MY.APPEND, keys: 1")
        report.check("declared", eventually(lambda: client.command("MY.APPEND", "k", "x").kind == "integer", 10))
        calls = client.command("MY.APPEND", "k", "y").value
        declare("MY.STRLEN, keys: 1, access: read", "MY.APPEND, keys: 1")
        report.check("one more, in front of it", eventually(lambda: client.command("MY.STRLEN", "k").value == calls, 10))
        report.check("counters stay those of their commands", b"cmdstat_my.append:calls=%d," % calls in client.command("INFO", "commandstats").value,
                     client.command("INFO", "commandstats").value)
        client.command("MULTI")
        client.command("MY.APPEND", "k", "z")
        declare("MY.STRLEN, keys: 1")
        other = server.connect()
        # With too few arguments: as long as it is declared it must not change anything.
        report.check("not declared any more",
                     eventually(lambda: other.command("MY.APPEND").value.startswith(b"ERR unknown command"), 10))
        report.equal("what was queued before is executed", client.command("EXEC").value, [resp.Reply("integer", calls + 1)])
        declare("MY.*, keys: 1")
        report.check("a pattern", eventually(lambda: other.command("MY.APPEND", "k", "x").value == calls + 2, 10))


def reload_ends_what_stays(report, start):
    """A cluster that leaves answers what it has, but not for ever: after 30 s it is ended."""
    patient = ", request-timeout: 90s, health-check-interval: 0s"
    with servers.redis_server("--enable-debug-command", "yes") as old, servers.redis_server() as new:
        with reloadable(start, {"old": at(old, patient)}, {"*": "old"}) as (server, reload):
            waits, other = server.connect(timeout=60), server.connect()
            report.equal("a client is there", waits.command("SET", "k", "1"), OK)
            sleeps = old.connect(timeout=60)
            sleeps.send(resp.encode_command(("DEBUG", "SLEEP", "45")))
            report.check("the node stands still", eventually(lambda: not answers(old), 10))
            waits.send(resp.encode_command(("GET", "k")) + resp.encode_command(("GET", "k")))
            report.check("two requests are on their way", eventually(lambda: clusters_of(server)[0]["nodes"][0]["in_flight"] >= 2, 10))
            began = time.monotonic()
            reload({"new": at(new)}, {"*": "new"})
            report.check("it leaves", eventually(lambda: [one["name"] for one in clusters_of(server) if one.get("leaving")] == ["old"], 10))
            report.equal("others go on at the new one", other.command("SET", "k", "2"), OK)
            expected = "ERR upstream cluster 'old', 127.0.0.1:%d: it was removed from the configuration" % old.port
            report.equal("both are told", [waits.read().value.decode() for _ in range(2)], [expected] * 2)
            report.check("after 30 s", 28 < time.monotonic() - began < 40, time.monotonic() - began)
            report.equal("the client goes on at the new one", waits.command("GET", "k").value, b"2")
            report.check("and the old one is gone", eventually(lambda: names_of(server) == ["new"], 10), clusters_of(server))
            old.process.kill()


def answers(server):
    try:
        connection = resp.Connection(server.port, timeout=0.3)
        try:
            return connection.command("PING").kind == "simple"
        finally:
            connection.close()
    except (OSError, resp.Closed, resp.Timeout):
        return False


def reload_of_a_wrong_file(report, start):
    with servers.redis_server() as a, servers.redis_server() as b:
        with reloadable(start, {"old": at(a)}, {"*": "old"}) as (server, reload):
            connection = server.connect()
            report.equal("SET", connection.command("SET", "k", "1"), OK)
            before = clusters_of(server)
            for name, text, said in (
                    ("a route to nowhere", "clusters:\n  - {name: new, %s}\nroutes: [{match: '*', cluster: nwe}]\n" % at(b), "nwe"),
                    ("a kind that is none", "clusters:\n  - {name: new, kind: rediss, nodes: ['127.0.0.1:1']}\n", "rediss"),
                    ("no YAML", "clusters: [", "not valid YAML"),
                    ("one right thing among wrong ones", "slowlog-max-len: 77\nclusters:\n  - {name: new, %s, nonsense: 1}\n" % at(b), "nonsense")):
                refusals = server.log_text().count("Reload: nothing is changed")
                reload({}, {}, text)
                report.check(name + " is refused", eventually(lambda: server.log_text().count("Reload: nothing is changed") > refusals, 5))
                report.check("and the log says why", said in server.log_text().rsplit("Reload: nothing is changed", 1)[-1], server.log_text()[-500:])
            report.equal("nothing has changed", (names_of(server), before[0]["nodes"][0]["connects"]), (["old"], clusters_of(server)[0]["nodes"][0]["connects"]))
            report.equal("no setting either", connection.command("CONFIG", "GET", "slowlog-max-len").value[-1].value, b"128")
            report.equal("GET", connection.command("GET", "k").value, b"1")
            reload({"new": at(b)}, {"*": "new"})
            report.check("a right one is taken afterwards", eventually(lambda: names_of(server) == ["new"], 10), names_of(server))
            report.equal("GET at the new one", connection.command("GET", "k"), resp.Reply("nil", None))


def reload_with_state(report, start):
    """Who subscribes, waits, watches and has a transaction open when his cluster goes."""
    with servers.redis_server() as a, servers.redis_server() as b:
        with reloadable(start, {"old": at(a)}, {"*": "old"}) as (server, reload):
            subscriber, waits, watches, open_one = (server.connect() for _ in range(4))
            subscriber.command("SUBSCRIBE", "news")
            subscriber.command("PSUBSCRIBE", "n*")
            report.equal("WATCH", watches.command("WATCH", "k"), OK)
            report.equal("MULTI", [open_one.command("MULTI"), open_one.command("INCR", "k")], [OK, QUEUED])
            waits.send(resp.encode_command(("BLPOP", "list", "0")))
            report.check("it waits", eventually(lambda: "blocked_clients:1" in "blocked_clients:" + server.info()["blocked_clients"], 5))
            eventually(lambda: a.info()["blocked_clients"] == "1", 5)
            reload({"new": at(b)}, {"*": "new"})
            report.check("the new one is there", eventually(lambda: names_of(server) == ["new"], 10), clusters_of(server))
            report.equal("who waited is unblocked", waits.read(), resp.Reply("error", b"UNBLOCKED client unblocked via CLIENT UNBLOCK"))
            report.equal("the transaction is executed at the new one", open_one.command("EXEC").value, [resp.Reply("integer", 1)])
            report.equal("there it is", b.connect().command("GET", "k").value, b"1")
            watches.command("MULTI")
            watches.command("INCR", "k")
            report.equal("what was watched counts as changed", watches.command("EXEC").kind, "nil_array")
            publisher = server.connect()
            report.check("PUBLISH finds two", eventually(lambda: publisher.command("PUBLISH", "news", "hello").value == 2, 5))
            report.equal("the message came", subscriber.read().value[-1].value, b"hello")
            report.equal("and by the pattern", subscriber.read().value[-1].value, b"hello")
            report.equal("nobody is left at the old one", eventually(lambda: b"name=tidegate" not in a.connect().command("CLIENT", "LIST").value, 5), True)
            reload({}, {"*": "local"})
            report.check("without clusters", eventually(lambda: names_of(server) == [], 10), clusters_of(server))
            report.check("a subscriber that cannot follow is told by the end", subscriber.wait_closed(5))
            report.equal("the engine answers", publisher.command("SET", "k", "e"), OK)
            reload({"new": at(b)}, {"*": "new"})
            report.check("and again", eventually(lambda: names_of(server) == ["new"], 10), clusters_of(server))
            report.equal("what was there is there", publisher.command("GET", "k").value, b"1")
        with reloadable(start, {}, {"*": "local"}) as (server, reload):
            reload({"first": at(a)}, {"*": "first"})
            report.check("the first cluster of all", eventually(lambda: names_of(server) == ["first"], 10), clusters_of(server))
            report.equal("scripts come with it", server.connect().command("EVAL", "return 1", "0").value, 1)


class Hunter(threading.Thread):
    """A client that does one kind of thing again and again, and knows which replies a reload may bring."""

    def __init__(self, port, act, allowed):
        super().__init__()
        self.port, self.act, self.allowed = port, act, allowed
        self.wrong, self.rounds, self.stopping = [], 0, False

    def run(self):
        connection = None
        while not self.stopping and not self.wrong:
            try:
                connection = connection or resp.Connection(self.port, timeout=20)
                self.wrong += [reply for reply in self.act(connection) if reply.kind == "error" and not reply.value.startswith(self.allowed)]
                self.rounds += 1
            except (resp.Closed, ConnectionError) as error:
                if b"closed" not in self.allowed:
                    self.wrong.append(error)
                connection = None
            except (OSError, resp.Timeout, resp.ProtocolError) as error:
                self.wrong.append(error)
        if connection is not None:
            connection.close()


def all_of(*commands):
    def act(connection):
        connection.send(b"".join(resp.encode_command(command) for command in commands))
        return [connection.read() for _ in commands]

    return act


def subscribing(connection):
    replies = [connection.command("SUBSCRIBE", "c")]
    connection.send(resp.encode_command(("UNSUBSCRIBE", "c")))
    while not (replies[-1].kind == "array" and replies[-1].value[0].value == b"unsubscribe"):
        replies.append(connection.read())  # messages may come before it
        if replies[-1].kind == "error":
            break
    return replies


def reload_hunt(report, start):
    """Everything that a client can have at a cluster, while clusters and routes change all the time."""
    mixed = (b"EXECABORT", b"ERR keys of one transaction", b"ERR watched keys", b"ERR keys of one command")
    with servers.redis_server() as a, servers.redis_server() as b:
        states = (({"one": at(a)}, {"*": "one"}), ({"two": at(b)}, {"*": "two"}), ({"one": at(a, ", protocol: 2"), "two": at(b)}, {"*": "one", "n:*": "two"}),
                  ({"one": at(a), "two": at(b)}, {"*": "two", "n:*": "one", "w:*": "local"}), ({}, {"*": "local"}),
                  ({"two": at(b, ", connections: 3")}, {"*": "local", "n:*": "two"}))
        with reloadable(start, *states[0]) as (server, reload):
            kinds = ((all_of(("SET", "k", "1"), ("PING",), ("GET", "n:k"), ("DEL", "w:k")), ()),
                     (all_of(("WATCH", "w:t"), ("MULTI",), ("INCR", "w:t"), ("ECHO", "x"), ("INCR", "w:t"), ("EXEC",)), mixed),
                     (all_of(("MULTI",), ("SET", "t", "1"), ("STRLEN", "t"), ("EXEC",)), mixed),
                     (all_of(("BLPOP", "n:list", "0.02"), ("GET", "n:k")), (b"UNBLOCKED",)),
                     (all_of(("RPUSH", "w:list", "1"), ("BLPOP", "w:list", "1")), (b"UNBLOCKED",)),
                     (all_of(("PUBLISH", "c", "m"), ("DBSIZE",)), ()),
                     (subscribing, (b"closed",)))
            hunters = [Hunter(server.port, act, tuple(allowed) or (b"none",)) for act, allowed in kinds for _ in range(2)]
            for hunter in hunters:
                hunter.start()
            for number in range(60):
                reload(*states[number * 7 % len(states) if number % 2 else number * 5 % len(states)])
                before = min(hunter.rounds for hunter in hunters)
                eventually(lambda before=before: min(hunter.rounds for hunter in hunters) > before or any(hunter.wrong for hunter in hunters), 2)
            for hunter in hunters:
                hunter.stopping = True
            for hunter in hunters:
                hunter.join()
            report.equal("no reply that a reload may not bring", [hunter.wrong for hunter in hunters if hunter.wrong][:2], [])
            report.check("all were at work", all(hunter.rounds > 20 for hunter in hunters), [hunter.rounds for hunter in hunters])
            reload(*states[0])
            report.check("nothing is left of what went", eventually(lambda: names_of(server) == ["one"], 10), clusters_of(server))
            figures = lambda: [node[name] for cluster in clusters_of(server) for node in cluster["nodes"] for name in ("in_flight", "private_in_use")]  # noqa: E731
            report.check("and nothing in flight", eventually(lambda: not any(figures()), 5), clusters_of(server))
            report.equal("nobody is counted as blocked", server.info()["blocked_clients"], "0")
            report.equal("and it lives", server.connect().command("SET", "k", "2"), OK)


def post(server, path):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (server.admin_port, path), data=b"", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def drained_nodes(report, start):
    with servers.redis_server("--repl-diskless-sync-delay", "0") as primary, servers.redis_server("--replicaof", "127.0.0.1 %d" % primary.port) as replica:
        nodes = 'kind: replicas, nodes: ["127.0.0.1:%d", "127.0.0.1:%d"], read-from: prefer-replica' % (primary.port, replica.port)
        with reloadable(start, {"cache": nodes, "one": at(primary)}, {"*": "cache", "one:*": "one"}) as (server, _):
            connection = server.connect()
            gets = lambda: int(dict(part.split("=") for part in replica.info().get("cmdstat_get", "calls=0").split(","))["calls"])  # noqa: E731

            def reads_replica():
                before = gets()
                connection.command("GET", "k")
                return gets() > before

            report.check("reads go to the replica", eventually(reads_replica, 20))
            path = "/clusters/cache/nodes/127.0.0.1:%d/" % replica.port
            report.equal("drain", post(server, path + "drain")[0], 200)
            topology = lambda: {node["node"]: node for node in clusters_of(server)[0]["topology"]["nodes"]}["127.0.0.1:%d" % replica.port]  # noqa: E731
            report.equal("it is shown", (topology()["usable"], topology().get("drained"), topology()["why_not"]), (False, True, "drained by an operator"))
            report.check("reads go to the primary", eventually(lambda: not reads_replica(), 5))
            report.equal("undrain", post(server, path + "undrain"), (200, {"cluster": "cache", "node": "127.0.0.1:%d" % replica.port, "drained": False}))
            report.check("reads go to the replica again", eventually(reads_replica, 10))
            status, answer = post(server, "/clusters/cache/nodes/127.0.0.1:%d/drain" % primary.port)
            report.equal("not the primary", (status, answer), (409, {"error": "it is a primary: only that can take writes"}))
            status, answer = post(server, "/clusters/one/nodes/127.0.0.1:%d/drain" % primary.port)
            report.equal("not the only node", (status, answer), (409, {"error": "it is the only node of its cluster"}))
    with servers.redis_server() as a, servers.redis_server() as b:
        ring = 'kind: ring, nodes: ["127.0.0.1:%d", "127.0.0.1:%d"], eject-after-failures: 3' % (a.port, b.port)
        with reloadable(start, {"ring": ring}, {"*": "ring"}) as (server, _):
            connection = server.connect()
            path = "/clusters/ring/nodes/127.0.0.1:%d/" % a.port

            def none_goes_there():
                a.connect().command("FLUSHALL")
                for number in range(50):
                    # Keys that differ in their last bytes alone are near one another on the ring.
                    connection.command("SET", hashlib.md5(b"%d" % number).hexdigest(), "1")
                return a.connect().command("DBSIZE").value == 0

            report.check("a node of a ring has keys", not none_goes_there())
            report.equal("drain", post(server, path + "drain")[0], 200)
            report.check("its keys go to the other", eventually(none_goes_there, 5))
            report.equal("not the last", post(server, "/clusters/ring/nodes/127.0.0.1:%d/drain" % b.port)[0], 409)
            report.equal("undrain", post(server, path + "undrain")[0], 200)
            report.check("and come back", eventually(lambda: not none_goes_there(), 5))


def forwarded_slowlog(report, start):
    with servers.redis_server() as redis:
        with reloadable(start, {"cache": at(redis)}, {"*": "cache"}) as (server, _):
            connection, monitor = server.connect(), server.connect()
            connection.command("CLIENT", "SETNAME", "me")
            connection.command("CONFIG", "SET", "slowlog-log-slower-than", "100000")
            monitor.command("MONITOR")
            connection.command("GET", "quick")
            report.check("MONITOR shows what is forwarded", b'"GET" "quick"' in monitor.read().value)
            redis.connect().command("CLIENT", "PAUSE", "200", "ALL")
            connection.command("SET", "user:" + "x" * 100, "secret")
            entry, = connection.command("SLOWLOG", "GET").value
            _, _, micros, arguments, address, name = (part.value for part in entry.value)
            report.check("it took so long", 100000 <= micros < 5000000, micros)
            report.equal("the command and its key, cut", [argument.value for argument in arguments],
                         [b"set", b"user:" + b"x" * 45 + b"... (55 more bytes)"])
            report.equal("whose it was", (name, b":" in address), (b"me", True))
            node, = clusters_of(server)[0]["nodes"]
            report.check("and in the node's latency", node["p99_seconds"] >= 0.1 > node["p50_seconds"] > 0, node)
            report.check("the histogram", 'tidegate_upstream_request_duration_seconds_count{cluster="cache"' in server.metrics_text())
