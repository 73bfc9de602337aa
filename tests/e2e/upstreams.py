"""Tidegate in front of a redis-server that runs already, and in front of things that only look like one."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request

from clients import take_over
from report import eventually
from support import resp, servers
from tools import run_tool

HERE = pathlib.Path(__file__).resolve().parent
OK = resp.Reply("simple", b"OK")


def bulk(text):
    return resp.Reply("bulk", text.encode())


@contextlib.contextmanager
def in_front_of(start, port, settings="", routes='[{match: "*", cluster: cache}]', flags=("--workers", "2")):
    """A Tidegate whose cluster `cache` is 127.0.0.1:port, with an engine beside it."""
    text = ('clusters:\n  - {name: local, kind: engine}\n'
            '  - {name: cache, kind: redis, nodes: ["127.0.0.1:%d"]%s}\nroutes: %s\n' % (port, settings, routes))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        with start(*flags, files=[config.name]) as server:
            yield server


def ask(server, *command):
    connection = server.connect()
    try:
        return connection.command(*command)
    finally:
        connection.close()


def ask_all(connection, commands):
    connection.send(b"".join(resp.encode_command(command) for command in commands))
    return [connection.read() for _ in commands]


def upstream_basics(report, start):
    with servers.redis_server() as redis, in_front_of(start, redis.port) as server:
        proxied, direct = server.connect(), redis.connect()
        report.equal("SET", proxied.command("SET", "k", "v"), OK)
        report.equal("it is there", direct.command("GET", "k"), bulk("v"))
        report.equal("GET", proxied.command("GET", "k"), bulk("v"))
        report.equal("an error is the node's", proxied.command("INCR", "k"), direct.command("INCR", "k"))
        direct.command("RPUSH", "l", *range(2000))
        report.equal("LRANGE", proxied.command("LRANGE", "l", 0, -1), direct.command("LRANGE", "l", 0, -1))
        value = os.urandom(3 << 20)
        report.equal("a large value goes", proxied.command("SET", "large", value), OK)
        report.equal("and comes", proxied.command("GET", "large").value, value)
        for command in (("DBSIZE",), ("KEYS", "l*"), ("SCAN", "0", "COUNT", "100"), ("PUBLISH", "c", "m"), ("MGET", "k", "none"),
                        ("MEMORY", "USAGE", "k"), ("OBJECT", "ENCODING", "l"), ("XADD", "s", "1-1", "a", "b"),
                        ("XREAD", "COUNT", "1", "STREAMS", "s", "0"), ("TYPE", "s")):
            mine = proxied.command(*command)
            if command[0] == "XADD":
                continue
            theirs = direct.command(*command)
            if mine.kind == "array" and command[0] in ("KEYS", "SCAN"):
                mine, theirs = sorted(str(mine)), sorted(str(theirs))
            report.equal(" ".join(command[:2]), mine, theirs)
        proxied.command("SELECT", 3)
        report.equal("another database: SET", proxied.command("SET", "three", "3"), OK)
        report.equal("it is not in the first", direct.command("GET", "three"), resp.Reply("nil", None))
        direct.command("SELECT", 3)
        report.equal("but in its own", direct.command("GET", "three"), bulk("3"))
        report.equal("FLUSHALL", proxied.command("FLUSHALL"), OK)
        report.equal("reaches the node", direct.command("GET", "three"), resp.Reply("nil", None))
        three = server.connect()
        three.command("HELLO", 3)
        three.command("HSET", "h", "a", "1")
        report.equal("RESP3: a map", three.command("HGETALL", "h").kind, "map")
        report.equal("RESP2 beside it: an array", ask(server, "HGETALL", "h").kind, "array")
        report.equal("PING is answered here", proxied.command("PING"), resp.Reply("simple", b"PONG"))
        report.check("INFO is our own", b"tidegate" in proxied.command("INFO", "server").value.lower())
        report.check("CONFIG SET does not reach the node", proxied.command("CONFIG", "SET", "maxmemory", "123mb") == OK
                     and direct.command("CONFIG", "GET", "maxmemory").value[1].value == b"0")
        report.check("metrics by cluster and node", all('tidegate_upstream_%s{cluster="cache",node="127.0.0.1:%d"} %d' % (name, redis.port, count) in server.metrics_text()
                                               for name, count in (("requests_in_flight", 0), ("connect_failures_total", 0), ("protocol_errors_total", 0))))
        with urllib.request.urlopen("http://127.0.0.1:%d/clusters" % server.admin_port, timeout=5) as answer:
            cluster, = json.load(answer)["clusters"]
        node, = cluster["nodes"]
        report.check("/clusters", cluster["name"] == "cache" and node["node"] == "127.0.0.1:%d" % redis.port
                     and node["connections"] >= 3 and node["requests"] > 20 and node["connect_failures"] == 0, cluster)
        report.equal("the name of our connections", b"name=tidegate" in direct.command("CLIENT", "LIST").value, True)


def upstream_whom(report, start):
    """Whom each command means: what has a key goes to whoever has it, what is about a server is about Tidegate."""
    routes = '[{match: "*", cluster: cache}, {match: "here:*", cluster: local}]\ncommands:\n  - {name: MIGRATE, keys: 3}'
    with servers.redis_server() as redis, servers.redis_server() as other, in_front_of(start, redis.port, routes=routes) as server:
        proxied, direct = server.connect(), redis.connect()
        direct.command("RPUSH", "l", 3, 1, 2)
        direct.command("SET", "k", "v")
        proxied.command("SET", "here:k", "w")
        for command in (("SORT", "l"), ("SORT", "l", "DESC", "STORE", "sorted"), ("SORT_RO", "l"), ("COPY", "k", "k2"), ("OBJECT", "ENCODING", "l"),
                        ("OBJECT", "REFCOUNT", "k"), ("OBJECT", "IDLETIME", "k"), ("OBJECT", "FREQ", "k"),
                        ("OBJECT", "ENCODING", "here:k"), ("MEMORY", "USAGE", "k"), ("MEMORY", "USAGE", "here:k"), ("DUMP", "k"),
                        ("RESTORE", "bad", "0", "x"), ("COPY", "k", "x", "DB", "99")):
            here = any(str(word).startswith("here:") for word in command)
            mine = proxied.command(*command)
            if command[-1] == "k2":
                direct.command("DEL", "k2")
            theirs = direct.command(*command)
            if here:
                report.check("the engine's: " + " ".join(command), mine.kind != theirs.kind and theirs.kind != "bulk", (mine, theirs))
            else:
                report.equal("as there: " + " ".join(map(str, command))[:40], mine, theirs)
        payload = proxied.command("DUMP", "l").value
        report.equal("RESTORE", proxied.command("RESTORE", "l2", 0, payload), OK)
        report.equal("it is there", direct.command("LLEN", "l2").value, 3)
        report.equal("MOVE", proxied.command("MOVE", "l2", 5).value, 1)
        direct.command("SELECT", 5)
        report.equal("it is there, in the other database", direct.command("LLEN", "l2").value, 3)
        direct.command("SELECT", 0)
        report.equal("MIGRATE, declared", proxied.command("MIGRATE", "127.0.0.1", other.port, "k", 0, 1000), OK)
        report.equal("the other server has it", other.connect().command("GET", "k"), bulk("v"))
        report.check("COPY over two clusters is refused", b"different clusters" in proxied.command("COPY", "l", "here:l").value)
        report.check("DEBUG OBJECT of its key is refused", b"belongs to an upstream" in proxied.command("DEBUG", "OBJECT", "l").value)
        report.check("of ours it is not", b"encoding:embstr" in proxied.command("DEBUG", "OBJECT", "here:k").value)
        before = direct.command("INFO", "commandstats").value
        for command in (("CLIENT", "LIST"), ("CLIENT", "ID"), ("CLIENT", "SETNAME", "x"), ("CLIENT", "NO-EVICT", "on"), ("CONFIG", "GET", "save"),
                        ("CONFIG", "SET", "slowlog-max-len", "7"), ("CONFIG", "RESETSTAT"), ("ACL", "WHOAMI"), ("DEBUG", "SLEEP", "0"),
                        ("LATENCY", "LATEST"), ("LATENCY", "RESET"), ("MEMORY", "STATS"), ("MEMORY", "DOCTOR"), ("MEMORY", "PURGE"),
                        ("SLOWLOG", "GET"), ("SLOWLOG", "RESET"), ("COMMAND", "COUNT"), ("ROLE",), ("LASTSAVE",), ("TIME",), ("MODULE", "LIST"),
                        ("REPLICAOF", "NO", "ONE"), ("CLUSTER", "INFO"), ("INFO", "replication"), ("BGREWRITEAOF",)):
            proxied.command(*command)
        names = lambda text: sorted(line.split(b":")[0] for line in text.splitlines() if b"cmdstat_" in line)  # noqa: E731
        report.equal("nothing about a server reached the node", names(direct.command("INFO", "commandstats").value),
                     sorted({*names(before), b"cmdstat_info"}))
        report.check("nor was its limit set", direct.command("CONFIG", "GET", "slowlog-max-len").value[1] == bulk("128"))


def upstream_scripts(report, start):
    """What the engine does not know and upstreams do: scripts, functions, commands of modules."""
    routes = '[{match: "*", cluster: cache}, {match: "here:*", cluster: local}]\ncommands:\n  - {name: "RESTORE-*", keys: 1}'
    with servers.redis_server() as redis, in_front_of(start, redis.port, routes=routes) as server:
        proxied, direct = server.connect(), redis.connect()
        script = "redis.call('INCRBY', KEYS[1], ARGV[1]); return {KEYS[1], redis.call('GET', KEYS[1])}"
        report.equal("EVAL", proxied.command("EVAL", script, 1, "counter", 7).value, [bulk("counter"), bulk("7")])
        report.equal("it ran there", direct.command("GET", "counter"), bulk("7"))
        sha = proxied.command("SCRIPT", "LOAD", "return ARGV[1]").value.decode()
        report.equal("EVALSHA", proxied.command("EVALSHA", sha, 0, "x"), bulk("x"))
        for command in (("EVALSHA", "0" * 40, 1, "k"), ("EVAL", "return nope(", 0), ("EVAL", script, "x"), ("EVAL", script, 3, "a"),
                        ("EVAL_RO", "return redis.call('SET', KEYS[1], 1)", 1, "k"), ("SCRIPT", "EXISTS", sha, "0" * 40)):
            report.equal("as there: " + " ".join(map(str, command))[:40], proxied.command(*command), direct.command(*command))
        library = "#!lua name=lib\nredis.register_function('get', function(keys) return redis.call('GET', keys[1]) end)"
        report.equal("FUNCTION LOAD", proxied.command("FUNCTION", "LOAD", library), bulk("lib"))
        report.equal("FCALL", proxied.command("FCALL", "get", 1, "counter"), bulk("7"))
        report.equal("a script over two clusters", proxied.command("EVAL", script, 2, "counter", "here:k").kind, "error")
        report.equal("the engine executes those of its keys", proxied.command("EVAL", script, 1, "here:k", 1).value, [bulk("here:k"), bulk("1")])
        report.equal("of which the node knows nothing", direct.command("EXISTS", "here:k").value, 0)
        payload = direct.command("DUMP", "counter").value
        report.equal("a command from the configuration", proxied.command("RESTORE-ASKING", "copy", 0, payload), OK)
        report.equal("which only the node knows", direct.command("GET", "copy"), bulk("7"))
        report.equal("for the engine it is unknown", proxied.command("RESTORE-ASKING", "here:copy", 0, payload).value[:19],
                     b"ERR unknown command")
        direct.command("SCRIPT", "FLUSH")
        report.equal("a script that the node has forgotten", proxied.command("EVALSHA", sha, 0, "y"), bulk("y"))
        report.equal("it has it again", direct.command("SCRIPT", "EXISTS", sha).value[0].value, 1)
        redis.crash()
        redis.restart()
        report.check("or never had, started anew", eventually(lambda: proxied.command("EVALSHA", sha.upper(), 0, "z") == bulk("z"), 5.0))
        direct = redis.connect()
        proxied.command("SCRIPT", "FLUSH")
        report.equal("SCRIPT FLUSH forgets it here too", proxied.command("EVALSHA", sha, 0, "y").value[:8], b"NOSCRIPT")
        report.equal("nothing runs", proxied.command("SCRIPT", "KILL"), direct.command("SCRIPT", "KILL"))
        direct.command("CONFIG", "SET", "busy-reply-threshold", 50)
        for name, kill in (("EVAL", "SCRIPT"), ("FCALL", "FUNCTION")):
            if name == "FCALL":
                proxied.command("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('endless', function() while true do end end)")
            proxied.send(resp.encode_command((name, "while true do end" if name == "EVAL" else "endless", 0)))
            killer = server.connect()
            report.check("%s KILL ends a script over the same connection" % kill,
                         eventually(lambda killer=killer, kill=kill: killer.command(kill, "KILL") == OK, 3.0))
            report.check("%s hears of it" % name, b"killed by user" in proxied.read(5.0).value)
        report.equal("and others still are", proxied.command("NOPE", "k").value[:26], b"ERR unknown command 'NOPE'")


def upstream_order(report, start):
    routes = '[{match: "near:*", cluster: local}, {match: "*", cluster: cache}]'
    with servers.redis_server() as redis, in_front_of(start, redis.port, routes=routes) as server:
        report.equal("a key of the engine", ask(server, "SET", "near:1", "x"), OK)
        report.equal("stays here", ask(redis, "EXISTS", "near:1").value, 0)
        reply = ask(server, "MGET", "near:1", "far:1")
        report.check("keys of both are refused", reply.kind == "error" and b"different clusters" in reply.value, reply)
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)

        def one_client(number, wrong):
            connection = server.connect(timeout=20.0)
            for _ in range(20):
                commands, expected = [], []
                for i in range(chance.randrange(1, 700)):
                    text = "%d.%d" % (number, i)
                    kind = chance.randrange(12)
                    if kind == 0:
                        commands.append(("SET", "near:%d" % number, text))
                        expected.append(OK)
                        commands.append(("GET", "near:%d" % number))
                        expected.append(bulk(text))
                    elif kind == 1:
                        commands.append(("ECHO", text))
                        expected.append(bulk(text))
                    elif kind == 2:
                        commands.append(("NOSUCH",))
                        expected.append(None)
                    else:
                        commands.append(("SET", "far:%d" % number, text))
                        expected.append(OK)
                        commands.append(("GET", "far:%d" % number))
                        expected.append(bulk(text))
                got = ask_all(connection, commands)
                for command, mine, right in zip(commands, got, expected):
                    if mine != right and not (right is None and mine.kind == "error"):
                        wrong.append((command, mine, right))
            connection.close()

        wrong = []
        threads = [threading.Thread(target=one_client, args=(n, wrong)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.equal("pipelines over both are answered in order (seed %d)" % seed, wrong[:3], [])
        connection = server.connect()
        connection.send(b"*2\r\n$3\r\nGET\r\n$5\r\nfar:1\r\n*2\r\n$-1\r\n")
        first, second = connection.read(), connection.read()
        report.check("a protocol error comes behind the replies that are awaited",
                     first.kind == "bulk" and second.value.startswith(b"ERR Protocol error"), (first, second))
        quiet = server.connect()
        quiet.send(b"".join(resp.encode_command(c) for c in (
            ("CLIENT", "REPLY", "SKIP"), ("SET", "far:q", "1"), ("GET", "far:q"), ("QUIT",))))
        report.equal("CLIENT REPLY SKIP", quiet.read(), bulk("1"))
        report.equal("QUIT is the last", quiet.read(), OK)


def upstream_dies(report, start):
    settings = ", connect-timeout: 500ms, request-timeout: 1s"
    with servers.redis_server() as redis, in_front_of(start, redis.port, settings) as server:
        connection = server.connect()
        report.equal("before", connection.command("SET", "k", "v"), OK)
        redis.crash()
        began = time.monotonic()
        reply = connection.command("GET", "k")
        report.check("killed: a defined error, at once",
                     reply.kind == "error" and reply.value.startswith(b"ERR upstream cluster 'cache', 127.0.0.1:")
                     and time.monotonic() - began < 1.0, reply)
        kinds = {ask(server, "GET", "k").kind for _ in range(50)}
        report.equal("and for the next ones", kinds, {"error"})
        report.equal("PING goes on", connection.command("PING").value, b"PONG")
        redis.restart()
        report.check("it is back", eventually(lambda: connection.command("SET", "k", "w") == OK, 5.0))
        # The other worker has a pause of its own.
        report.check("with its data", eventually(lambda: ask(server, "GET", "k") == bulk("w"), 5.0))
        os.kill(redis.process.pid, 19)  # SIGSTOP
        began = time.monotonic()
        reply = connection.command("GET", "k")
        took = time.monotonic() - began
        os.kill(redis.process.pid, 18)  # SIGCONT
        report.check("stopped: an error within the request-timeout",
                     reply.kind == "error" and b"request-timeout" in reply.value and 0.9 < took < 1.6, (reply, took))
        report.check("then it answers again", eventually(lambda: connection.command("GET", "k") == bulk("w"), 5.0))


def upstream_failed_snapshot(report, start):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-data-"))
    data = folder / "data"
    routes = '[{match: "near:*", cluster: local}, {match: "*", cluster: cache}]'
    flags = ("--workers", "2", "--dir", data, "--save", "3600 1")
    try:
        with servers.redis_server() as redis, in_front_of(start, redis.port, routes=routes, flags=flags) as server:
            connection = server.connect()
            report.equal("before", connection.command("SET", "near:k", "v"), OK)
            data.write_text("")  # a directory that is none, and that the first snapshot would make
            connection.command("BGSAVE")
            report.check("a failed snapshot refuses writes here",
                         eventually(lambda: connection.command("SET", "near:k", "v").value.startswith(b"MISCONF"), 5.0))
            report.equal("and not there", connection.command("SET", "far", "v"), OK)
            report.equal("in a pipeline too",
                         ask_all(connection, [("SET", "far", "w"), ("GET", "far"), ("SET", "near:k", "v")])[1], bulk("w"))
            data.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def upstream_login(report, start):
    with servers.redis_server("--requirepass", "secret") as redis:
        admin = redis.connect()
        admin.command("AUTH", "secret")
        admin.command("ACL", "SETUSER", "app", "on", ">pass", "~*", "+@all")
        for settings in (", password: secret", ", username: app, password: pass"):
            with in_front_of(start, redis.port, settings) as server:
                connection = server.connect()
                report.equal("RESP2%s" % settings, connection.command("SET", "a", "1"), OK)
                connection.command("HELLO", 3)
                report.equal("RESP3%s" % settings, connection.command("SET", "a", "1"), OK)
        with in_front_of(start, redis.port, ", password: wrong") as server:
            reply = ask(server, "GET", "a")
            report.check("a wrong password is said", b"it refused us: WRONGPASS" in reply.value, reply)
        with in_front_of(start, redis.port, ", password: secret, database: 5, protocol: 2") as server:
            connection = server.connect()
            connection.command("SET", "five", "5")
            admin.command("SELECT", 5)
            report.equal("database: 5", admin.command("GET", "five"), bulk("5"))
            report.check("FLUSHALL is refused", b"is one database" in connection.command("FLUSHALL").value)
            connection.command("SELECT", 1)
            report.check("and other databases", b"has one database" in connection.command("GET", "five").value)
            connection.command("SELECT", 0)
            connection.command("HELLO", 3)
            report.check("protocol: 2", b"protocol is set to 2" in connection.command("GET", "five").value)


class Pretender:
    """Listens as a node; `play(socket, requests read so far)` writes what it wants. Hands out a name for each SELECT."""

    def __init__(self, play):
        self.play = play
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        data = b""
        try:
            while data.count(b"SELECT") < 1 or not data.endswith(b"0\r\n"):
                data += peer.recv(65536)
            peer.sendall(b"+OK\r\n+OK\r\n")
            while True:
                request = peer.recv(65536)
                if not request:
                    return
                self.play(peer, request)
        except OSError:
            pass
        finally:
            peer.close()


def upstream_garbage(report, start):
    settings = ", connect-timeout: 500ms, request-timeout: 500ms"

    def twice_later(peer, _):
        peer.sendall(b"$5\r\nfirst\r\n")
        time.sleep(0.1)
        peer.sendall(b"$6\r\nsecond\r\n")

    plays = (
        ("garbage", lambda peer, _: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), b"it sent a line that is no reply"),
        ("half a reply, and the end", lambda peer, _: (peer.sendall(b"$10\r\nhalf"), peer.shutdown(socket.SHUT_RDWR)), b"closed the connection"),
        ("half a reply", lambda peer, _: peer.sendall(b"$10\r\nhalf"), b"request-timeout"),
        ("nothing", lambda peer, _: None, b"request-timeout"),
        ("a bulk that lies", lambda peer, _: peer.sendall(b"$3\r\nabcdef\r\n"), b"does not end where it said"),
    )
    for name, play, text in plays:
        node = Pretender(play)
        with in_front_of(start, node.port, settings) as server:
            began = time.monotonic()
            replies = ask_all(server.connect(), [("GET", "a"), ("GET", "b"), ("PING",)])
            took = time.monotonic() - began
            report.check("%s: an error for each, within the time" % name,
                         all(r.kind == "error" and text in r.value for r in replies[:2]) and replies[2].value == b"PONG" and took < 1.5,
                         (replies, took))
        node.listener.close()
    node = Pretender(twice_later)
    with in_front_of(start, node.port, settings, flags=("--workers", "1")) as server:
        connection = server.connect()
        report.equal("answers twice: the first", connection.command("GET", "a"), bulk("first"))
        time.sleep(0.3)
        report.equal("the second is nobody's", connection.command("GET", "a"), bulk("first"))
        report.check("and is noticed", "a reply that nobody asked for" in server.log_text())
    node.listener.close()

    def late(peer, request):
        time.sleep(0.9 if b"slow" in request else 0)
        peer.sendall(b"+%s\r\n" % request.split(b"\r\n")[4])
    node = Pretender(late)
    with in_front_of(start, node.port, settings, flags=("--workers", "1")) as server:
        connection = server.connect()
        report.equal("late: an error", connection.command("GET", "slow").kind, "error")
        for i in range(20):
            time.sleep(0.05)
            reply = connection.command("GET", "k%d" % i)
            if reply.kind != "error" and not report.equal("no reply of another request", reply.value, b"k%d" % i):
                break
        report.equal("the late reply went to nobody", reply.value, b"k19")
    node.listener.close()


def upstream_clients(report, start):
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run_tool([p, "-c", "import redis"])[0] == 0), None)
    with servers.redis_server() as redis, in_front_of(start, redis.port) as server:
        status, output = run_tool(["redis-cli", "-p", server.port, "SET", "cli", "1"])
        report.check("redis-cli SET", status == 0 and output.strip() == "OK", output)
        status, output = run_tool(["redis-cli", "-p", server.port, "--scan"])
        report.check("redis-cli --scan", status == 0 and output.strip() == "cli", output)
        if report.check("python3-redis: is installed", python is not None):
            status, output = run_tool([python, HERE / "upstream_client.py", server.port])
            take_over(report, status, output, "python3-redis")
        if (HERE / "node" / "node_modules").exists():
            for name, program in (("ioredis", "upstream_client.mjs"), ("bullmq", "bullmq_client.mjs")):
                status, output = run_tool(["node", HERE / "node" / program, server.port])
                take_over(report, status, output, name)
