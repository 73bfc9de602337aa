"""Copies of values, and keys that are loaded before they expire: in front of the engine, a redis-server, a Redis Cluster."""

import contextlib
import re
import tempfile

import guards
from guards import BOTH, NIL, explain
from report import eventually
from routes import configured
from support import servers
from support.stampede import expiries, stampede
from topology import field, start_cluster
from upstreams import OK, bulk

FLIGHT = 'single_flight: {mode: enforce, keys: ["item:*"]}'
EARLY = 'early_refresh: {mode: enforce, keys: ["item:*"]}'
COPIES = 'stale: {mode: enforce, keys: ["item:*"], keep: 1h}'

CLIENTS = 50
LOAD_SECONDS = 0.1
TTL_MS = 1500
SECONDS = 8


def total(server, name):
    return sum(float(value) for value in re.findall(r"^%s\{[^}]*\} ([0-9.e+]+)$" % name, server.metrics_text(), re.M))


def check_early(report, name, server):
    parked = total(server, "tidegate_single_flight_parked_total")
    result = expiries(server.port, CLIENTS, SECONDS, TTL_MS, LOAD_SECONDS)
    early = guards.figure(server, "tidegate_policy_refused_total", "early_refresh")
    report.check("%s: the key is loaded before it expires, again and again" % name, early >= 2, (early, result))
    report.check("%s: by one client each time" % name, result.together <= 2, result)
    # On a busy machine a load may come too late now and then.
    report.check("%s: seldom after it has expired" % name, early * 2 >= result.loads, (early, result))
    report.equal("%s: all others get its value" % name, result.wrong, 0)
    waited = total(server, "tidegate_single_flight_parked_total") - parked
    report.check("%s: nobody waits for it" % name, waited <= CLIENTS * (result.loads - early + 2), (waited, early, result))


def early_refresh(report, start):
    for name, cluster in BOTH:
        routes = '{match: "*", cluster: %s, policies: {%s, %s}}' % (cluster, FLIGHT, EARLY)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            check_early(report, name, server)
            report.check("%s: EXPLAIN names it" % name, "early_refresh enforce: keys item:* beta 1.00" in explain(server.connect(), "item:1"))
            if name == "redis":
                asks_once(report, server, redis)
    routes = '{match: "*", cluster: cache, policies: {%s, %s, local_cache: {mode: enforce, keys: ["item:*"]}}}' % (FLIGHT, EARLY)
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
        check_early(report, "redis and local_cache", server)
        hits = float(re.search(r"^tidegate_local_cache_hits_total ([0-9.e+]+)$", server.metrics_text(), re.M)[1])
        report.check("redis and local_cache: most reads were answered from kept replies", hits > 100, hits)


def asks_once(report, server, redis):
    """A key that somebody else wrote: when it expires is asked for once, however often it is read."""
    direct, client = redis.connect(), server.connect()
    direct.command("SET", "item:there", "value", "EX", "1000")

    def asked():
        return int(re.search(r"cmdstat_pttl:calls=(\d+)", direct.command("INFO", "commandstats").value.decode() + "cmdstat_pttl:calls=0")[1])

    before = asked()
    for _ in range(500):
        client.command("GET", "item:there")
    report.check("its end is asked for", eventually(lambda: asked() > before, 2))
    for _ in range(500):
        client.command("GET", "item:there")
    report.equal("once", asked(), before + 1)


def stale_loading(report, start):
    """The same stampede as for single_flight, with a copy: nobody waits."""
    for name, cluster in BOTH:
        routes = '{match: "*", cluster: %s, policies: {%s, stale: {mode: enforce, keys: ["item:*"], after-delete: yes}}}' % (cluster, FLIGHT)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            client = server.connect()
            client.command("SET", "item:hot", "value 0")
            client.command("GET", "item:hot")
            rounds = stampede(server.port, CLIENTS, 1, LOAD_SECONDS)
            report.check("%s: one or two load the key" % name, 1 <= rounds[0].loads <= 2, rounds)
            report.equal("%s: the others get the copy, which is the value of then" % name, rounds[0].wrong, 0)
            report.check("%s: none of them waits" % name, total(server, "tidegate_single_flight_parked_total") <= 1, rounds)
            report.check("%s: it is counted" % name, total(server, "tidegate_stale_loading_total") >= CLIENTS - 3)
            report.equal("%s: what is written is read" % name, (client.command("SET", "item:hot", "new"), client.command("GET", "item:hot")), (OK, bulk("new")))
            report.check("%s: EXPLAIN has the copy" % name, any(line.startswith("stale: a copy of this key, last seen") for line in explain(client, "item:hot")),
                         explain(client, "item:hot"))


def serves_copies(report, name, server, crash, restart):
    client = server.connect()
    for key in ("item:1", "item:2", "item:3"):
        client.command("SET", key, "value")
        client.command("GET", key)
    report.equal("%s: a client deletes a key" % name, client.command("DEL", "item:2").value, 1)
    crash()
    replies = [client.command("GET", "item:1") for _ in range(50)]
    report.check("%s: its node is killed, and the key is read on" % name, all(reply == bulk("value") for reply in replies), replies[-1])
    report.equal("%s: what was deleted is not" % name, client.command("GET", "item:2").kind, "error")
    report.equal("%s: nor what was never read" % name, client.command("GET", "item:9").kind, "error")
    report.equal("%s: a write fails" % name, client.command("SET", "item:3", "other").kind, "error")
    report.equal("%s: and then the old value is not given" % name, client.command("GET", "item:3").kind, "error")
    report.check("%s: it is counted" % name, total(server, "tidegate_stale_down_total") >= 50)
    report.check("%s: and how old the copies were" % name, total(server, "tidegate_stale_age_seconds_total") >= 0)
    restart()
    # Nothing was saved: the node is empty.
    report.check("%s: it comes back, and says what it has" % name, eventually(lambda: client.command("GET", "item:1") == NIL, 20), client.command("GET", "item:1"))


def stale_down(report, start):
    routes = '{match: "*", cluster: cache, policies: {%s}}' % COPIES
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
        serves_copies(report, "redis", server, redis.crash, redis.restart)


def stale_cluster(report, start):
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        if not report.check("a Redis Cluster", eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)):
            return
        config = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
        config.write('clusters: [{name: cache, kind: redis_cluster, nodes: ["127.0.0.1:%d"]}]\n'
                     'routes: [{match: "*", cluster: cache, policies: {%s, %s, %s}}]\n' % (nodes[0].port, FLIGHT, EARLY, COPIES))
        config.flush()
        server = stack.enter_context(start("--workers", "2", files=[config.name]))
        client = server.connect()
        report.check("it is served", eventually(lambda: client.command("SET", "item:ready", "1") == OK, 5))
        check_early(report, "cluster", server)
        keys = ["item:%d" % number for number in range(60)]
        for key in keys:
            client.command("SET", key, "value")
            client.command("GET", key)
        nodes[1].crash()
        replies = [client.command("GET", key) for key in keys]
        report.check("one node is killed, and all keys are read on", all(reply == bulk("value") for reply in replies), [reply for reply in replies if reply != bulk("value")][:3])
        report.check("some from copies", total(server, "tidegate_stale_down_total") > 0)
