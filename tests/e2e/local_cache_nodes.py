"""What Tidegate keeps of servers that change, move, fail or are written by others: how soon it is right, and never wrong for good."""

import contextlib
import json
import socket
import threading
import time
import urllib.request

from cluster_slots import cluster_of_six, move_slot
from discovery import FAILOVER_SECONDS_MAX, Writer, primary_of, says_primary, watched_pair
from guards import explain
from local_cache import ROUTES, calls, figure, warm, write_elsewhere
from operations import at, reloadable
from report import eventually
from routes import configured
from support import resp, servers
from upstream_tls import certificates, start_node
from upstreams import OK, bulk

# So long a reply is given after the last word of its node.
LEASE_SECONDS = 0.5
CACHED = "cache, policies: {local_cache: {mode: enforce, keys: ['k*'], ttl-max: 1h}}"
DIRECT_WRITES = 300
# So long a reply is kept, unless the configuration says otherwise.
TTL_SECONDS_MAX = 10


def soon(report, name, client, expected, *command, seconds=2):
    """Checks that the client gets to see it."""
    report.check(name, eventually(lambda: client.command(*command) == expected, seconds), client.command(*command))


def local_cache_hot(report, start):
    routes = '{match: "*", cluster: cache, policies: {local_cache: {mode: enforce}}}'
    flags = ("--workers", "2", "--hot-key-rate", "200")
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes, flags=flags) as server:
        client, direct = server.connect(), redis.connect()
        for key in ("hot", "cold", "written"):
            client.command("SET", key, "value")

        def actions():
            for _ in range(200):
                client.command("GET", "hot")
            with urllib.request.urlopen("http://127.0.0.1:%d/hotkeys" % server.admin_port, timeout=5) as answer:
                return [key["actions"] for key in json.load(answer)["keys"] if key["key"] == "hot"]

        report.check("/hotkeys says that a hot key's replies are kept", eventually(lambda: actions() == [["local_cache"]], 5), actions())
        report.check("they are", warm(server, client, "GET", "hot"))
        fills = figure(server, "fills_total")
        before = calls(direct, "get")
        for _ in range(50):
            client.command("GET", "cold")
        report.equal("every read of a cold key goes to its node", calls(direct, "get") - before, 50)
        report.equal("and is not fetched", figure(server, "fills_total"), fills)
        joined(report, server)
        report.equal("EXPLAIN says what is kept", [line for line in explain(client, "hot") if line.startswith("local_cache")],
                     ["local_cache enforce: keys hot ttl-max 10s entry-bytes-max 65536"])


class Reader(threading.Thread):
    """Reads a number that grows, and notes those that are less than what was acknowledged before it asked."""

    def __init__(self, server, written):
        super().__init__(daemon=True)
        self.client = server.connect(timeout=10)
        self.written = written
        self.stop = threading.Event()
        self.stale = []

    def run(self):
        while not self.stop.is_set():
            least = self.written[0]
            reply = self.client.command("GET", "hot")
            if reply.kind != "bulk" or int(reply.value) < least:
                self.stale.append((least, reply))


def joined(report, server):
    """Many read a hot key that is written all the time: reads that are on their way are shared, and none is older than a write before it."""
    client, written = server.connect(), [0]
    client.command("SET", "hot", "0")
    readers = [Reader(server, written) for _ in range(16)]
    for reader in readers:
        reader.start()

    def shared():
        for _ in range(50):
            client.command("SET", "hot", str(written[0] + 1))
            written[0] += 1
            time.sleep(0.01)  # what is written as often as it is read is not kept
        return figure(server, "joined_total") > 0

    report.check("reads of it that are on their way are shared", eventually(shared, 20), figure(server, "joined_total"))
    for reader in readers:
        reader.stop.set()
    for reader in readers:
        reader.join(10)
    report.equal("and none is older than what was acknowledged", sum((reader.stale for reader in readers), []), [])


def local_cache_observe(report, start):
    routes = ROUTES.replace("enforce", "observe")
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
        client, direct = server.connect(), redis.connect()
        for _ in range(20):
            client.command("GET", "k")
        report.equal("observe counts the reads", figure(server, "observed_total"), 20)
        report.equal("and asks the node for each", (calls(direct, "get"), calls(direct, "exec")), (20, 0))


def local_cache_reload(report, start):
    with servers.redis_server() as redis, reloadable(start, {"cache": at(redis)}, {"*": "cache"}) as (server, reload):
        client, direct = server.connect(), redis.connect()
        client.command("SET", "k", "1")
        report.check("without the policy nothing is kept", all(client.command("GET", "k") == bulk("1") for _ in range(50)) and figure(server, "fills_total") == 0)
        for turn in range(3):
            reload({"cache": at(redis)}, {"*": CACHED})
            report.check("%d: a reload switches it on" % turn, warm(server, client, "GET", "k"))
            client.command("SET", "k", "on%d" % turn)
            report.equal("%d: a write is seen" % turn, client.command("GET", "k"), bulk("on%d" % turn))
            warm(server, client, "GET", "k")
            reload({"cache": at(redis)}, {"*": "cache"})
            report.check("%d: and off" % turn, eventually(lambda: figure(server, "keys") == 0 and figure(server, "connections") == 0, 5))
            direct.command("SET", "k", "off%d" % turn)
            report.equal("%d: then every read is the node's" % turn, client.command("GET", "k"), bulk("off%d" % turn))


def seconds_until(client, expected, limit=10.0):
    begun = time.monotonic()
    while client.command("GET", "k") != bulk(expected):
        if time.monotonic() - begun > limit:
            return limit
    return time.monotonic() - begun


def local_cache_others(report, start):
    """Writes that do not go through this Tidegate."""
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(servers.redis_server())
        one, two = (stack.enter_context(configured(start, {"cache": redis.port}, ROUTES)) for _ in range(2))
        client, other, direct = one.connect(), two.connect(), redis.connect()
        times = []
        for i in range(DIRECT_WRITES):
            if i % 20 == 0:
                warm(one, client, "GET", "k")
            direct.command("SET", "k", "direct%d" % i)
            times.append(seconds_until(client, "direct%d" % i))
        times.sort()
        print("     direct writes are seen after: p50 %.2f ms, p99 %.2f ms, at most %.2f ms"
              % tuple(1e3 * times[int(len(times) * part)] for part in (0.5, 0.99, 0.9999)))
        report.check("direct writes are seen", times[-1] < 2, times[-1])
        times = []
        for i in range(DIRECT_WRITES):
            if i % 20 == 0:
                warm(one, client, "GET", "k")
            other.command("SET", "k", "other%d" % i)
            times.append(seconds_until(client, "other%d" % i))
        report.check("so are those over another Tidegate", max(times) < 2, max(times))
        warm(one, client, "GET", "k")
        other.command("FLUSHDB")
        soon(report, "FLUSHDB over another", client, resp.Reply("nil", None), "GET", "k")
        client.command("SET", "k", "old")
        write_elsewhere(direct, "swapped")
        warm(one, client, "GET", "k")
        # No server tells of that: what is kept lives as long as it may, and no longer.
        report.equal("SWAPDB over another", other.command("SWAPDB", "0", "1"), OK)
        soon(report, "is seen when the reply's time is over", client, bulk("swapped"), "GET", "k", seconds=TTL_SECONDS_MAX + 2)
        report.check("invalidations are counted", figure(one, "invalidations_total") > 0)
        killed(report, one, client, direct)


def killed(report, server, client, direct):
    """Each of Tidegate's connections to the node, one after the other."""
    ids = [line.split()[0].partition("=")[2] for line in direct.command("CLIENT", "LIST").value.decode().splitlines() if "name=tidegate" in line]
    report.check("there are connections of it", len(ids) > 1, ids)
    for number, name in enumerate(ids):
        warm(server, client, "GET", "k")
        direct.command("CLIENT", "KILL", "ID", name)
        direct.command("SET", "k", "killed%d" % number)
        wanted = bulk("killed%d" % number)
        if not eventually(lambda wanted=wanted: client.command("GET", "k") == wanted, 5):
            report.check("a connection that was killed leaves nothing stale", False, "%d of %s" % (number, ids))
    report.check("and replies are kept again", warm(server, client, "GET", "k"))


class Relay:
    """Between Tidegate and a redis-server: on demand it passes nothing more of connections on which keys are tracked, and keeps them open."""

    def __init__(self, port):
        self.port_behind = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_black = False
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                front = self.listener.accept()[0]
                back = socket.create_connection(("127.0.0.1", self.port_behind))
                self.sockets += [front, back]
                tracked = threading.Event()
                threading.Thread(target=self.forward, args=(front, back, tracked), daemon=True).start()
                threading.Thread(target=self.forward, args=(back, front, tracked), daemon=True).start()

    def forward(self, source, target, tracked):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if b"TRACKING" in data:
                    tracked.set()
                if not (self.is_black and tracked.is_set()):
                    target.sendall(data)
            for one in (source, target):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        for one in [self.listener, *self.sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def local_cache_black_hole(report, start):
    """The connection that tells of changes is silent, and nobody says that it is lost."""
    with servers.redis_server() as redis, contextlib.closing(Relay(redis.port)) as relay, \
            configured(start, {"cache": relay.port}, ROUTES.replace("mode: enforce", "mode: enforce, ttl-max: 1h"),
                       flags=("--workers", "1")) as server:
        client, direct = server.connect(), redis.connect()
        client.command("SET", "k", "old")
        report.check("a reply is kept", warm(server, client, "GET", "k"))
        relay.is_black = True
        direct.command("SET", "k", "new")
        seconds = seconds_until(client, "new")
        print("     a silent connection: stale replies for %.0f ms" % (1e3 * seconds))
        # A lease is half a second; the rest is for a machine that does other things.
        report.check("stale replies end with the lease", seconds <= 4 * LEASE_SECONDS, seconds)
        hits = figure(server, "hits_total")
        report.check("no reply is given from here meanwhile",
                     all(client.command("GET", "k") == bulk("new") for _ in range(50)) and figure(server, "hits_total") == hits)
        relay.is_black = False
        direct.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        report.check("afterwards replies are kept again", warm(server, client, "GET", "k"))


def local_cache_failover(report, start):
    """Sentinels promote a replica: what was kept of the old primary is not given any more."""
    with contextlib.ExitStack() as stack:
        old, new, sentinels = watched_pair(stack)
        nodes = 'kind: sentinel, nodes: ["127.0.0.1:%d"], primary-name: db, refresh-interval: 1s' % sentinels[0].port
        server, _ = stack.enter_context(reloadable(start, {"cache": nodes}, {"*": CACHED}))
        writer = Writer(server, "k")
        client = server.connect(timeout=10)
        report.check("a write", eventually(writer.works, 5))
        report.check("a reply is kept", warm(server, client, "GET", "k"))
        old.crash()
        report.check("the sentinels promote the replica", eventually(lambda: says_primary(new), FAILOVER_SECONDS_MAX))
        new.connect().command("SET", "k", "after")
        soon(report, "the new primary's value is seen", client, bulk("after"), "GET", "k", seconds=10)
        report.equal("which is the primary", primary_of(server), new.port)
        report.check("and kept", warm(server, client, "GET", "k"))
        new.connect().command("SET", "k", "later")
        soon(report, "and is right", client, bulk("later"), "GET", "k")


def local_cache_cluster(report, start):
    """Slots move, with keys that are kept and with one that is made while they do."""
    with cluster_of_six(start) as (nodes, _):
        options = 'kind: redis_cluster, nodes: ["127.0.0.1:%d"], refresh-interval: 1s' % nodes[0].port
        with reloadable(start, {"cache": options}, {"*": CACHED}) as (server, _):
            client = server.connect(timeout=10)
            slot = nodes[0].talk.command("CLUSTER", "KEYSLOT", "k{foo}").value
            client.command("SET", "k{foo}", "old")
            report.check("a reply is kept", warm(server, client, "GET", "k{foo}"))
            for target, source in ((0, 2), (1, 0), (2, 1)):
                client.command("GET", "k2{foo}")
                give, take = nodes[source], nodes[target]
                names = [node.talk.command("CLUSTER", "MYID").value for node in nodes[:3]]
                take.talk.command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
                give.talk.command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
                # A key that was not there is made where the slot goes, by somebody else.
                for _ in range(5):
                    client.command("GET", "k2{foo}")
                take.talk.command("ASKING")
                take.talk.command("SET", "k2{foo}", "made%d" % target)
                soon(report, "to node %d: a key that is made there" % target, client, bulk("made%d" % target), "GET", "k2{foo}")
                take.talk.command("ASKING")
                take.talk.command("DEL", "k2{foo}")
                move_slot(nodes[:3], slot, source, target)
                take.talk.command("SET", "k{foo}", "on%d" % target)
                soon(report, "to node %d: what is written there" % target, client, bulk("on%d" % target), "GET", "k{foo}")
                report.check("to node %d: and kept" % target, warm(server, client, "GET", "k{foo}"))
            stale = 0
            for i in range(100):
                client.command("SET", "k{foo}", str(i))
                stale += client.command("GET", "k{foo}") != bulk(str(i))
            report.equal("a write through Tidegate is seen at once", stale, 0)


def local_cache_tls(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        node = start_node(stack, made)
        cluster = 'kind: redis, nodes: ["127.0.0.1:%d"]%s' % (node.tls_port, made.trusting())
        server, _ = stack.enter_context(reloadable(start, {"cache": cluster}, {"*": CACHED}))
        client, direct = server.connect(timeout=10), node.connect()
        client.command("SET", "k", "1")
        report.check("over TLS a reply is kept", warm(server, client, "GET", "k"))
        direct.command("SET", "k", "2")
        soon(report, "and a direct write is seen", client, bulk("2"), "GET", "k")


def local_cache_refused(report, start):
    """A node that does not know what it takes, and a user that may not say it."""
    with servers.redis_server("--rename-command", "HELLO", "") as redis, configured(start, {"cache": redis.port}, ROUTES, flags=("--workers", "1")) as server:
        client = server.connect()
        client.command("SET", "k", "1")
        report.check("without HELLO every read is the node's", all(client.command("GET", "k") == bulk("1") for _ in range(300)))
        report.check("EXPLAIN says why", any(line.startswith("local_cache is off: keys cannot be tracked there") for line in explain(client, "k")), explain(client, "k"))
        report.equal("the log says so once", server.log_text().count("no replies are kept (local_cache)"), 1)
        report.equal("no connection has failed", [line for line in server.metrics_text().splitlines()
                                                  if line.startswith("tidegate_upstream_connect_failures_total") and not line.endswith(" 0")], [])
        report.equal("and the gauge has it", (figure(server, "connections"), figure(server, "connections_down")), (0, 1))
    with servers.redis_server() as redis:
        direct = redis.connect()
        direct.command("ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all", "-client|tracking")
        cluster = 'kind: redis, nodes: ["127.0.0.1:%d"], username: limited, password: secret' % redis.port
        with reloadable(start, {"cache": cluster}, {"*": CACHED}) as (server, _):
            client = server.connect()
            client.command("SET", "k", "1")
            report.check("a user without CLIENT TRACKING reads", all(client.command("GET", "k") == bulk("1") for _ in range(100)))
            report.equal("nothing is kept", figure(server, "fills_total"), 0)
            direct.command("ACL", "SETUSER", "limited", "+client|tracking", "-multi")
            report.equal("a write", client.command("SET", "k", "2"), OK)
            report.check("without MULTI neither", all(client.command("GET", "k") == bulk("2") for _ in range(100)) and figure(server, "fills_total") == 0)
