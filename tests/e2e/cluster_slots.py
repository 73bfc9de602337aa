"""Clients of a real Redis Cluster behind Tidegate, which is to be one server for them: what is split and merged, what is
refused, reads from replicas, and slots that move under load without an error for anybody."""

import contextlib
import itertools
import random
import threading

from discovery import in_front_of, usable
from report import eventually
from support import resp
from topology import field, start_cluster

OK = resp.Reply("simple", b"OK")
CLIENTS = 4
MOVES = 40


def bulk(text):
    return resp.Reply("bulk", text.encode())


@contextlib.contextmanager
def cluster_of_six(start, more=""):
    """The nodes, and a Tidegate that knows all of them."""
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
        eventually(lambda: all(node.info().get("master_link_status", "up") == "up" for node in nodes), 20)
        server = stack.enter_context(in_front_of(start, "redis_cluster", [nodes[0].port], more))
        ports = [node.port for node in nodes]
        eventually(lambda: usable(server) == dict.fromkeys(ports, True), 10)
        yield nodes, server


def cluster_commands(report, start):
    with cluster_of_six(start) as (nodes, server):
        client = server.connect(timeout=10)
        keys = ["key:%d" % i for i in range(300)]
        report.equal("MSET over all nodes", client.command("MSET", *itertools.chain(*((key, "v" + key) for key in keys))), OK)
        counts = [node.talk.command("DBSIZE").value for node in nodes[:3]]
        report.check("each has a part", min(counts) > 50 and sum(counts) == 300, counts)
        got = client.command("MGET", *keys, "none").value
        report.check("MGET in the order of the keys", got == [bulk("v" + key) for key in keys] + [resp.Reply("nil", None)])
        report.equal("EXISTS", client.command("EXISTS", *keys, "none").value, 300)
        report.equal("DBSIZE", client.command("DBSIZE").value, 300)
        report.equal("KEYS", sorted(k.value.decode() for k in client.command("KEYS", "key:*").value), sorted(keys))
        report.check("RANDOMKEY", client.command("RANDOMKEY").value.decode() in keys)
        report.equal("SCAN", scan(client), set(keys))
        client.command("LPUSH", "list", "a")
        report.equal("a wrong type in MGET", client.command("MGET", "list", keys[0]).value[0], resp.Reply("nil", None))
        report.equal("DEL", client.command("DEL", *keys[:150], "list").value, 151)
        report.equal("UNLINK", client.command("UNLINK", *keys[150:200], "none").value, 50)
        report.equal("TOUCH", client.command("TOUCH", *keys).value, 100)
        direct = nodes[0].connect()
        for command in (("RENAME", "a", "b"), ("MSETNX", "a", "1", "b", "2"), ("SUNION", "a", "b")):
            report.equal("%s over two slots: Redis' error" % command[0], client.command(*command), direct.command(*command))
        for command in (("SELECT", "1"), ("SWAPDB", "0", "1"), ("SCAN", "x"), ("MOVE", "{06S}", "1")):
            report.equal("%s: Redis' error" % command[0], client.command(*command), direct.command(*command))
        report.equal("keys of one slot", client.command("MSETNX", "{t}a", "1", "{t}b", "2").value, 1)
        report.equal("HELLO 3 and a map", hash_in_resp3(server).kind, "map")
        report.equal("FLUSHALL", client.command("FLUSHALL"), OK)
        report.equal("everywhere", [node.talk.command("DBSIZE").value for node in nodes[:3]], [0, 0, 0])


def scan(client):
    found, cursor = set(), b"0"
    while True:
        cursor, page = (part.value for part in client.command("SCAN", cursor, "COUNT", "20").value)
        found.update(key.value.decode() for key in page)
        if cursor == b"0":
            return found


def hash_in_resp3(server):
    client = server.connect()
    client.command("HELLO", 3)
    client.command("HSET", "h", "a", "1")
    return client.command("HGETALL", "h")


def cluster_replica_reads(report, start):
    with cluster_of_six(start, ", read-from: prefer-replica") as (nodes, server):
        client = server.connect(timeout=10)
        report.equal("a write", client.command("SET", "foo", "1"), OK)
        report.check("is read at the replica", eventually(lambda: client.command("GET", "foo") == bulk("1"), 5))
        gets = lambda node: calls(node, "get")  # noqa: E731
        before = [gets(node) for node in nodes]
        replies = ask_all(client, [("GET", "foo")] * 50)
        report.check("in a pipeline too", replies == [bulk("1")] * 50, replies[:2])
        delta = [gets(node) - b for node, b in zip(nodes, before)]
        report.equal("all of them there", delta, [0, 0, 0, 0, 0, 50])
        mixed = ask_all(client, [part for i in range(50) for part in (("SET", "n", str(i)), ("GET", "foo"))])
        report.check("writes and reads in one pipeline", mixed == [OK, bulk("1")] * 50, mixed[:4])
        nodes[5].crash()
        report.check("without its replica the primary is read", eventually(lambda: client.command("GET", "foo") == bulk("1"), 10))


def calls(node, command):
    text = node.talk.command("INFO", "commandstats").value.decode()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    stats = lines.get("cmdstat_" + command)
    return int(stats.split(",")[0].partition("=")[2]) if stats else 0


def ask_all(connection, commands):
    connection.send(b"".join(resp.encode_command(command) for command in commands))
    return [connection.read() for _ in commands]


class Client(threading.Thread):
    """Writes and reads keys of its own in pipelines, and knows each reply beforehand."""

    def __init__(self, server, number, slots_keys, stop):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=20)
        self.random = random.Random(number)
        # Every key of one slot that moves, and some of slots that stay.
        self.keys = ["{%s}%d:%d" % (tag, number, i) for tag in slots_keys for i in range(4)]
        self.keys += ["stays:%d:%d" % (number, i) for i in range(20)]
        self.tag = slots_keys[0]
        self.number = number
        self.values = {}
        self.stop = stop
        self.requests = 0
        self.wrong = []

    def run(self):
        while not self.stop.is_set() and not self.wrong:
            try:
                self.pipeline()
                self.pair()
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append(repr(error))

    def pipeline(self):
        commands, expected = [], []
        for _ in range(self.random.randint(1, 100)):
            key = self.random.choice(self.keys)
            if self.random.random() < 0.5:
                self.values[key] = "%d=%d" % (self.number, self.random.randrange(10**9))
                commands.append(("SET", key, self.values[key]))
                expected.append(OK)
            else:
                commands.append(("GET", key))
                expected.append(bulk(self.values[key]) if key in self.values else resp.Reply("nil", None))
        self.compare(commands, expected)

    def pair(self):
        """Two keys of one slot in one command, which may meet them on both sides."""
        a, b = ("{%s}pair:%d:%s" % (self.tag, self.number, end) for end in "ab")
        value = str(self.random.randrange(10**9))
        self.compare([("MSET", a, value, b, value)], [OK])
        self.compare([("MGET", a, b)], [resp.Reply("array", [bulk(value), bulk(value)])])

    def compare(self, commands, expected):
        self.requests += len(commands)
        for command, got, wanted in zip(commands, ask_all(self.connection, commands), expected):
            if got != wanted:
                self.wrong.append((command, got, wanted))


class PrivateClient(threading.Thread):
    """The same with what needs a connection to itself: transactions, WATCH, commands that wait."""

    def __init__(self, server, number, tags, stop):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=20)
        self.number = number
        self.tags = tags
        self.stop = stop
        self.requests = 0
        self.wrong = []
        self.lost_watches = 0

    def run(self):
        count = 0
        while not self.stop.is_set() and not self.wrong:
            count += 1
            try:
                for tag in self.tags:
                    self.transaction("{%s}tx:%d" % (tag, self.number), count)
                    self.watched("{%s}watched:%d" % (tag, self.number))
                    self.waits("{%s}list:%d" % (tag, self.number), str(count))
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append(repr(error))

    def transaction(self, key, count):
        replies = ask_all(self.connection, [("MULTI",), ("INCR", key), ("INCR", key + ":second"), ("EXEC",)])
        self.expect(key, replies[3], resp.Reply("array", [resp.Reply("integer", count)] * 2))

    def watched(self, key):
        """Counts by looking first. A slot that moves may cost the watch, and then nothing is done."""
        self.expect(key, self.connection.command("WATCH", key), OK)
        before = self.connection.command("GET", key)
        after = str(int(before.value or 0) + 1)
        reply = ask_all(self.connection, [("MULTI",), ("SET", key, after), ("EXEC",)])[2]
        if reply.kind == "nil_array":
            self.lost_watches += 1
            self.expect(key, self.connection.command("GET", key), before)
        else:
            self.expect(key, reply, resp.Reply("array", [OK]))

    def waits(self, key, value):
        self.expect(key, self.connection.command("RPUSH", key, value), resp.Reply("integer", 1))
        self.expect(key, self.connection.command("BLPOP", key, "0"), resp.Reply("array", [bulk(key), bulk(value)]))

    def expect(self, what, got, wanted):
        self.requests += 1
        if got != wanted:
            self.wrong.append((what, got, wanted))


def cluster_resharding(report, start):
    """Slots with keys go from node to node and back while clients use them: as redis-cli --cluster reshard does it."""
    with cluster_of_six(start) as (nodes, server):
        tags = ["foo", "bar", "t3"]
        slots = [nodes[0].talk.command("CLUSTER", "KEYSLOT", tag).value for tag in tags]
        stop = threading.Event()
        clients = [Client(server, number, tags, stop) for number in range(CLIENTS)]
        clients += [PrivateClient(server, number, tags, stop) for number in range(2)]
        for client in clients:
            client.start()
        owners = {slot: next(i for i in range(3) if owns(nodes[i], slot)) for slot in slots}
        for move in range(MOVES):
            slot = slots[move % len(slots)]
            target = (owners[slot] + 1) % 3
            move_slot(nodes[:3], slot, owners[slot], target)
            owners[slot] = target
        stop.set()
        for client in clients:
            client.join(30)
        wrong = [one for client in clients for one in client.wrong]
        report.check("%d moves of slots under %d requests of %d clients: every reply as it must be" %
                     (MOVES, sum(client.requests for client in clients), len(clients)), not wrong, wrong[:3])
        report.check("those with connections of their own among them (%s watches lost)" %
                     [client.lost_watches for client in clients[CLIENTS:]],
                     all(client.requests > 50 for client in clients[CLIENTS:]))
        report.check("many requests", sum(client.requests for client in clients) > 1000)
        redirected = sum(errors(node, "MOVED") + errors(node, "ASK") + errors(node, "TRYAGAIN") for node in nodes[:3])
        report.check("%d redirections that nobody saw" % redirected, redirected > 0)


def owns(node, slot):
    mine = [line for line in node.talk.command("CLUSTER", "NODES").value.decode().splitlines() if "myself" in line][0].split()[8:]
    ranges = [part.partition("-") for part in mine if not part.startswith("[")]
    return any(int(first) <= slot <= int(last or first) for first, _, last in ranges)


def move_slot(primaries, slot, source, target):
    names = [node.talk.command("CLUSTER", "MYID").value for node in primaries]
    give, take = primaries[source], primaries[target]
    take.talk.command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    give.talk.command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    while keys := [key.value for key in give.talk.command("CLUSTER", "GETKEYSINSLOT", slot, 3).value]:
        give.talk.command("MIGRATE", "127.0.0.1", take.port, "", 0, 5000, "KEYS", *keys)
    for node in (take, give, *primaries):
        node.talk.command("CLUSTER", "SETSLOT", slot, "NODE", names[target])


def errors(node, name):
    text = node.talk.command("INFO", "errorstats").value.decode()
    for line in text.splitlines():
        if line.startswith("errorstat_%s:" % name):
            return int(line.partition("count=")[2])
    return 0
