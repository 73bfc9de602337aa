"""Who waits for a load of a missing key, and who must not; kinds of keys that are learned. In front of the engine and of a redis-server."""

import json
import time
import urllib.request

from guards import BOTH, NIL, error_word, explain
from report import eventually
from routes import configured
from support import resp, servers
from support.stampede import stampede
from upstreams import OK, ask_all, bulk

LOAD = 0.1


def metric(server, name):
    for line in server.metrics_text().splitlines():
        if line.startswith("tidegate_single_flight_%s{" % name):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def flight_learned(report, start):
    for kind, cluster in BOTH:
        routes = '{match: "*", cluster: %s, policies: {single_flight: {mode: enforce, keys: learned}}}' % cluster
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            client = server.connect()

            def learned(server=server):
                with urllib.request.urlopen("http://127.0.0.1:%d/policies" % server.admin_port, timeout=5) as answer:
                    return [route["learned"] for route in json.load(answer)["routes"]]

            ask_all(client, [("GET", "item:%d" % i) for i in range(30)])
            time.sleep(LOAD)
            ask_all(client, [("SET", "item:%d" % i, "v", "EX", "100") for i in range(30)])
            report.check("%s: it learns" % kind, any("learned (item:*)" in line for line in explain(client, "item:1")), explain(client, "item:1"))
            report.equal("%s: /policies says what" % kind, learned(), [["item:*"]])
            rounds = stampede(server.port, 60, 3, LOAD)
            report.check("%s: one load each time, or two" % kind, max(one.loads for one in rounds) <= 2, [one.loads for one in rounds])
            report.equal("%s: a command that means something by a key's absence" % kind, client.command("SET", "item:lock", "1", "NX").kind, "simple")
            report.check("%s: ends that" % kind, any("learned (none yet)" in line for line in explain(client, "item:1")), explain(client, "item:1"))
            report.equal("%s: in /policies too" % kind, learned(), [[]])


def flight_edges(report, start):
    for kind, cluster in BOTH:
        routes = ('{match: "err:*", cluster: %s, policies: {single_flight: {keys: ["*"], lease-max: 10s, wait-max: 300ms, over: error}}}, '
                  '{match: "*", cluster: %s, policies: {single_flight: {keys: ["item:*"]}}}') % (cluster, cluster)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            leader, waiter, other = server.connect(), server.connect(timeout=10), server.connect()

            def waits(key):
                waiter.send(resp.encode_command(("GET", key)))
                return eventually(lambda: metric(server, "waiting") == 1, 5)

            report.equal("%s: the first gets nil" % kind, leader.command("GET", "item:a"), NIL)
            report.check("%s: the second waits" % kind, waits("item:a"))
            leader.close()
            report.equal("%s: until the first has gone, then it leads" % kind, waiter.read(0.9), NIL)
            report.check("%s: the next waits for it" % kind, eventually(lambda: metric(server, "leases_total") >= 2, 5))
            report.equal("%s: whoever writes it" % kind, other.command("SET", "item:a", "1"), OK)
            report.equal("%s: ends that" % kind, waiter.command("GET", "item:a"), bulk("1"))
            report.equal("%s: keys of another kind" % kind, [one.command("GET", "lock:a") for one in (other, waiter)], [NIL, NIL])
            other.command("GET", "item:b")
            report.check("%s: one that waits" % kind, waits("item:b"))
            other.command("RPUSH", "item:b", "x")
            report.equal("%s: hears of another type" % kind, error_word(waiter.read(2)), "WRONGTYPE")
            other.command("GET", "item:c")
            report.equal("%s: in a transaction nobody waits" % kind, ask_all(waiter, [("MULTI",), ("GET", "item:c"), ("EXEC",)])[2].value, [NIL])
            report.equal("%s: between WATCH and EXEC neither" % kind, ask_all(waiter, [("WATCH", "w"), ("GET", "item:c"), ("UNWATCH",)])[1], NIL)
            waiter.send(b"".join(resp.encode_command(one) for one in (("GET", "item:c"), ("SET", "item:c", "own"), ("GET", "item:c"))))
            report.equal("%s: nor for what a client writes itself" % kind, [waiter.read(1) for _ in range(3)], [NIL, OK, bulk("own")])
            other.command("GET", "err:a")
            begin = time.monotonic()
            report.equal("%s: a wait that is over" % kind, error_word(waiter.command("GET", "err:a")), "THROTTLED")
            waited = time.monotonic() - begin
            report.check("%s: took as long as it may" % kind, 0.25 < waited < 8, waited)
            ask_all(waiter, [("HELLO", "3")])
            other.command("GET", "item:d")
            report.check("%s: in RESP3" % kind, waits("item:d"))
            report.equal("%s: it is the same" % kind, (other.command("SET", "item:d", "v"), waiter.read(2)), (OK, bulk("v")))
