"""Keys that are big: found in the engine and behind upstreams, listed, taken back, and what redis-cli's own tools find."""

import base64
import contextlib
import json
import re
import subprocess
import tempfile
import urllib.request

from report import eventually
from support import resp, servers

KIB = 1024
MIB = 1024 * KIB
SEEN_SECONDS_MAX = 1.0
OK = resp.Reply("simple", b"OK")


def big_keys(server):
    """The keys of /bigkeys, by cluster, database and exact name."""
    with urllib.request.urlopen("http://127.0.0.1:%d/bigkeys" % server.admin_port, timeout=10) as answer:
        page = json.load(answer)
    return {(key["cluster"], key["db"], base64.b64decode(key["key_base64"])): key for key in page["keys"]}


def is_listed(server, cluster, name, database=0, **what):
    def listed():
        key = big_keys(server).get((cluster, database, name))
        return key is not None and all(key[field] == value for field, value in what.items())

    return eventually(listed, SEEN_SECONDS_MAX)


def is_gone(server, cluster, name):
    return eventually(lambda: (cluster, 0, name) not in big_keys(server), SEEN_SECONDS_MAX)


def metric(server, name):
    found = re.search("^" + re.escape(name) + " ([0-9.e+]+)$", server.metrics_text(), re.M)
    return float(found[1]) if found else None


def fill(connection):
    """One key of each type that is big by its number of elements, and one by its bytes."""
    numbers = [str(i) for i in range(6000)]
    connection.command("RPUSH", "list", *numbers)
    connection.command("SADD", "set", *numbers)
    connection.command("HSET", "hash", *(word for i in numbers for word in (i, "v" + i)))
    connection.command("ZADD", "zset", *(word for i in numbers for word in (i, "m" + i)))
    connection.command("SET", "text", "x" * (2 * MIB))


def big_keys_engine(report, start):
    with start("--workers", "2") as server:
        client = server.connect(timeout=30)
        fill(client)
        for kind in ("list", "set", "hash", "zset"):
            report.check("a %s of 6,000" % kind, is_listed(server, "engine", kind.encode(), type=kind, elements=6000, big=True),
                         big_keys(server))
        report.check("a text of 2 MiB, to the byte", is_listed(server, "engine", b"text", type="string", bytes=2 * MIB, source="engine"),
                     big_keys(server))
        client.command("SET", "warn", "x" * (100 * KIB))
        report.check("one of 100 KiB is not big yet", is_listed(server, "engine", b"warn", big=False))
        for i in range(5000):
            client.send(resp.encode_command(("XADD", "stream", "*", "f", str(i))))
        for i in range(5000):
            client.read()
        report.check("a stream that grew by single entries", is_listed(server, "engine", b"stream", elements=5000, big=True),
                     big_keys(server))
        odd = b'a"\\\x00\xff<b>\n'
        client.command("SELECT", "3")
        client.command("SET", odd, "x" * MIB)
        report.check("a name of any bytes in another database", is_listed(server, "engine", odd, database=3, big=True))
        client.command("SELECT", "0")

        client.command("DEL", "list")
        report.check("what is deleted leaves", is_gone(server, "engine", b"list"))
        client.command("SET", "text", "small")
        report.check("what is overwritten leaves", is_gone(server, "engine", b"text"))
        client.command("SPOP", "set", "3000")
        client.command("PEXPIRE", "zset", "1")
        report.check("what shrinks leaves", is_gone(server, "engine", b"set"))
        report.check("what expires leaves", is_gone(server, "engine", b"zset"))
        report.check("metrics count them", metric(server, 'tidegate_big_keys{level="big"}') == len(
            [key for key in big_keys(server).values() if key["big"]]) and metric(server, "tidegate_big_key_detections_total") >= 8)
        report.equal("CONFIG SET raises the limit", client.command("CONFIG", "SET", "big-key-elements", "100000"), OK)
        client.command("HSET", "hash", "one more", "1")
        report.check("and who is below it is not big any more", eventually(
            lambda: not big_keys(server).get(("engine", 0, b"hash"), {}).get("big"), SEEN_SECONDS_MAX), big_keys(server))
        client.command("FLUSHALL")
        report.check("FLUSHALL empties the list", eventually(lambda: not big_keys(server), SEEN_SECONDS_MAX))


def check_upstream(report, kind, server, client, behind):
    fill(client)
    for name in ("text", "list"):
        report.check("%s: %s is found by what is written" % (kind, name), is_listed(server, "cache", name.encode(), big=True),
                     big_keys(server))
    for command, name in (("SMEMBERS", "set"), ("HLEN", "hash"), ("ZCARD", "zset")):
        client.command(command, name)
        report.check("%s: %s of a %s" % (kind, command, name), is_listed(server, "cache", name.encode(), elements=6000, big=True),
                     big_keys(server))
    name = b"n" * 300
    client.command("SETRANGE", name, str(3 * MIB - 1), "x")
    report.check("%s: a length that a reply says, of a long name" % kind, is_listed(server, "cache", name, bytes=3 * MIB))
    client.command("GET", "text")
    report.check("%s: a reply of 2 MiB, to the byte" % kind, is_listed(server, "cache", b"text", bytes=2 * MIB, source="reply"),
                 big_keys(server))
    client.command("SET", "{t}large", "y" * (1536 * KIB))
    client.command("DEL", "{t}large")
    report.check("%s: DEL takes it back" % kind, is_gone(server, "cache", b"{t}large"))
    behind.command("SET", "{t}large", "y" * (1536 * KIB))
    client.command("MGET", "{t}small", "{t}large", "{t}none")
    report.check("%s: the reply to MGET, to the byte" % kind, is_listed(server, "cache", b"{t}large", bytes=1536 * KIB, type="string"),
                 big_keys(server))
    behind.command("SET", "{t}script", "z" * (1200 * KIB))
    client.command("EVAL", "return redis.call('GET', KEYS[1])", "1", "{t}script")
    report.check("%s: the reply to a script with one key" % kind, is_listed(server, "cache", b"{t}script", bytes=1200 * KIB),
                 big_keys(server))
    behind.command("SET", "{t}inside", "z" * (1300 * KIB))
    client.command("MULTI")
    client.command("GET", "{t}inside")
    client.command("APPEND", "{t}grown", "g" * (1100 * KIB))
    client.command("EXEC")
    report.check("%s: a reply inside of EXEC" % kind, is_listed(server, "cache", b"{t}inside", bytes=1300 * KIB), big_keys(server))
    report.check("%s: a write inside of EXEC" % kind, is_listed(server, "cache", b"{t}grown", bytes=1100 * KIB), big_keys(server))
    client.command("UNLINK", "text")
    report.check("%s: UNLINK takes it back" % kind, is_gone(server, "cache", b"text"))
    client.command("LTRIM", "list", "0", "99")
    client.command("LLEN", "list")
    client.command("RPUSH", "list", *[str(i) for i in range(1000)])
    report.check("%s: a list that was trimmed leaves with the next count" % kind, is_gone(server, "cache", b"list"), big_keys(server))


@contextlib.contextmanager
def in_front_of(start, cluster):
    text = 'clusters:\n  - {name: local, kind: engine}\n  - {name: cache, %s}\nroutes: [{match: "*", cluster: cache}]\n' % cluster
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        with start("--workers", "2", files=[config.name]) as server:
            yield server


def big_keys_upstream(report, start):
    with servers.redis_server() as one, servers.redis_server() as two:
        nodes = 'nodes: ["127.0.0.1:%d", "127.0.0.1:%d"]' % (one.port, two.port)
        for kind, cluster in (("redis", 'kind: redis, nodes: ["127.0.0.1:%d"]' % one.port), ("ring", 'kind: ring, hash-tag: "{}", ' + nodes)):
            for redis in (one, two):
                redis.connect().command("FLUSHALL")
            with in_front_of(start, cluster) as server:
                client = server.connect(timeout=30)
                # Of a ring the node that has the keys of this tag.
                client.command("SET", "{t}small", "x")
                behind = next(redis for redis in (one, two) if redis.connect().command("EXISTS", "{t}small").value)
                check_upstream(report, kind, server, client, behind.connect(timeout=30))


def redis_cli(port, option):
    done = subprocess.run(["redis-cli", "-p", str(port), option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def probed(report, start):
    """What the probe finds of keys that no client of Tidegate uses."""
    with servers.redis_server() as one, servers.redis_server() as two:
        for redis in (one, two):
            fill(redis.connect(timeout=30))
            for i in range(300):
                redis.connect().command("SET", "small:%d" % i, "x")
        nodes = 'nodes: ["127.0.0.1:%d", "127.0.0.1:%d"]' % (one.port, two.port)
        with in_front_of(start, "kind: ring, probe-big-keys: 10000, " + nodes) as server:
            for name, what in ((b"text", {"bytes": 2 * MIB}), (b"list", {"elements": 6000}), (b"hash", {"elements": 6000}),
                               (b"set", {"elements": 6000}), (b"zset", {"elements": 6000})):
                report.check("the probe finds the %s" % name.decode(),
                             eventually(lambda name=name: ("cache", 0, name) in big_keys(server), 10) and
                             is_listed(server, "cache", name, source="probe", big=True, **what), big_keys(server))
            report.equal("and nothing else", len(big_keys(server)), 5)
        one.connect().command("ACL", "SETUSER", "default", "-scan")
        with in_front_of(start, 'kind: redis, probe-big-keys: 100, nodes: ["127.0.0.1:%d"]' % one.port) as server:
            report.check("without the permission it says so", eventually(
                lambda: "The probe of big keys of cluster 'cache' stops" in server.log_text(), 5), server.log_text()[-500:])
            report.equal("and requests are answered", server.connect().command("GET", "small:1").value, b"x")


def big_keys_redis_cli(report, start):
    """redis-cli's own walks, against the engine and through Tidegate."""
    with servers.redis_server() as redis, start("--workers", "2") as engine, \
            in_front_of(start, 'kind: redis, nodes: ["127.0.0.1:%d"]' % redis.port) as proxied:
        fill(redis.connect(timeout=30))
        fill(engine.connect(timeout=30))
        for kind, server in (("the engine", engine), ("an upstream", proxied)):
            status, output = redis_cli(server.port, "--bigkeys")
            report.check("--bigkeys of %s" % kind, status == 0 and all(
                re.search("Biggest +%s found ['\"]*%s" % (what, what), output) for what in ("list", "hash", "set", "zset")),
                         output[-1500:])
            status, output = redis_cli(server.port, "--memkeys")
            report.check("--memkeys of %s" % kind, status == 0 and re.search("Biggest +string found ['\"]*text", output), output[-1500:])
