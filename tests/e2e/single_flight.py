"""Textbook cache-aside applications that miss a key at once, in front of the engine and of a redis-server: one of them loads it."""

import threading
import time

from guards import BOTH, NIL, error_word, explain
from report import eventually
from routes import configured
from support import resp, servers
from upstreams import OK, ask_all, bulk

LOAD = 0.1


def metric(server, name):
    for line in server.metrics_text().splitlines():
        if line.startswith("tidegate_single_flight_%s{" % name):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


class Application:
    """Clients that get a key, and load it when there is none."""

    def __init__(self, server, count, key):
        self.connections = [server.connect(timeout=10) for _ in range(count)]
        self.key = key
        self.lock = threading.Lock()
        self.loads, self.wrong, self.longest = 0, 0, 0.0

    def get(self, connection, ready):
        ready.wait()
        begin = time.monotonic()
        reply = connection.command("GET", self.key)
        waited = time.monotonic() - begin
        if reply == NIL:
            time.sleep(LOAD)
            connection.command("SET", self.key, "loaded", "EX", "100")
        with self.lock:
            self.loads += reply == NIL
            self.wrong += reply not in (NIL, bulk("loaded"))
            self.longest = max(self.longest, waited)

    def all_at_once(self):
        ready = threading.Barrier(len(self.connections))
        threads = [threading.Thread(target=self.get, args=(connection, ready)) for connection in self.connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def flight_stampede(report, start):
    for kind, cluster in BOTH:
        for mode, keys in (("enforce", '["item:*"]'), ("enforce", "learned"), ("observe", '["item:*"]')):
            what = "%s, %s, %s" % (kind, mode, keys)
            routes = '{match: "*", cluster: %s, policies: {single_flight: {mode: %s, keys: %s}}}' % (cluster, mode, keys)
            with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
                client = server.connect()
                if keys == "learned":
                    ask_all(client, [("GET", "item:%d" % i) for i in range(30)])
                    time.sleep(LOAD)
                    ask_all(client, [("SET", "item:%d" % i, "v", "EX", "100") for i in range(30)])
                    report.check("%s: it learns" % what, any("learned (item:*)" in line for line in explain(client, "item:1")), explain(client, "item:1"))
                application = Application(server, 60, "item:hot")
                loads = []
                for _ in range(3):
                    before = application.loads
                    application.all_at_once()
                    loads.append(application.loads - before)
                    client.command("DEL", "item:hot")
                report.equal("%s: no wrong value" % what, application.wrong, 0)
                if mode == "observe":
                    report.check("%s: nobody waits" % what, application.longest < LOAD or min(loads) > 10, (loads, application.longest))
                    continue
                report.check("%s: one load each time, or two" % what, max(loads) <= 2, loads)
                report.check("%s: nobody waits for much more than 1.5 s" % what, application.longest < 3, application.longest)
                report.check("%s: they are counted" % what, metric(server, "released_total") > 100 and metric(server, "waiting") == 0,
                             (metric(server, "released_total"), metric(server, "waiting")))


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
