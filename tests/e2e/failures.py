"""Nodes that are killed or stopped under load, in front of real servers: requests for the others neither fail nor wait, reads
that somebody else can answer do not fail at all, everything works again afterwards, and no reply is ever that of another request."""

import contextlib
import os
import random
import signal
import threading
import time

from cluster_slots import cluster_of_six
from discovery import in_front_of, usable
from report import eventually
from support import resp, servers

OK = resp.Reply("simple", b"OK")
# Each node of a cluster is killed or stopped, in turn; 2: both.
OUTAGES_EACH = int(os.environ.get("TIDEGATE_OUTAGES", "1"))
# Replies of the hunt for those to the wrong request; a million takes minutes.
HUNT_REQUESTS = int(os.environ.get("TIDEGATE_HUNT_REQUESTS", "20000"))
HUNT_SECONDS_MAX = 60 + HUNT_REQUESTS / 500
# What a client of a node that is well must have had answered while another is not.
PROGRESS = 50
OUTAGE_SECONDS_MAX = 30


def bulk(text):
    return resp.Reply("bulk", text.encode())


class Load(threading.Thread):
    """One client that writes and reads keys of its own, one request after the other, every value once. An error may have been
    executed or not; any other reply is right or wrong."""

    def __init__(self, server, keys, writes=True):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=20)
        self.keys = keys
        self.writes = writes
        self.possible = {key: {None} for key in keys}
        self.stop = threading.Event()
        self.answered = 0
        self.errors = []
        self.wrong = []
        self.slowest = 0.0

    def run(self):
        number = 0
        try:
            while not self.stop.is_set() and not self.wrong:
                key = self.keys[number % len(self.keys)]
                number += 1
                if self.writes:
                    self.write(key, "%s=%d" % (key, number))
                self.read(key)
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(repr(error))

    def ask(self, *command):
        began = time.monotonic()
        reply = self.connection.command(*command)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if reply.kind == "error":
            self.errors.append(reply.value)
        else:
            self.answered += 1
        return reply

    def write(self, key, value):
        reply = self.ask("SET", key, value)
        if reply == OK:
            self.possible[key] = {value}
        elif reply.kind == "error":
            self.possible[key].add(value)
        else:
            self.wrong.append((key, reply))

    def read(self, key):
        reply = self.ask("GET", key)
        if reply.kind == "error":
            return
        value = reply.value if reply.value is None else reply.value.decode()
        # A failover may lose what was acknowledged: then it is an older one of the same key.
        if value is not None and not value.startswith(key + "="):
            self.wrong.append((key, reply))

    def mark(self):
        """Forgets what was; returns how much has been answered so far."""
        self.errors.clear()
        self.slowest = 0.0
        return self.answered

    def goes_on(self):
        """The next requests are answered without an error."""
        before, errors = self.answered, len(self.errors)
        return eventually(lambda: self.answered >= before + 10 or len(self.errors) > errors, 5) and len(self.errors) == errors


@contextlib.contextmanager
def under(loads):
    for load in loads:
        load.start()
    try:
        yield
    finally:
        for load in loads:
            load.stop.set()
        for load in loads:
            load.join(30)


@contextlib.contextmanager
def stopped(node):
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def killed(node):
    node.crash()
    yield
    node.restart()


def serve_without_others(node):
    """A shard that is away is then no reason for the others to refuse."""
    node.connect().command("CONFIG", "SET", "cluster-require-full-coverage", "no")


def role(node):
    with contextlib.suppress(OSError, resp.Closed, resp.Timeout):
        return node.connect().command("ROLE").value[0].value
    return b""


def failures_cluster(report, start):
    """Each of six nodes in turn."""
    with cluster_of_six(start, ", read-from: prefer-replica") as (nodes, server):
        for node in nodes:
            serve_without_others(node)
        talk = nodes[0].talk
        shards = {i: [] for i in range(3)}
        for i in range(200):
            key = "key:%d" % i
            shards[talk.command("CLUSTER", "KEYSLOT", key).value * 3 // 16384].append(key)
        loads = [Load(server, keys[:20]) for keys in shards.values()]
        with under(loads):
            for i, node in enumerate(nodes):
                for outage in ((killed, stopped), (stopped, killed))[i % 2][:OUTAGES_EACH]:
                    cluster_outage(report, server, nodes, loads, i, outage)
        wrong = [one for load in loads for one in load.wrong]
        report.check("no reply to another request (%d requests)" % sum(load.answered for load in loads), not wrong, wrong[:3])


def cluster_outage(report, server, nodes, loads, number, outage):
    name = "node %d is %s" % (number, outage.__name__)
    others = [load for i, load in enumerate(loads) if i != number % 3]
    report.check("before: all are served", eventually(lambda: all(load.goes_on() for load in loads), OUTAGE_SECONDS_MAX))
    partner = nodes[(number + 3) % 6]
    was_primary = role(nodes[number]) == b"master"
    marks = [load.mark() for load in others]
    with outage(nodes[number]):
        progress = lambda: all(load.answered >= mark + PROGRESS for load, mark in zip(others, marks))  # noqa: E731
        report.check("%s: the others are served meanwhile" % name, eventually(progress, OUTAGE_SECONDS_MAX))
        if was_primary:
            eventually(lambda: role(partner) == b"master", OUTAGE_SECONDS_MAX)
        served = eventually(lambda: all(load.goes_on() for load in loads), OUTAGE_SECONDS_MAX)
        report.check("%s: then all are" % name, served, [load.errors[-1:] for load in loads])
    serve_without_others(nodes[number])
    errors = [error for load in others for error in load.errors]
    slowest = max(load.slowest for load in others)
    report.check("%s: the others had no error and waited for nothing (%.2f s)" % (name, slowest), not errors and slowest < 1.5, errors[:3])
    ports = [node.port for node in nodes]
    back = eventually(lambda: usable(server) == dict.fromkeys(ports, True), OUTAGE_SECONDS_MAX)
    report.check("%s no more: it is used again" % name, back, usable(server))
    links = lambda: all(node.info().get("master_link_status", "up") == "up" for node in nodes)  # noqa: E731
    eventually(links, OUTAGE_SECONDS_MAX)


def failures_replicas(report, start):
    """A primary and two replicas: who reads notices nothing but, once, the time until a node that stands still is given up."""
    fast = ("--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(servers.redis_server(*fast))
        replicas = [stack.enter_context(servers.redis_server("--replicaof", "127.0.0.1 %d" % primary.port, *fast)) for _ in range(2)]
        nodes = [primary, *replicas]
        eventually(lambda: all(node.info().get("master_link_status") == "up" for node in replicas), 20)
        server = stack.enter_context(in_front_of(start, "replicas", [node.port for node in nodes], ", read-from: prefer-replica"))
        eventually(lambda: usable(server) == {node.port: True for node in nodes}, 10)
        writer = server.connect()
        keys = ["key:%d" % i for i in range(20)]
        for key in keys:
            writer.command("SET", key, "%s=0" % key)
        readers = [Load(server, keys, writes=False) for _ in range(4)]
        with under(readers):
            for node in nodes:
                for outage in (killed, stopped):
                    replicas_outage(report, server, readers, node, nodes, outage)
        wrong = [one for load in readers for one in load.wrong]
        report.check("no reply to another request (%d reads)" % sum(load.answered for load in readers), not wrong, wrong[:3])


def replicas_outage(report, server, readers, node, nodes, outage):
    name = "%s %s" % ("the primary" if node is nodes[0] else "a replica", outage.__name__)
    marks = [load.mark() for load in readers]
    with outage(node):
        progress = lambda: all(load.answered >= mark + PROGRESS for load, mark in zip(readers, marks))  # noqa: E731
        report.check("%s: everybody reads on" % name, eventually(progress, OUTAGE_SECONDS_MAX))
        report.check("%s: it is known not to answer" % name, eventually(lambda: usable(server).get(node.port) is False, 10), usable(server))
        # Replicas are read while their primary is away.
        report.check("%s: everybody still reads" % name, all(load.goes_on() for load in readers))
    errors = [error for load in readers for error in load.errors]
    report.check("%s: no read has failed" % name, not errors, errors[:3])
    back = eventually(lambda: usable(server) == {one.port: True for one in nodes}, OUTAGE_SECONDS_MAX)
    report.check("%s: used again" % name, back, usable(server))
    written = eventually(lambda: server.connect().command("SET", "key:0", "key:0=1") == OK, 5)
    report.check("%s: written again" % name, written)


def failures_breaker(report, start):
    """A node that stands still: the requests that it has wait, further ones fail at once, and it is used again when it goes on."""
    settings = "health-check-interval: 300ms, connect-timeout: 500ms, request-timeout: 30s"
    with servers.redis_server() as redis, in_front_of(start, "redis", [redis.port], settings=settings) as server:
        report.equal("a write", server.connect().command("SET", "k", "v"), OK)
        connections = [server.connect() for _ in range(8)]  # of both workers, which connect before it stands still
        report.check("before", all(connection.command("GET", "k") == bulk("v") for connection in connections))
        with stopped(redis):
            waiting = connections.pop()
            waiting.send(resp.encode_command(("GET", "k")))
            down = eventually(lambda: breakers_open(server) == 2, 10)
            report.check("its health checks open the breakers of both workers", down, breakers_open(server))
            began = time.monotonic()
            replies = [connection.command("GET", "k") for connection in connections]
            took = time.monotonic() - began
            report.check("requests fail at once, and say why (%.3f s)" % took,
                         took < 1 and all(b"down, its health checks fail" in reply.value for reply in replies), replies[:1])
        resumed = time.monotonic()
        good = eventually(lambda: all(connection.command("GET", "k") == bulk("v") for connection in connections), 5)
        report.check("then they are answered (%.2f s)" % (time.monotonic() - resumed), good and time.monotonic() - resumed < 2)
        report.equal("and who has waited too", waiting.read(), bulk("v"))
        report.check("the breakers are closed", eventually(lambda: breakers_open(server) == 0, 5))
        log = server.log_text()
        report.equal("the log says each change once", (log.count("the circuit breaker is open"), log.count("the circuit breaker is closed")), (2, 2))


def breakers_open(server):
    return sum(int(float(line.split()[-1])) for line in server.metrics_text().splitlines()
               if line.startswith("tidegate_upstream_breakers_open{"))


class Hunter(threading.Thread):
    """Pipelines with values of which each is there once: a reply that belongs to another request is seen."""

    def __init__(self, server, number, requests):
        super().__init__(daemon=True)
        self.server = server
        self.random = random.Random(number)
        self.number = number
        self.left = requests  # that are to be answered by more than an error
        self.possible = {}
        self.value = 0
        self.errors = 0
        self.wrong = []

    def run(self):
        try:
            deadline = time.monotonic() + HUNT_SECONDS_MAX
            while self.left > 0 and not self.wrong:
                if time.monotonic() > deadline:
                    raise TimeoutError("%d replies are missing after %d s" % (self.left, HUNT_SECONDS_MAX))
                connection = self.server.connect(timeout=30)
                for _ in range(self.random.randrange(1, 5)):
                    self.pipeline(connection)
                connection.close()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(repr(error))

    def pipeline(self, connection):
        commands = []
        for _ in range(self.random.randrange(1, 200)):
            key = "%d:%d" % (self.number, self.random.randrange(20))
            self.value += 1
            commands.append(("SET", key, "%s=%d" % (key, self.value)) if self.random.random() < 0.5 else ("GET", key))
        connection.send(b"".join(resp.encode_command(command) for command in commands))
        for command in commands:
            self.check(command, connection.read())

    def check(self, command, reply):
        values = self.possible.setdefault(command[1], {None})
        self.left -= 1
        if reply.kind == "error":
            self.errors += 1
            self.left += 1
            good = reply.value.startswith(b"ERR upstream cluster 'shop', ")
            if command[0] == "SET":
                values.add(command[2])  # executed, or not
        elif command[0] == "SET":
            good = reply == OK
            self.possible[command[1]] = {command[2]}
        else:
            good = (None if reply.value is None else reply.value.decode()) in values
        if not good:
            self.wrong.append((command, reply))


def failures_mismatches(report, start):
    """Connections that end all the time, at the node and at the client."""
    with servers.redis_server() as redis, in_front_of(start, "redis", [redis.port], settings="health-check-interval: 300ms") as server:
        hunters = [Hunter(server, number, HUNT_REQUESTS // 4) for number in range(4)]
        direct = redis.connect()
        kills = 0
        for hunter in hunters:
            hunter.start()
        while any(hunter.is_alive() for hunter in hunters):
            kills += direct.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").value
            time.sleep(0.05)
        wrong = [one for hunter in hunters for one in hunter.wrong]
        report.check("%d replies, %d connections killed, %d errors: no reply to another request" %
                     (HUNT_REQUESTS, kills, sum(hunter.errors for hunter in hunters)), not wrong, wrong[:3])
        report.check("connections were killed", kills > 5)
        # Those that were killed last are made anew.
        report.check("then all is well", eventually(lambda: server.connect().command("SET", "k", "v") == OK, 5))
