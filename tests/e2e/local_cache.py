"""Replies of a redis-server that Tidegate keeps: they spare it reads, and are never wrong for good."""

import re

from report import eventually
from routes import configured
from support import resp, servers
from upstreams import OK, bulk

ROUTES = '{match: "*", cluster: cache, policies: {local_cache: {mode: enforce, keys: ["k*"]}}}'


def calls(direct, command):
    found = re.search(r"cmdstat_%s:calls=(\d+)" % command, direct.command("INFO", "commandstats").value.decode())
    return int(found[1]) if found else 0


def figure(server, name):
    return float(re.search(r"^tidegate_local_cache_%s ([0-9.e+]+)$" % name, server.metrics_text(), re.M)[1])


def warm(server, client, *command):
    """Reads until a reply is given from here."""
    def hit():
        before = figure(server, "hits_total")
        client.command(*command)
        return figure(server, "hits_total") > before
    return eventually(hit, 5)


def write_elsewhere(direct, value):
    """What SWAPDB 0 1 brings."""
    direct.command("SELECT", "1")
    direct.command("SET", "k", value)
    direct.command("SELECT", "0")


def local_cache(report, start):
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, ROUTES) as server:
        client, other, direct = server.connect(), server.connect(), redis.connect()
        client.command("SET", "k", "1")
        report.check("a reply is kept", warm(server, client, "GET", "k"))
        before = calls(direct, "get")
        report.check("50,000 reads", all(client.command("GET", "k") == bulk("1") for _ in range(50000)))
        report.check("cost the node few", calls(direct, "get") - before < 500, calls(direct, "get") - before)
        stale = 0
        for i in range(300):
            other.command("SET", "k", str(i))
            stale += client.command("GET", "k") != bulk(str(i))
        report.equal("a write through the proxy is seen at once", stale, 0)
        for name, write, expected in (("a direct write", ("SET", "k", "direct"), bulk("direct")), ("FLUSHDB", ("FLUSHDB",), resp.Reply("nil", None))):
            warm(server, client, "GET", "k")
            direct.command(*write)
            report.check("%s is seen soon" % name, eventually(lambda: client.command("GET", "k") == expected, 1))
        client.command("SET", "k", "old")
        write_elsewhere(direct, "swapped")
        warm(server, client, "GET", "k")
        report.equal("SWAPDB through the proxy", other.command("SWAPDB", "0", "1"), OK)
        report.equal("is seen at once", client.command("GET", "k"), bulk("swapped"))
        warm(server, client, "GET", "k")
        other.command("EVAL", "return redis.call('set', 'k', 'script')", "0")
        report.equal("so is what a script wrote", client.command("GET", "k"), bulk("script"))
        warm(server, client, "GET", "k")
        direct.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        direct.command("SET", "k", "after")
        report.check("a lost connection leaves nothing stale", eventually(lambda: client.command("GET", "k") == bulk("after"), 5))
        report.check("and replies are kept again", warm(server, client, "GET", "k"))


def local_cache_replies(report, start):
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, ROUTES, flags=("--workers", "1")) as server:
        client, direct = server.connect(), redis.connect()
        for write in (("SET", "ks", "a"), ("HSET", "kh", "f", "v", "g", "w"), ("SADD", "kset", "m"), ("ZADD", "kz", "1.5", "a", "2", "b"), ("RPUSH", "kl", "x", "y")):
            direct.command(*write)
        reads = (("GET", "ks"), ("GET", "knone"), ("MGET", "ks"), ("MGET", "knone"), ("EXISTS", "ks"), ("STRLEN", "ks"), ("HGET", "kh", "f"), ("HMGET", "kh", "f", "no"), ("HGETALL", "kh"),
                 ("SISMEMBER", "kset", "m"), ("SMEMBERS", "kset"), ("HLEN", "kh"), ("SCARD", "kset"), ("LLEN", "kl"), ("ZSCORE", "kz", "a"),
                 ("ZRANGE", "kz", "0", "-1"), ("ZRANGE", "kz", "0", "-1", "WITHSCORES"), ("LRANGE", "kl", "0", "-1"))
        for read in reads:
            report.check("%s is kept" % " ".join(read), warm(server, client, *read))
            report.equal("%s is as the node says it" % " ".join(read), client.command(*read), direct.command(*read))
