"""Policies of routes: rate limits, shapes of keys, big keys; in front of the engine and of a redis-server."""

import json
import re
import time
import urllib.request

from report import eventually
from routes import configured
from support import resp, servers
from upstreams import OK, ask_all, bulk

NIL = resp.Reply("nil", None)
BOTH = (("engine", "local"), ("redis", "cache"))


def figure(server, name, policy, route="*"):
    found = re.search(r'^%s\{policy="%s",route="%s"\} ([0-9.e+]+)$' % (name, policy, re.escape(route)), server.metrics_text(), re.M)
    return float(found[1]) if found else 0.0


def error_word(reply):
    return reply.value.split()[0].decode() if reply.kind == "error" else reply.kind


def explain(client, key):
    reply = client.command("TIDEGATE", "EXPLAIN", key)
    words = [item.value for item in reply.value]
    return [line.value.decode() for line in words[words.index(b"policies") + 1]]


def rate_of(server, seconds, key="hot"):
    """Requests a second that two clients get through, of as many as they can ask."""
    clients = [server.connect(), server.connect()]
    passed, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        for client in clients:
            client.send(resp.encode_command(["GET", key]) * 8)
        for client in clients:
            passed += sum(client.read(10).kind != "error" for _ in range(8))
    return passed / (time.monotonic() - begin)


def guards_rate_limit(report, start):
    for kind, cluster in BOTH:
        routes = '{match: "*", cluster: %s, policies: {rate_limit: {mode: enforce, rules: [{per: key, rate: 300/s, burst: 30}]}}}' % cluster
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            seconds = 5.0
            rate = rate_of(server, seconds)
            report.check("%s: 300/s and no more, over two workers" % kind, rate <= 300 * 1.02 + 30 / seconds, rate)
            report.check("%s: and not much less" % kind, rate >= 300 * 0.9, rate)
            report.check("%s: refusals are counted" % kind, figure(server, "tidegate_policy_refused_total", "rate_limit") > 0)
            client = server.connect()
            report.equal("%s: EXPLAIN names it" % kind, explain(client, "hot"),
                         (["big_key unlink enforce"] if kind == "redis" else [])
                         + ["rate_limit enforce: both per key 300/s burst 30 over error"])
            client.command("MULTI")
            for _ in range(300):
                client.command("INCR", "counted")
            report.equal("%s: a transaction comes through whole" % kind, [item.value for item in client.command("EXEC").value], list(range(1, 301)))
            client.command("MULTI")
            client.command("INCR", "counted")
            report.equal("%s: and pays for all of it" % kind, error_word(client.command("EXEC")), "EXECABORT")
            report.check("%s: nothing of the next was executed" % kind,
                         eventually(lambda: client.command("GET", "counted") == bulk("300"), 2))


def guards_hot_keys(report, start):
    routes = '{match: "*", cluster: cache, policies: {rate_limit: {mode: enforce, rules: [{preset: hot-reads}]}}}'
    flags = ("--workers", "2", "--hot-key-rate", "200")
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes, flags=flags) as server:
        client = server.connect()
        client.command("SET", "hot", "value")
        client.command("SET", "cold", "value")

        def actions():
            for _ in range(50):
                client.send(resp.encode_command(["GET", "hot"]) * 20)
                for _ in range(20):
                    client.read(10)
            with urllib.request.urlopen("http://127.0.0.1:%d/hotkeys" % server.admin_port, timeout=5) as answer:
                return [key["actions"] for key in json.load(answer)["keys"] if key["key"] == "hot"]

        report.check("a hot key's reads are limited, and /hotkeys says so", eventually(lambda: actions() == [["rate_limit"]], 5), actions())
        client.send(resp.encode_command(["GET", "hot"]) * 400)
        replies = [client.read(10) for _ in range(400)]
        report.check("beyond 400 a second replies are blank", bulk("") in replies and all(one in (bulk("value"), bulk("")) for one in replies))
        report.equal("a cold key is left alone", client.command("GET", "cold"), bulk("value"))


def guards_key_shape(report, start):
    for kind, cluster in BOTH:
        routes = ('{match: "item:*", cluster: %s, policies: {key_shape: {mode: enforce, allow: ["item:<int>"], answer: nil}}}, '
                  '{match: "user:*", cluster: %s, policies: {key_shape: {allow: ["user:<int>"]}}}, {match: "*", cluster: %s}') % ((cluster,) * 3)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            client = server.connect()
            report.equal("%s: a key of the shape" % kind, client.command("SET", "item:1", "a"), OK)
            report.equal("%s: it is read" % kind, client.command("GET", "item:1"), bulk("a"))
            report.equal("%s: another is not there" % kind, client.command("GET", "item:-1"), NIL)
            report.equal("%s: and cannot be made" % kind, error_word(client.command("SET", "item:x", "a")), "DENIED")
            report.equal("%s: where it observes, it can" % kind, client.command("SET", "user:x", "a"), OK)
            report.equal("%s: that is counted" % kind, figure(server, "tidegate_policy_observed_total", "key_shape", "user:*"), 1)
            report.equal("%s: so are refusals" % kind, figure(server, "tidegate_policy_refused_total", "key_shape", "item:*"), 2)
            if kind == "redis":
                report.equal("the redis-server saw none of them", redis.connect().command("EXISTS", "item:x").value, 0)


def guards_big_key(report, start):
    for kind, cluster in BOTH:
        routes = '{match: "*", cluster: %s, policies: {big_key: {mode: enforce, keys: refuse, elements-max: 1000, whole-reads: cap}}}' % cluster
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            client = server.connect()
            numbers = [str(i) for i in range(6000)]
            client.command("RPUSH", "list", *numbers)
            client.command("SADD", "set", *numbers)
            report.check("%s: a range of a big list is cut" % kind,
                         eventually(lambda: client.command("LRANGE", "list", "0", "-1") == resp.Reply("array", [bulk(one) for one in numbers[:1000]]), 2))
            report.check("%s: SMEMBERS of a big set is refused" % kind, eventually(lambda: error_word(client.command("SMEMBERS", "set")) == "TOOBIG", 2))
            report.equal("%s: KEYS is refused" % kind, error_word(client.command("KEYS", "*")), "TOOBIG")
            report.equal("%s: SCAN is not" % kind, client.command("SCAN", "0").kind, "array")
            report.equal("%s: DEL has its reply" % kind, client.command("DEL", "list", "nothing"), resp.Reply("integer", 1))
            report.equal("%s: and the key is gone" % kind, client.command("EXISTS", "list"), resp.Reply("integer", 0))
            if kind == "redis":
                stats = redis.connect().command("INFO", "commandstats").value.decode()
                report.check("the redis-server was asked for UNLINK", "cmdstat_unlink:calls=1" in stats and "cmdstat_del:" not in stats, stats)


def guards_ttl_jitter(report, start):
    """Keys that are set in one moment do not expire in one second."""
    for kind, cluster in BOTH:
        routes = ('{match: "item:*", cluster: %s, policies: {ttl_jitter: {mode: enforce, keys: ["item:*"], per-second: 100}}}, '
                  '{match: "*", cluster: %s}') % (cluster, cluster)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            client, count = server.connect(), 20000
            for key in ("item", "other"):
                replies = ask_all(client, [("SET", "%s:%d" % (key, i), "v", "EX", "3600") for i in range(count)])
                report.equal("%s: all are set" % kind, replies.count(OK), count)
            seconds = {}
            for reply in ask_all(client, [("PEXPIRETIME", "item:%d" % i) for i in range(count)]):  # EXPIRETIME rounds
                seconds[reply.value // 1000] = seconds.get(reply.value // 1000, 0) + 1
            report.check("%s: no second has many" % kind, max(seconds.values()) <= 160, max(seconds.values()))
            report.check("%s: none lives shorter than it may" % kind, max(seconds) - min(seconds) <= 380, (min(seconds), max(seconds)))
            ttls = [reply.value for reply in ask_all(client, [("TTL", "other:%d" % i) for i in range(count)])]
            report.check("%s: others are left alone" % kind, min(ttls) > 3500, min(ttls))
            report.check("%s: it is counted" % kind, figure(server, "tidegate_policy_rewritten_total", "ttl_jitter", "item:*") > count * 0.9)
            replies = ask_all(client, [("MULTI",), ("SET", "item:t", "v", "EX", "3600"), ("TTL", "item:t"), ("EXEC",)])
            report.equal("%s: a transaction is executed as it was said" % kind, replies[3].value, [OK, resp.Reply("integer", 3600)])


def guards_load_shedding(report, start):
    with start("--workers", "1", "--load-shedding", "enforce", "--load-shedding-wait", "10ms") as server:
        client = server.connect()
        client.command("RPUSH", "long", *("e%05d" % i for i in range(20000)))
        sort = ("SORT", "long", "ALPHA", "DESC", "LIMIT", "0", "1")
        served, refused = [], []

        def ask():
            clients = [server.connect(timeout=120) for _ in range(64)]
            for one in clients:
                one.send(resp.encode_command(sort))
            for one in clients:
                reply = one.read(120)
                (refused if reply.kind == "error" else served).append(reply)
            return refused

        report.check("too many long commands at once: some are refused", eventually(ask, 60))
        report.check("the others are served", served and all(reply.value == [bulk("e19999")] for reply in served), served[:1])
        report.equal("refused in words that say why", {error_word(reply) for reply in refused}, {"OVERLOADED"})
        report.equal("and counted", figure(server, "tidegate_policy_refused_total", "load_shedding"), len(refused))
        report.check("when they are through the next one is served", eventually(lambda: client.command(*sort).value == [bulk("e19999")], 60))


def guards_reload(report, start):
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, '{match: "*", cluster: cache}') as server:
        client = server.connect()
        report.equal("without policies", explain(client, "a"), ["big_key unlink enforce"])
        report.equal("a profile is no setting to be changed", client.command("CONFIG", "SET", "profile", "strict").kind, "error")
        report.equal("load shedding is", client.command("CONFIG", "SET", "load-shedding", "enforce"), OK)
