"""Many that miss one key at once: one loads it, the others wait. In front of the engine, a redis-server, a ring, a Redis Cluster."""

import contextlib
import re
import signal
import tempfile

import guards
from guards import BOTH, NIL, explain
from report import eventually
from routes import configured
from support import servers
from support.stampede import stampede
from topology import field, start_cluster
from upstreams import OK, bulk

CLIENTS = 200
ROUNDS = 5
LOAD_SECONDS = 0.1
# What a read waits at most, and what the clients' own thread may be late by.
WAIT_SECONDS_MAX = 1.5 + 3.0

POLICY = 'policies: {single_flight: {keys: ["item:*"]}}'


def figure(server, name):
    return sum(float(value) for value in re.findall(r"^tidegate_single_flight_%s\{[^}]*\} ([0-9.e+]+)$" % name, server.metrics_text(), re.M))


def check_stampede(report, name, server):
    before = figure(server, "released_total")
    rounds = stampede(server.port, CLIENTS, ROUNDS, LOAD_SECONDS)
    loads = [one.loads for one in rounds]
    report.check("%s: %d clients, and one or two load the key" % (name, CLIENTS), min(loads) >= 1 and max(loads) <= 2, loads)
    report.equal("%s: all others get its value" % name, sum(one.wrong for one in rounds), 0)
    report.check("%s: nobody waits for longer than the cap" % name, max(one.longest for one in rounds) < WAIT_SECONDS_MAX, [one.longest for one in rounds])
    report.check("%s: they had waited" % name, figure(server, "released_total") > before)
    report.equal("%s: nobody does any more" % name, figure(server, "waiting"), 0)


def single_flight(report, start):
    for name, cluster in BOTH:
        routes = '{match: "*", cluster: %s, %s}' % (cluster, POLICY)
        with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
            check_stampede(report, name, server)
            report.check("%s: EXPLAIN names it" % name,
                         "single_flight enforce: keys item:* lease-max 3s wait-max 1500ms over nil" in explain(server.connect(), "item:1"), explain(server.connect(), "item:1"))
            leader_goes(report, name, server)
            if name == "redis":
                a_script_writes(report, server)


def leader_goes(report, name, server):
    """The one that loads is killed: one of those who wait takes over, and the others go on waiting."""
    leader, readers = server.connect(), [server.connect() for _ in range(5)]
    parked, promoted = figure(server, "parked_total"), figure(server, "promoted_total")
    report.equal("%s: one leads" % name, leader.command("GET", "item:lost:1"), NIL)
    for reader in readers:
        reader.send(b"GET item:lost:1\r\n")
    report.check("%s: the others wait" % name, eventually(lambda: figure(server, "parked_total") == parked + len(readers), 1))
    leader.close()
    first = []
    report.check("%s: one of them leads when it has gone" % name,
                 eventually(lambda: first.extend(one for one in readers if one.has_unread()) or first, 2))
    report.equal("%s: it finds nothing" % name, first[0].read(), NIL)
    report.equal("%s: it writes" % name, first[0].command("SET", "item:lost:1", "found"), OK)
    rest = [one.read() for one in readers if one is not first[0]]
    # Where the machine was slow a lease may have ended meanwhile.
    report.check("%s: the others have it, or led in their turn" % name, rest[-1] == bulk("found") and all(one in (bulk("found"), NIL) for one in rest), rest)
    report.check("%s: it is counted" % name, figure(server, "promoted_total") > promoted)


def a_script_writes(report, server):
    leader, reader, other = server.connect(), server.connect(), server.connect()
    parked = figure(server, "parked_total")
    leader.command("GET", "item:script:1")
    reader.send(b"GET item:script:1\r\n")
    report.check("one waits", eventually(lambda: figure(server, "parked_total") == parked + 1, 1))
    report.equal("a script writes the key", other.command("EVAL", "return redis.call('set', KEYS[1], 'x')", "1", "item:script:1"), OK)
    report.equal("and it goes on", reader.read(), bulk("x"))


@contextlib.contextmanager
def in_front_of(start, cluster):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write("clusters: [{name: cache, %s}]\nroutes: [{match: \"*\", cluster: cache, %s}]\n" % (cluster, POLICY))
        config.flush()
        with start("--workers", "2", files=[config.name]) as server:
            yield server


def single_flight_nodes(report, start):
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(servers.redis_server()) for _ in range(3)]
        listed = ", ".join('"127.0.0.1:%d"' % node.port for node in nodes)
        with in_front_of(start, "kind: ring, nodes: [%s]" % listed) as server:
            check_stampede(report, "ring", server)
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        if not report.check("a Redis Cluster", eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)):
            return
        with in_front_of(start, 'kind: redis_cluster, nodes: ["127.0.0.1:%d"]' % nodes[0].port) as server:
            client = server.connect()
            report.check("it is served", eventually(lambda: client.command("SET", "item:ready", "1") == OK, 5))
            check_stampede(report, "cluster", server)


def single_flight_modes(report, start):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        def write(mode):
            config.seek(0)
            config.truncate()
            config.write('routes: [{match: "*", cluster: local, policies: {single_flight: {mode: %s, keys: ["item:*"]}}}]\n' % mode)
            config.flush()

        def described(mode):
            return any(line.startswith("single_flight " + mode) for line in explain(server.connect(), "item:1"))

        write("observe")
        with start("--workers", "2", files=[config.name]) as server:
            loads = [one.loads for one in stampede(server.port, CLIENTS, 1, LOAD_SECONDS)]
            report.check("observe keeps nobody from loading", loads[0] > CLIENTS / 2, loads)
            observed = guards.figure(server, "tidegate_policy_observed_total", "single_flight")
            report.check("and counts who would have waited", observed > CLIENTS / 2, observed)
            report.equal("nobody waited", figure(server, "parked_total"), 0)
            write("enforce")
            server.process.send_signal(signal.SIGHUP)
            report.check("a reload enforces", eventually(lambda: described("enforce"), 2))
            check_stampede(report, "after the reload", server)
            waiting, leader = server.connect(), server.connect()
            parked = figure(server, "parked_total")
            leader.command("GET", "item:kept:1")
            waiting.send(b"GET item:kept:1\r\n")
            report.check("one waits", eventually(lambda: figure(server, "parked_total") == parked + 1, 1))
            write("observe")
            server.process.send_signal(signal.SIGHUP)
            leader.command("SET", "item:kept:1", "1")
            report.equal("a reload loses nobody who waits", waiting.read(), bulk("1"))
