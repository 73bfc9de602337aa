"""Durability: what outlives a kill -9 and a restart.

Clients write keys of their own, of every type, step by step: a step is one command, or a transaction of several that
also counts the client's steps. The same steps are applied to a redis-server, which is the model. After the kill and the
restart each client's keys must be as the model has them after some step: none earlier than what was acknowledged
(always), or than what was acknowledged a second before the kill (everysec). Nothing is half there, and the client's
transactions that move money between accounts shared by all keep the sum at 0. Then the load goes on from there.

TIDEGATE_KILLS asks for more than the usual few kills, TIDEGATE_KILL_SEED for those of another run.
"""

import os
import random
import resource
import threading
import time

from report import eventually
from support import resp, servers

CLIENTS = 4
PIPELINE_MAX = 4
ACCOUNTS = 5

# Kills in one directory. Each start replays all that was written before, and each comparison reads values that have grown
# since: with all kills in one directory both would take longer and longer, hours in the end.
KILLS_PER_DIRECTORY = 25


class Step:
    """Commands that are applied together, and what became of them."""

    def __init__(self, number, commands, is_transaction):
        self.number = number
        self.commands = commands
        self.is_transaction = is_transaction
        self.acknowledged = None  # when

    def request(self):
        if not self.is_transaction:
            return resp.encode_command(self.commands[0])
        return b"".join(map(resp.encode_command, [["MULTI"], *self.commands, ["EXEC"]]))

    def replies(self):
        return len(self.commands) + 2 if self.is_transaction else 1


def random_command(dice, prefix):
    """One command on a client's own keys. Same state, same command, same result: no randomness of the server's."""
    def key(kind):
        return "%s:%s:%d" % (prefix, kind, dice.randrange(6))
    member = "m%d" % dice.randrange(40)
    value = "v%d" % dice.randrange(10**6) * dice.choice((1, 1, 1, 5, 300, 6000))
    return dice.choice((
        ["SET", key("string"), value],
        ["SET", key("string"), value, "PXAT", str(4_000_000_000_000 + dice.randrange(1000))],
        ["APPEND", key("string"), value[:20]],
        ["SETRANGE", key("string"), str(dice.randrange(50)), value[:9]],
        ["INCRBY", key("number"), str(dice.randrange(100))],
        ["INCRBYFLOAT", key("float"), "0.25"],
        ["SETBIT", key("bits"), str(dice.randrange(3000)), "1"],
        ["RPUSH", key("list"), value, member],
        ["LPUSH", key("list"), member],
        ["LPOP", key("list")],
        ["LMOVE", key("list"), key("list"), "LEFT", "RIGHT"],
        ["LREM", key("list"), "0", member],
        ["SADD", key("set"), member, value[:30]],
        ["SREM", key("set"), member],
        ["SMOVE", key("set"), key("set"), member],
        ["SUNIONSTORE", key("set"), key("set"), key("set")],
        ["HSET", key("hash"), member, value],
        ["HINCRBY", key("hashes"), member, "7"],
        ["HDEL", key("hash"), member],
        ["ZADD", key("zset"), str(dice.randrange(1000)), member],
        ["ZINCRBY", key("zset"), "1.5", member],
        ["ZPOPMIN", key("zset")],
        ["ZREM", key("zset"), member],
        ["PFADD", key("log"), value[:30]],
        ["DEL", key(dice.choice(("string", "list", "set", "hash", "zset")))],
        ["RENAME", key("list"), "%s:list:9" % prefix],
        ["COPY", key("hash"), "%s:hash:9" % prefix, "REPLACE"],
        ["PEXPIREAT", key("set"), str(4_000_000_000_000 + dice.randrange(1000))],
        ["PERSIST", key("set")],
    ))


class Client(threading.Thread):
    """One connection that writes until it is cut off."""

    def __init__(self, port, index, first_step, seed):
        super().__init__(daemon=True)
        self.port = port
        self.prefix = "c%d" % index
        self.dice = random.Random(seed * 1000 + index)
        self.next_step = first_step
        self.steps = []  # that were sent
        self.failure = None

    def step(self):
        number = self.next_step
        self.next_step += 1
        if self.dice.random() < 0.5:
            return Step(number, [random_command(self.dice, self.prefix)], False)
        commands = [random_command(self.dice, self.prefix) for _ in range(self.dice.randrange(1, 4))]
        commands.append(["SET", self.prefix + ":steps", str(number)])
        amount = str(self.dice.randrange(100))
        commands += [["INCRBY", "account:%d" % self.dice.randrange(ACCOUNTS), amount],
                     ["DECRBY", "account:%d" % self.dice.randrange(ACCOUNTS), amount]]
        self.dice.shuffle(commands)
        return Step(number, commands, True)

    def run(self):
        try:
            connection = resp.Connection(self.port, timeout=10)
            while True:
                steps = [self.step() for _ in range(self.dice.randrange(1, PIPELINE_MAX + 1))]
                self.steps += steps
                connection.send(b"".join(step.request() for step in steps))
                for step in steps:
                    replies = [connection.read() for _ in range(step.replies())]
                    if replies[-1].kind == "error" and b"no such key" not in replies[-1].value:
                        self.failure = replies[-1].value
                    step.acknowledged = time.monotonic()
        except (resp.Closed, OSError):
            pass


def contents(connection, prefix):
    """Everything below a prefix, comparable."""
    keys = sorted(key.value for key in connection.command("KEYS", prefix + ":*").value)
    out = {}
    for key in keys:
        kind = connection.command("TYPE", key).value
        reply = connection.command(*{
            b"string": ("GET", key),
            b"list": ("LRANGE", key, "0", "-1"),
            b"set": ("SMEMBERS", key),
            b"hash": ("HGETALL", key),
            b"zset": ("ZRANGE", key, "0", "-1", "WITHSCORES"),
        }[kind]).value
        if kind == b"set":
            reply = sorted(member.value for member in reply)
        elif kind == b"hash":
            fields = [item.value for item in reply]
            reply = sorted(zip(fields[::2], fields[1::2]))
        out[key] = (kind, reply, connection.command("PEXPIRETIME", key).value)
    return out


def apply(model, steps):
    commands = [command for step in steps for command in step.commands if not command[1].startswith("account")]
    model.send(b"".join(map(resp.encode_command, commands)))
    for _ in commands:
        model.read()


def copy_state(server, model, prefix):
    for key in model.command("KEYS", prefix + ":*").value:
        model.command("DEL", key.value)
    for key in server.command("KEYS", prefix + ":*").value:
        until = max(server.command("PEXPIRETIME", key.value).value, 0)
        model.command("RESTORE", key.value, str(until), server.command("DUMP", key.value).value, "ABSTTL")


def find_state(server, model, client):
    """Applies to the model the steps that outlived the crash. Returns how many, None when no number of them fits."""
    found = contents(server, client.prefix)
    counted = int(server.command("GET", client.prefix + ":steps").value or 0)
    sure = sum(step.number <= counted for step in client.steps)
    apply(model, client.steps[:sure])
    for count in range(sure, len(client.steps) + 1):
        if contents(model, client.prefix) == found:
            break
        apply(model, client.steps[count:count + 1])
    else:
        return None
    # Steps that change nothing may have been applied too.
    for step in client.steps[count:]:
        apply(model, [step])
        if contents(model, client.prefix) != found:
            copy_state(server, model, client.prefix)
            break
        count += 1
    return count


LOSSES = ("acknowledged", "early", "torn", "sum", "refused")


def crash_rounds(start, mode, kills, seed):
    """Loads, kills, restarts and compares, `kills` times in one directory."""
    dice = random.Random(seed)
    lost_seconds_max = 0.0
    lost = {kind: [] for kind in LOSSES}
    with servers.redis_server() as redis, \
            start("--appendonly", "yes", "--appendfsync", mode, "--workers", "2",
                  "--checkpoint-journal-records", "300") as server:
        model = redis.connect()
        first_steps = [1] * CLIENTS
        for kill in range(kills):
            clients = [Client(server.port, i, first_steps[i], seed + kill) for i in range(CLIENTS)]
            for client in clients:
                client.start()
            time.sleep(dice.uniform(0.02, 0.5 if kill % 4 else 1.5))
            killed = time.monotonic()
            server.crash()
            for client in clients:
                client.join(15)
            server.restart()
            connection = server.connect()
            for i, client in enumerate(clients):
                kept = find_state(connection, model, client)
                where = "seed %d, kill %d, client %d" % (seed, kill, i)
                if client.failure:
                    lost["refused"].append("%s: %r" % (where, client.failure))
                if kept is None:
                    lost["torn"].append(where)
                    return lost, lost_seconds_max, 0
                missing = [step for step in client.steps[kept:] if step.acknowledged is not None]
                if missing:
                    seconds = killed - missing[0].acknowledged
                    lost_seconds_max = max(lost_seconds_max, seconds)
                    lost["acknowledged"].append("%s: %d steps" % (where, len(missing)))
                    if seconds > 1.1:
                        lost["early"].append("%s: %.2f s" % (where, seconds))
                first_steps[i] += kept
            balances = connection.command("MGET", *["account:%d" % i for i in range(ACCOUNTS)]).value
            if sum(int(balance.value or 0) for balance in balances) != 0:
                lost["sum"].append("kill %d" % kill)
            connection.close()
        return lost, lost_seconds_max, sum(first_steps) - CLIENTS


def crash_directories(start, mode, kills, seed):
    """The same in as many directories as it takes. A kill's clients have seed + its number in all of them."""
    lost = {kind: [] for kind in LOSSES}
    seconds_max, steps = 0.0, 0
    for first in range(0, kills, KILLS_PER_DIRECTORY):
        more, seconds, more_steps = crash_rounds(start, mode, min(KILLS_PER_DIRECTORY, kills - first), seed + first)
        for kind in LOSSES:
            lost[kind] += more[kind]
        seconds_max = max(seconds_max, seconds)
        steps += more_steps
        if lost["torn"]:
            break
    return lost, seconds_max, steps


def kills_wanted():
    return int(os.environ.get("TIDEGATE_KILLS", "0"))


def more_seconds_max():
    """What kills that somebody asks for may take."""
    return 5 * kills_wanted()


def crash(report, start):
    kills = kills_wanted()
    seed = int(os.environ.get("TIDEGATE_KILL_SEED", "1"))
    for mode, usual in (("always", 6), ("everysec", 6)):
        lost, seconds, steps = crash_directories(start, mode, kills or usual, seed)
        report.check("%s: there was something to lose" % mode, steps > 100, steps)
        report.check("%s: every state is one that there was" % mode, not lost["torn"], lost["torn"])
        report.check("%s: transactions are whole" % mode, not lost["sum"], lost["sum"])
        report.check("%s: nothing was refused" % mode, not lost["refused"], lost["refused"][:3])
        if mode == "always":
            report.check("always: nothing acknowledged is lost", not lost["acknowledged"], lost["acknowledged"])
        else:
            report.check("everysec: at most a second is lost (%.3f s)" % seconds, not lost["early"], lost["early"])


def restart(report, start):
    """A clean end loses nothing in any mode; what is left says so."""
    for mode in ("everysec", "always", "no"):
        with start("--appendonly", "yes", "--appendfsync", mode) as server:
            connection = server.connect()
            for i in range(300):
                connection.send(resp.encode_command(["SET", "key:%d" % i, "v" * i]))
            connection.send(resp.encode_command(["PING"]))
            while connection.read().value != b"PONG":
                pass
            report.equal("%s: it ends with status 0" % mode, server.stop(), 0)
            server.restart()
            connection = server.connect()
            report.equal("%s: everything is there again" % mode, connection.command("DBSIZE").value, 300)
            report.equal("%s: with its value" % mode, connection.command("STRLEN", "key:299").value, 299)
            info = server.info()
            report.equal("%s: INFO says so" % mode,
                         (info["aof_enabled"], info["loading"], info["aof_last_write_status"],
                          info["journal_replayed_records"]), ("1", "0", "ok", "300"))
            report.check("%s: the log says so" % mode, "replayed 300 records" in server.log_text())


def wait_aof(report, start):
    with start("--appendonly", "yes", "--appendfsync", "everysec") as server:
        connection = server.connect(timeout=5)
        connection.command("SET", "a", "1")
        begin = time.monotonic()
        reply = [item.value for item in connection.command("WAITAOF", "1", "0", "0").value]
        report.equal("WAITAOF 1 0 0 waits for the disk", reply, [1, 0])
        report.check("within about a second", time.monotonic() - begin < 2.5)
        reply = [item.value for item in connection.command("WAITAOF", "1", "0", "100").value]
        report.equal("and not when there is nothing new", reply, [1, 0])
        info = server.info()
        report.check("synced is written then", info["journal_synced_sequence"] == info["journal_sequence"], info)
    with start("--appendonly", "yes", "--appendfsync", "no") as server:
        connection = server.connect(timeout=5)
        connection.command("SET", "a", "1")
        replies = {tuple(item.value for item in connection.command("WAITAOF", "1", "0", "7").value) for _ in range(50)}
        report.equal("with appendfsync no it ends when its time is over", replies, {(0, 0)})
        connection.command("CONFIG", "SET", "appendfsync", "always")
        reply = [item.value for item in connection.command("WAITAOF", "1", "0", "0").value]
        report.equal("CONFIG SET appendfsync takes effect at once", reply, [1, 0])
        reply = connection.command("CONFIG", "SET", "appendonly", "no")
        report.check("CONFIG SET appendonly is refused", reply.kind == "error" and b"restart" in reply.value, reply)
    with start() as server:
        connection = server.connect()
        for arguments, error in ((("2", "0", "0"), b"ERR value is out of range, value must between 0 and 1"),
                                 (("x", "0", "0"), b"ERR value is not an integer or out of range"),
                                 (("0", "-1", "0"), b"ERR value is out of range, must be positive"),
                                 (("0", "0", "-1"), b"ERR timeout is negative"),
                                 (("0", "0", str(2**63 - 1)), b"ERR timeout is out of range"),
                                 (("0", "0", "x"), b"ERR timeout is not an integer or out of range")):
            report.equal("WAITAOF " + " ".join(arguments), connection.command("WAITAOF", *arguments).value, error)
        report.equal("without appendonly", connection.command("WAITAOF", "1", "0", "0").value,
                     b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
        report.equal("is it on?", server.info()["aof_enabled"], "0")


def held_replies(report, start):
    """With appendfsync always replies wait for the disk; whatever else a session does must go on as ever."""
    with start("--appendonly", "yes", "--appendfsync", "always", "--workers", "2") as server:
        done = threading.Event()
        writer = threading.Thread(target=write_until, args=(server, done), daemon=True)
        writer.start()
        stream = server.connect(timeout=20)
        requests = b"".join(resp.encode_command(["SET", "stream:%d" % i, "v" * 100]) for i in range(10_000))
        sender = threading.Thread(target=stream.socket.sendall, args=(requests,), daemon=True)
        sender.start()
        replies = [stream.read().value for _ in range(10_000)]
        report.check("a client that does not wait gets every reply", set(replies) == {b"OK"})
        reader = server.connect(timeout=20)
        reader.command("SET", "large", "b" * 3_000_000)
        reader.send(resp.encode_command(["GET", "large"]) * 10)
        sizes = {len(reader.read().value) for _ in range(10)}
        report.equal("replies larger than the output limit", sizes, {3_000_000})
        blocked = server.connect(timeout=5)
        blocked.send(resp.encode_command(["SET", "a", "1"]) + resp.encode_command(["BLPOP", "list", "0"]))
        report.equal("a reply before a command that waits", blocked.read().value, b"OK")
        reader.command("RPUSH", "list", "element")
        report.equal("the command that waited", [item.value for item in blocked.read().value], [b"list", b"element"])
        blocked.send(resp.encode_command(["BLPOP", "list", "0.1"]))
        report.equal("or that ends when its time is over", blocked.read().kind, "nil_array")
        subscriber = server.connect(timeout=5)
        subscriber.command("SUBSCRIBE", "channel")
        for i in range(200):
            reader.command("PUBLISH", "channel", "message %d" % i)
        texts = [subscriber.read().value[2].value for _ in range(200)]
        report.equal("messages come in order", texts, [b"message %d" % i for i in range(200)])
        reader.send(resp.encode_command(["SET", "a", "2"]) + resp.encode_command(["QUIT"]))
        report.equal("the reply before QUIT", (reader.read().value, reader.read().value), (b"OK", b"OK"))
        report.check("and the connection is closed", reader.wait_closed(5))
        done.set()
        writer.join(5)
        report.equal("it ends with status 0", server.stop(), 0)


def write_until(server, done):
    connection = server.connect(timeout=20)
    while not done.is_set():
        connection.command("INCR", "counter")


def limit_file_size(server, size):
    """No file may grow beyond it: the nearest to a full disk that needs no disk of its own."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def disk_error(report, start):
    refusal = b"MISCONF Errors writing to the AOF file: File too large"
    for mode in ("everysec", "always"):
        with start("--appendonly", "yes", "--appendfsync", mode, "--workers", "2") as server:
            writer, reader = server.connect(timeout=5), server.connect(timeout=5)
            report.equal("%s: a write" % mode, writer.command("SET", "key", "before").value, b"OK")
            writer.command("SET", "short", "lived", "PX", "3000")
            expired = time.monotonic() + 3.5
            limit_file_size(server, 1)
            # With everysec what is under way is confirmed; with always it is neither confirmed nor refused.
            writer.send(resp.encode_command(["SET", "key", "meanwhile"]))
            report.check("%s: INFO says so" % mode,
                         eventually(lambda: server.info()["aof_last_write_status"] == "err", 5))
            time.sleep(max(expired - time.monotonic(), 0))
            report.equal("%s: what expires meanwhile is gone" % mode, reader.command("GET", "short").value, None)
            report.equal("%s: but not removed" % mode, reader.command("DBSIZE").value, 2)
            report.equal("%s: writes are refused" % mode, reader.command("SET", "other", "1").value, refusal)
            report.check("%s: the reply waits with always alone" % mode, writer.has_unread(0.5) == (mode == "everysec"))
            report.equal("%s: and nothing of it was done" % mode, reader.command("GET", "other").value, None)
            report.equal("%s: reads go on" % mode, reader.command("GET", "key").value, b"meanwhile")
            report.equal("%s: PING says so too" % mode, reader.command("PING").value, refusal)
            reader.command("MULTI")
            report.equal("%s: nothing is queued" % mode, reader.command("SET", "other", "1").value, refusal)
            report.check("%s: EXEC aborts" % mode, reader.command("EXEC").value.startswith(b"EXECABORT"))
            limit_file_size(server, resource.RLIM_INFINITY)
            report.check("%s: it heals" % mode,
                         eventually(lambda: reader.command("SET", "other", "2").value == b"OK", 8))
            report.equal("%s: what waited is confirmed" % mode, writer.read(5).value, b"OK")
            report.check("%s: and what expired is removed" % mode,
                         eventually(lambda: reader.command("DBSIZE").value == 2, 5))
            report.equal("%s: INFO says so again" % mode, server.info()["aof_last_write_status"], "ok")
            if mode == "everysec":
                reader.command("WAITAOF", "1", "0", "0")
            server.crash()
            server.restart()
            reader = server.connect()
            report.equal("%s: nothing is lost" % mode,
                         [item.value for item in reader.command("MGET", "key", "other").value], [b"meanwhile", b"2"])
