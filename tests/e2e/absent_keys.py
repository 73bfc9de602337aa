"""Keys that do not exist: bloom and negative_cache, in front of the engine and of a redis-server."""

import signal
import tempfile

from guards import BOTH, NIL, error_word, explain, figure
from report import eventually
from routes import configured
from support import resp, servers
from upstreams import OK, ask_all, bulk

ZERO = resp.Reply("integer", 0)


def commands(direct, command):
    """How often the redis-server was asked."""
    for line in direct.command("INFO", "commandstats").value.decode().splitlines():
        if line.startswith("cmdstat_%s:" % command):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


def metric(server, name):
    for line in server.metrics_text().splitlines():
        if line.startswith(name + "{"):
            return float(line.rsplit(" ", 1)[1])
    return None


def absent_negative(report, start):
    routes = '{match: "*", cluster: %s, policies: {negative_cache: {mode: enforce, ttl: 60s}}}'
    for kind, cluster in BOTH:
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes % cluster) as server:
            client, other, direct = server.connect(), server.connect(), redis.connect()
            report.equal("%s: what is not there" % kind, [client.command("GET", "none") for _ in range(20)], [NIL] * 20)
            report.equal("%s: is known after the third time" % kind, figure(server, "tidegate_policy_refused_total", "negative_cache"), 17)
            report.equal("%s: and is one key" % kind, metric(server, "tidegate_negative_cache_keys"), 1)
            if cluster == "cache":
                report.equal("the redis-server was asked three times", commands(direct, "get"), 3)
            report.equal("%s: another command has its own nothing" % kind, client.command("EXISTS", "none"), ZERO)
            report.equal("%s: another database is another" % kind, ask_all(client, [("SELECT", "1"), ("SET", "none", "1"), ("GET", "none"), ("SELECT", "0"), ("GET", "none")])[2], bulk("1"))
            report.equal("%s: a write" % kind, other.command("SET", "none", "here"), OK)
            report.equal("%s: is seen at once" % kind, client.command("GET", "none"), bulk("here"))
            stale = 0
            for i in range(200):
                other.command("DEL", "none")
                stale += [client.command("GET", "none") for _ in range(5)] != [NIL] * 5
                other.command("SET", "none", str(i))
                stale += client.command("GET", "none") != bulk(str(i))
            report.equal("%s: always" % kind, stale, 0)
            scripts = [("EVAL", "return redis.call('set', 'none', 'script')", "0"), ("EVAL", "return redis.call('set', 'none', 'key')", "1", "other")]
            writes = [("SORT", "source", "STORE", "none"), ("RENAME", "old", "none"), ("COPY", "old", "none")]
            for write in (scripts if cluster == "cache" else []) + writes:
                ask_all(other, [("FLUSHALL",), ("RPUSH", "source", "1"), ("SET", "old", "1")])
                report.equal("%s: gone again" % kind, [client.command("EXISTS", "none") for _ in range(5)], [ZERO] * 5)
                other.command(*write)
                report.equal("%s: %s makes it" % (kind, write[0]), client.command("EXISTS", "none"), resp.Reply("integer", 1))
            ask_all(other, [("FLUSHALL",), ("SELECT", "1"), ("SET", "none", "swapped"), ("SELECT", "0")])
            report.equal("%s: gone again" % kind, [client.command("GET", "none") for _ in range(5)], [NIL] * 5)
            other.command("SWAPDB", "0", "1")
            report.equal("%s: SWAPDB brings it" % kind, client.command("GET", "none"), bulk("swapped"))
            ask_all(other, [("MULTI",), ("DEL", "none"), ("EXEC",)])
            report.equal("%s: a transaction removes it" % kind, [client.command("GET", "none") for _ in range(5)], [NIL] * 5)
            replies = ask_all(other, [("MULTI",), ("GET", "none"), ("SET", "none", "tx"), ("GET", "none"), ("EXEC",)])
            report.equal("%s: and makes it, and sees it" % kind, replies[4].value, [NIL, OK, bulk("tx")])
            report.equal("%s: so does everybody" % kind, client.command("GET", "none"), bulk("tx"))
            report.check("%s: EXPLAIN names it" % kind, "negative_cache enforce: ttl 1m keys 100000 answer nil" in explain(client, "none"), explain(client, "none"))


def absent_bloom(report, start):
    routes = ('{match: "item:*", cluster: %s, policies: {bloom: {mode: enforce, on-absent: {sentinel: "nothing"}}}}, '
              '{match: "seen:*", cluster: %s, policies: {bloom: {}}}, '
              '{match: "*", cluster: %s}')
    for kind, cluster in BOTH:
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes % ((cluster,) * 3)) as server:
            client = server.connect()
            for i in range(2000):
                client.send(resp.encode_command(("SET", "item:%d" % i, "v")))
            report.equal("%s: keys" % kind, {str(client.read(5)) for _ in range(2000)}, {str(OK)})
            report.check("%s: what is not there gets the sentinel when all keys are known" % kind,
                         eventually(lambda: client.command("GET", "item:x") == bulk("nothing"), 10), client.command("GET", "item:x"))
            report.equal("%s: what is there is there" % kind, {str(client.command("GET", "item:%d" % i)) for i in range(2000)}, {str(bulk("v"))})
            report.equal("%s: a count stays a count" % kind, client.command("EXISTS", "item:x"), ZERO)
            report.equal("%s: other keys have other policies" % kind, client.command("GET", "x"), NIL)
            report.equal("%s: where it observes nothing changes" % kind, client.command("GET", "seen:x"), NIL)
            report.check("%s: that is counted" % kind, eventually(
                lambda: client.command("GET", "seen:x") == NIL and figure(server, "tidegate_policy_observed_total", "bloom", "seen:*") > 0, 10))
            report.equal("%s: a new key" % kind, ask_all(client, [("SET", "item:x", "1"), ("GET", "item:x")]), [OK, bulk("1")])
            report.equal("%s: a transaction" % kind, ask_all(client, [("MULTI",), ("GET", "item:y"), ("EXEC",)])[2].value, [NIL])
            report.equal("%s: in a pipeline" % kind, ask_all(client, [("GET", "item:y"), ("SET", "item:z", "1"), ("GET", "item:z")]), [bulk("nothing"), OK, bulk("1")])
            report.equal("%s: in RESP3" % kind, ask_all(client, [("HELLO", "3"), ("GET", "item:y"), ("GET", "item:z")])[1:], [bulk("nothing"), bulk("1")])
            if cluster == "cache":
                report.equal("a key of a script", client.command("EVAL", "return redis.call('set', KEYS[1], 'v')", "1", "item:script"), OK)
                report.equal("is there", client.command("GET", "item:script"), bulk("v"))
                report.check("and what scripts may have made is looked for", eventually(lambda: client.command("GET", "item:none") == bulk("nothing"), 20))
            other = server.connect()
            report.check("%s: EXPLAIN names it" % kind, eventually(
                lambda: [line for line in explain(other, "item:1") if line.startswith("bloom enforce: scan complete with ")], 5), explain(other, "item:1"))


def absent_file(report, start):
    """The keys of a database that the cache has some of: nobody is asked about others."""
    with servers.redis_server() as redis, tempfile.NamedTemporaryFile("w") as keys:
        keys.write("".join("item:%d\n" % i for i in range(1000)))
        keys.flush()
        routes = '{match: "*", cluster: cache, policies: {bloom: {mode: enforce, file: "%s", on-absent: {error: "GONE there is no such item"}, spare: yes}}}' % keys.name
        with configured(start, {"cache": redis.port}, routes) as server:
            client, direct = server.connect(), redis.connect()
            report.check("absent keys get the error", eventually(lambda: error_word(client.command("GET", "item:x")) == "ABSENT", 10), client.command("GET", "item:x"))
            before = commands(direct, "get")
            report.equal("all of them", {error_word(client.command("GET", "item:x%d" % i)) for i in range(500)}, {"ABSENT"})
            report.equal("without asking", commands(direct, "get") - before, 0)
            report.equal("others are read", {str(client.command("GET", "item:%d" % i)) for i in range(1000)}, {str(NIL)})
            report.equal("a new one", ask_all(client, [("SET", "item:new", "1"), ("GET", "item:new")]), [OK, bulk("1")])
            server.process.send_signal(signal.SIGHUP)
            report.equal("a reload that changes nothing keeps it", {error_word(client.command("GET", "item:y%d" % i)) for i in range(500)}, {"ABSENT"})
