"""Checkpoints: what they hold is what there was, whatever was flushed, swapped, moved or renamed while they were made.

Clients change keys of every type, in several databases, with checkpoints so often that one is always under way. Then
they stop, the digest of all databases is taken, the process is killed, and the next one must have the same digest.

TIDEGATE_KILLS asks for more than the usual few kills, TIDEGATE_KILL_SEED for those of another run.
"""

import os
import pathlib
import random
import resource
import threading
import time

from data_files import tool
from durability import limit_file_size
from report import eventually
from support import resp, servers

DATABASES = 4
KEYS = 40
CLIENTS = 2

# A checkpoint is due after so many changes.
OFTEN = ("--checkpoint-journal-records", "400")


def random_command(dice):
    """One command on keys that all clients share, of any database."""
    def key():
        return "%s:%d" % (dice.choice(("a", "b", "{tag}", "string", "hash")), dice.randrange(KEYS))
    member = "m%d" % dice.randrange(300)
    value = "v%d-" % dice.randrange(10**6) * dice.choice((1, 1, 1, 5, 100, 3000, 20000))
    return dice.choice((
        ["SET", key(), value],
        ["SET", key(), value, "PXAT", str(4_000_000_000_000 + dice.randrange(1000))],
        ["APPEND", key(), value[:5000]],
        ["SETRANGE", key(), str(dice.randrange(200_000)), "here"],
        ["INCR", "number:%d" % dice.randrange(5)],
        ["RPUSH", key(), value, member],
        ["LPOP", key()],
        ["LMOVE", key(), key(), "LEFT", "RIGHT"],
        ["SADD", key(), member, value[:300]],
        ["SREM", key(), member],
        ["SUNIONSTORE", key(), key(), key()],
        ["HSET", key(), member, value],
        ["HSET", key(), *["f%d" % i for i in range(400)]],
        ["HDEL", key(), member],
        ["HPEXPIREAT", key(), str(4_000_000_000_000), "FIELDS", "1", member],
        ["ZADD", key(), str(dice.randrange(1000)), member],
        ["ZADD", key(), *[word for i in range(200) for word in (str(i), "member:%d" % i)]],
        ["ZPOPMIN", key()],
        ["XADD", key(), "*", member, value[:3000]],
        ["XTRIM", key(), "MAXLEN", "5"],
        ["PFADD", key(), member],
        ["BF.ADD", key(), member],
        ["DEL", key()],
        ["DEL", key(), key()],
        ["UNLINK", key()],
        ["GETDEL", key()],
        ["RENAME", key(), key()],
        ["RENAMENX", key(), key()],
        ["COPY", key(), key(), "DB", str(dice.randrange(DATABASES)), "REPLACE"],
        ["MOVE", key(), str(dice.randrange(DATABASES))],
        ["PEXPIREAT", key(), str(4_000_000_000_000 + dice.randrange(1000))],
        ["PEXPIREAT", key(), "1"],
        ["PERSIST", key()],
    ))


def large_command(dice):
    """One on collections of which a checkpoint writes only what has changed."""
    key = "large:%d" % dice.randrange(3)
    def members(most):
        return ["member:%d" % dice.randrange(4000) for _ in range(1 + dice.randrange(most))]
    return dice.choice((
        ["HSET", key + "h", *[word for i in range(2000) for word in ("member:%d" % i, "value")]],
        ["HSET", key + "h", *[word for name in members(5) for word in (name, "other")]],
        ["HDEL", key + "h", *members(500)],
        ["SADD", key + "s", *["member:%d" % i for i in range(4000)]],
        ["SADD", key + "s", *members(5)],
        ["SREM", key + "s", *members(500)],
        ["ZADD", key + "z", *[word for i in range(2000) for word in (str(i % 50), "member:%d" % i)]],
        ["ZADD", key + "z", *[word for name in members(5) for word in ("7", name)]],
        ["ZREMRANGEBYRANK", key + "z", "0", str(dice.randrange(300))],
        ["PEXPIREAT", key + dice.choice("hsz"), str(4_000_000_000_000 + dice.randrange(1000))],
        ["PERSIST", key + dice.choice("hsz")],
        ["RENAME", key + dice.choice("hsz"), key + "moved"],
        ["RENAME", key + "moved", "large:%d%s" % (dice.randrange(3), dice.choice("hsz"))],
    ))


def rare_command(dice):
    return dice.choice((
        ["FLUSHDB"], ["FLUSHDB", "ASYNC"], ["FLUSHALL"],
        ["SWAPDB", str(dice.randrange(DATABASES)), str(dice.randrange(DATABASES))],
        ["SWAPDB", str(dice.randrange(DATABASES)), str(dice.randrange(DATABASES))],
    ))


class Changer(threading.Thread):
    def __init__(self, server, seed, seconds):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=30)
        self.dice = random.Random(seed)
        self.until = time.monotonic() + seconds
        self.sent = 0
        self.failure = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                batch = [["SELECT", str(self.dice.randrange(DATABASES))]]
                batch += [random_command(self.dice) for _ in range(self.dice.randrange(1, 20))]
                if self.dice.random() < 0.15:
                    batch += [large_command(self.dice) for _ in range(self.dice.randrange(1, 4))]
                if self.dice.random() < 0.02:
                    batch.append(rare_command(self.dice))
                self.connection.send(b"".join(map(resp.encode_command, batch)))
                for _ in batch:
                    self.connection.read(30)
                self.sent += len(batch)
        except (resp.Closed, OSError) as failure:
            self.failure = failure


def state(server):
    """Of all databases: the digest, and how many keys each has."""
    connection = server.connect(timeout=60)
    sizes = []
    for database in range(DATABASES):
        connection.command("SELECT", str(database))
        sizes.append(connection.command("DBSIZE").value)
    digest = connection.command("DEBUG", "DIGEST").value
    connection.close()
    return digest, sizes


def kills(report, start):
    rounds = int(os.environ.get("TIDEGATE_KILLS", "0")) or 8
    seed = int(os.environ.get("TIDEGATE_KILL_SEED", "1"))
    different, failures, made, loaded = [], [], 0, 0
    dice = random.Random(seed)
    with start("--appendonly", "yes", "--workers", "2", *OFTEN) as server:
        for kill in range(rounds):
            changers = [Changer(server, seed * 1000 + kill * CLIENTS + i, 0.5 + (kill % 3)) for i in range(CLIENTS)]
            for changer in changers:
                changer.start()
            for changer in changers:
                changer.join()
            failures += [str(changer.failure) for changer in changers if changer.failure]
            wanted = state(server)
            info = server.info()
            made += int(info["checkpoints"])
            failures += ["a checkpoint failed"] * int(info["checkpoint_failures"])
            connection = server.connect()
            connection.command("WAITAOF", "1", "0", "0")
            connection.command("BGREWRITEAOF")
            time.sleep(dice.choice((0, 0.005, 0.02, 0.1)) * dice.random())
            server.crash()
            server.restart()
            loaded += int(server.info()["checkpoint_start_keys"])
            found = state(server)
            if found != wanted:
                different.append("seed %d, kill %d: %r, %r" % (seed, kill, wanted, found))
        report.check("nothing failed", not failures, failures[:3])
        report.check("there were checkpoints (%d), and starts that read them (%d keys)" % (made, loaded),
                     made > rounds and loaded > 100, (made, loaded))
        report.check("everything is as it was", not different, different[:3])


def rewrite(report, start):
    """BGREWRITEAOF, and what INFO and the files say of it."""
    with start("--appendonly", "yes", "--workers", "2") as server:
        connection = server.connect(timeout=30)
        connection.command("DEBUG", "POPULATE", "20000", "key", "1000")
        info = server.info()
        report.equal("before", (info["aof_rewrites"], info["aof_last_rewrite_time_sec"], info["checkpoint_sequence"]),
                     ("0", "-1", "0"))
        report.equal("BGREWRITEAOF begins", connection.command("BGREWRITEAOF").value,
                     b"Background append only file rewriting started")
        report.check("and ends", eventually(lambda: server.info()["checkpoints"] == "1", 20))
        info = server.info()
        report.equal("after", (info["aof_rewrites"], info["aof_last_bgrewrite_status"], info["aof_rewrite_in_progress"],
                               info["checkpoint_sequence"], info["journal_records"]),
                     ("1", "ok", "0", info["journal_sequence"], "0"))
        report.check("no file of it is left outside the store",
                     not os.listdir(pathlib.Path(server.directory) / "checkpoint"))
        connection.command("SET", "after", "1")
        server.stop()
        server.restart()
        info = server.info()
        report.equal("a start reads the checkpoint and the rest",
                     (info["checkpoint_start_keys"], info["journal_replayed_records"]), ("20000", "1"))
        report.equal("and has all keys", server.connect().command("DBSIZE").value, 20001)
        metrics = server.metrics_text()
        report.check("there are metrics of it", "tidegate_checkpoint_time_seconds" in metrics)
    with start() as server:
        report.equal("without appendonly there is nothing to do", server.connect().command("BGREWRITEAOF").value,
                     b"Background append only file rewriting started")


def tools(report, start):
    """What `tidegate check` and `export` make of a data directory, whole and damaged."""
    with start("--appendonly", "yes") as server:
        binary, directory = server.command[0], pathlib.Path(server.directory)
        connection = server.connect(timeout=30)
        connection.command("DEBUG", "POPULATE", "5000", "key", "100")
        connection.command("SET", "large", "x" * 200_000)
        connection.command("BGREWRITEAOF")
        report.check("there is a checkpoint", eventually(lambda: server.info()["checkpoints"] == "1", 20))
        connection.command("SADD", "after", "a", "b")
        connection.command("DEL", "key:7")
        digest = connection.command("DEBUG", "DIGEST").value
        server.stop()
        status, output = tool(binary, "check", directory)
        report.check("check finds it sound", status == 0 and "a checkpoint up to record 5001 and 2 records after it" in output
                     and "5001 keys in 1 databases" in output, output)
        status, output = tool(binary, "export", directory, "--to-rdb", directory / "export.rdb")
        report.check("export makes an RDB file of it", status == 0, output)
        with servers.redis_server("--dir", directory, "--dbfilename", "export.rdb") as redis:
            report.equal("with everything in it", redis.connect().command("DBSIZE").value, 5001)
        server.restart()
        report.equal("neither has changed anything", server.connect().command("DEBUG", "DIGEST").value, digest)
        server.stop()
        largest = max((directory / "store").glob("*.sst"), key=lambda path: path.stat().st_size)
        with open(largest, "r+b") as file:
            file.seek(largest.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x55]))
        status, output = tool(binary, "check", directory)
        report.check("check finds damage", status == 1 and "checksum" in output, output)
        server.restart()
        with_damage = server.connect()
        report.equal("a start serves what is sound", with_damage.command("SCARD", "after").value, 2)
        refusal = with_damage.command("DEBUG", "DIGEST")
        report.check("and says what cannot be read", refusal.kind == "error" and refusal.value.startswith(b"MISCONF Data"),
                     refusal)
        answers = [with_damage.command("EXISTS", "key:%d" % i) for i in range(1000, 1200)]
        report.check("a key that cannot be read is not taken for absent", all(
            a.value == 1 or (a.kind == "error" and a.value.startswith(b"MISCONF Data")) for a in answers), answers)


def failures(report, start):
    """One that cannot be written changes nothing, and the next one has what it should have had."""
    with start("--appendonly", "yes") as server:
        connection = server.connect(timeout=30)
        connection.command("DEBUG", "POPULATE", "20000", "key", "500")
        connection.command("SET", "large", "x" * 3_000_000)
        connection.command("BGREWRITEAOF")
        report.check("there is a checkpoint", eventually(lambda: server.info()["checkpoints"] == "1", 20))
        connection.command("DEBUG", "POPULATE", "20000", "other", "500")
        connection.command("DEL", "key:1", "key:2")
        connection.command("APPEND", "large", "y" * 100)
        connection.command("SELECT", "1")
        connection.command("SET", "flushed", "1")
        wanted = state(server)
        for _ in range(3):
            limit_file_size(server, 2_000_000)
            failed = int(server.info()["checkpoint_failures"])
            connection.command("BGREWRITEAOF")
            report.check("one fails", eventually(lambda: int(server.info()["checkpoint_failures"]) == failed + 1, 20))
            limit_file_size(server, resource.RLIM_INFINITY)
        info = server.info()
        report.equal("INFO says so", (info["aof_last_bgrewrite_status"], info["aof_rewrites_consecutive_failures"]),
                     ("err", "3"))
        report.check("and so does the log", "Checkpoint failed: File too large" in server.log_text())
        report.check("no file of it is left", not os.listdir(pathlib.Path(server.directory) / "checkpoint"))
        report.check("writes go on, or go on again",
                     eventually(lambda: connection.command("SET", "flushed", "1").value == b"OK", 8))
        server.crash()
        server.restart()
        report.equal("the data is what it was", state(server), wanted)
        connection = server.connect(timeout=30)
        connection.command("BGREWRITEAOF")
        report.check("the next one succeeds", eventually(lambda: server.info()["checkpoints"] == "1", 20))
        server.crash()
        server.restart()
        report.equal("and has all of it", (state(server), server.info()["journal_replayed_records"]), (wanted, "0"))


def beside_snapshots(report, start):
    """Snapshots and checkpoints take turns."""
    with start("--appendonly", "yes", "--workers", "2", *OFTEN) as server:
        changers = [Changer(server, 77 + i, 60) for i in range(CLIENTS)]
        for changer in changers:
            changer.start()
        connection = server.connect(timeout=30)
        saves = 0
        while changers[0].is_alive() and (saves <= 3 or int(server.info()["checkpoints"]) < 2):
            saves += connection.command("BGSAVE").value == b"Background saving started"
            time.sleep(0.05)
        for changer in changers:
            changer.until = 0
        for changer in changers:
            changer.join()
        report.check("all snapshots come to an end", eventually(
            lambda: server.info()["rdb_saves"] == str(saves) and server.info()["rdb_bgsave_in_progress"] == "0", 20))
        info = server.info()
        report.equal("well", (info["rdb_last_bgsave_status"], info["aof_last_bgrewrite_status"]), ("ok", "ok"))
        report.check("and so do checkpoints", int(info["checkpoints"]) >= 2 and saves > 3, (info["checkpoints"], saves))
        wanted = state(server)
        report.equal("it ends with status 0", server.stop(), 0)
        server.restart()
        report.equal("everything is there again", state(server), wanted)


def cold_snapshots(report, start):
    """Snapshots of a server whose data does not fit into its memory read the rest from disk, and leave it there."""
    with start("--appendonly", "yes", "--workers", "2", "--maxmemory", "8mb") as server:
        connection = server.connect(timeout=30)
        connection.command("CONFIG", "SET", "maxmemory", "0")
        connection.command("DEBUG", "POPULATE", "30000", "key", "400")
        for i in range(300):
            connection.command("HSET", "hash:%d" % i, *[word for f in range(20) for word in ("f%d" % f, "v%d" % (f * i))])
            connection.command("RPUSH", "{list}:%d" % i, *map(str, range(i)))
        connection.command("SET", "huge", "x" * 3_000_000)
        connection.command("BGREWRITEAOF")
        eventually(lambda: server.info()["checkpoints"] == "1", 20)
        server.crash()
        server.restart()
        connection = server.connect(timeout=30)
        report.check("not all fits into memory", eventually(lambda: server.info()["warmup_paused"] == "1", 10))
        connection.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "noeviction")
        connection.command("CONFIG", "SET", "maxmemory", "8mb")
        loaded = int(server.info()["warmup_loaded_keys"])
        report.equal("BGSAVE", connection.command("BGSAVE").value, b"Background saving started")
        report.check("ends", eventually(lambda: server.info()["rdb_bgsave_in_progress"] == "0", 30))
        info = server.info()
        report.equal("well", (info["rdb_last_bgsave_status"], info["rdb_saves"]), ("ok", "1"))
        report.check("much is still on disk alone", int(info["warmup_slots_left"]) > 1000, info["warmup_slots_left"])
        report.check("and was not loaded", int(info["warmup_loaded_keys"]) < loaded + 15000, info["warmup_loaded_keys"])
        dump = pathlib.Path(server.directory) / "dump.rdb"
        for way in ("BGSAVE", "SAVE"):
            if way == "SAVE":
                dump.unlink()
                report.equal("SAVE", connection.command("SAVE").value, b"OK")
            with servers.redis_server("--dir", server.directory) as redis:
                theirs = redis.connect(timeout=30)
                report.equal("%s: a redis-server has all keys" % way, theirs.command("DBSIZE").value, 30600)
                report.equal("and their values", (theirs.command("STRLEN", "huge").value, theirs.command("HGET", "hash:7", "f3").value,
                                                  theirs.command("LLEN", "{list}:299").value), (3_000_000, b"v21", 299))
        connection.command("CONFIG", "SET", "maxmemory", "0")
        with start("--dir", server.directory) as second:
            report.equal("a server on the snapshot has the same", state(second), state(server))
