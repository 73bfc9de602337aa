"""Larger than memory: 200 MB under a maxmemory of 50 MB, and every key is there, after a kill -9 as well.

Values of all types leave for the disk while they are written, and are read back, changed, deleted; some expire there. What
the settings do not allow is refused at the start and by CONFIG SET.
"""

import random
import subprocess
import time

from report import eventually
from support import resp, servers

KEYS = 40_000
VALUE_BYTES = 5_000
PIPELINE = 100
MEMORY = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru")
TIERED = ("--appendonly", "yes", "--tiered", "yes", *MEMORY)
# What one command per worker, and what is being read, may take on top.
USED_BYTES_MAX = 70_000_000


def key(i):
    return "key:%d" % i


def value(i, version=0):
    return ("%d-%d:" % (i, version) * VALUE_BYTES)[:VALUE_BYTES].encode()


def plain(reply):
    """A reply's value: bytes, a number, None, a list."""
    return [plain(item) for item in reply.value] if isinstance(reply.value, list) else reply.value


def run(client, *words):
    return plain(client.command(*words))


def in_pipelines(client, commands):
    """The replies to all of them."""
    replies = []
    for begin in range(0, len(commands), PIPELINE):
        batch = commands[begin : begin + PIPELINE]
        client.send(b"".join(map(resp.encode_command, batch)))
        replies += [plain(client.read()) for _ in batch]
    return replies


def wrong_values(client, keys, version_of):
    keys = list(keys)
    replies = in_pipelines(client, [["GET", key(i)] for i in keys])
    return sum(reply != value(i, version_of(i)) for i, reply in zip(keys, replies))


def refusals(report, start):
    binary = servers.find_binary()
    for flags, text in (
            (("--tiered", "yes", *MEMORY), "needs appendonly yes"),
            (("--tiered", "yes", "--appendonly", "yes"), "needs a maxmemory-policy that evicts")):
        ran = subprocess.run([binary, "--check-config", *flags], capture_output=True, text=True, timeout=20, check=False)
        report.check("refused at the start: " + text, ran.returncode != 0 and text in ran.stdout + ran.stderr,
                     ran.stdout + ran.stderr)


def everything_is_there(report, start):
    """200 MB in, a kill, 200 MB out."""
    refusals(report, start)
    dice = random.Random(7)
    with start(*TIERED) as server:
        client = resp.Connection(server.port, timeout=120)
        replies = in_pipelines(client, [["SET", key(i), value(i)] for i in range(KEYS)])
        report.equal("200 MB are written under 50 MB", replies.count(b"OK"), KEYS)
        for i in range(500):
            in_pipelines(client, [["RPUSH", "list:%d" % i, *"abc"], ["HSET", "hash:%d" % i, "f", str(i)],
                                  ["SADD", "set:%d" % i, *"xyz"], ["ZADD", "zset:%d" % i, "1", "m"],
                                  ["XADD", "stream:%d" % i, "1-1", "f", "v"]])
        figures = server.info()
        report.check("most keys are on disk alone", int(figures["tiered_evicted_keys"]) > KEYS // 2,
                     figures["tiered_evicted_keys"])
        report.equal("no key is lost", figures["evicted_keys"], "0")
        report.check("used memory is within its limit", int(figures["used_memory"]) < USED_BYTES_MAX,
                     figures["used_memory"])
        report.equal("all keys count", run(client, "DBSIZE"), KEYS + 2500)
        report.equal("every key is readable", wrong_values(client, range(KEYS), lambda i: 0), 0)

        changed = set(dice.sample(range(KEYS), 3000))
        gone = set(dice.sample(sorted(set(range(KEYS)) - changed), 1000))
        in_pipelines(client, [["SET", key(i), value(i, 1)] for i in sorted(changed)])
        report.equal("keys on disk are deleted",
                     sum(in_pipelines(client, [["DEL", key(i)] for i in sorted(gone)])), len(gone))
        report.equal("a transaction and WATCH over keys on disk", in_pipelines(client, [
            ["WATCH", "list:1"], ["MULTI"], ["RPUSH", "list:1", "d"], ["LLEN", "list:2"], ["EXEC"]])[-1], [4, 3])
        found = set()
        cursor = "0"
        while True:
            cursor, page = run(client, "SCAN", cursor, "COUNT", "2000")
            found.update(page)
            if cursor == b"0":
                break
        report.equal("SCAN finds all", len(found), KEYS + 2500 - len(gone))
        for name, to in (("maxmemory-policy", "noeviction"), ("tiered", "no")):
            reply = client.command("CONFIG", "SET", name, to)
            report.check("CONFIG SET %s %s is refused" % (name, to), reply.kind == "error", reply.value)

        time.sleep(1.5)  # appendfsync everysec
        server.crash()
        server.restart()
        client = resp.Connection(server.port, timeout=120)
        report.equal("after kill -9 all keys count", run(client, "DBSIZE"), KEYS + 2500 - len(gone))
        version = {i: 1 for i in changed}
        report.equal("and are readable",
                     wrong_values(client, sorted(set(range(KEYS)) - gone), lambda i: version.get(i, 0)), 0)
        report.equal("and what was deleted is not",
                     sum(in_pipelines(client, [["EXISTS", key(i)] for i in sorted(gone)])), 0)
        report.equal("collections are as they were", in_pipelines(client, [
            ["LRANGE", "list:1", "0", "-1"], ["HGET", "hash:7", "f"], ["SCARD", "set:9"], ["ZSCORE", "zset:3", "m"],
            ["XLEN", "stream:499"]]), [[b"a", b"b", b"c", b"d"], b"7", 3, b"1", 1])

        # Keys of which nobody hears any more expire on disk.
        before = run(client, "DBSIZE")
        expiring = sorted(set(range(KEYS)) - gone)[:2000]
        in_pipelines(client, [["PEXPIRE", key(i), "6000"] for i in expiring])
        in_pipelines(client, [["SET", "more:%d" % i, value(i)] for i in range(12_000)])
        report.check("DBSIZE goes down by what expired on disk",
                     eventually(lambda: run(client, "DBSIZE") == before - 2000 + 12_000, 30),
                     "%d of %d" % (run(client, "DBSIZE"), before - 2000 + 12_000))
        run(client, "CONFIG", "SET", "maxmemory", "30mb")
        report.check("a lower limit is kept after a while",
                     eventually(lambda: int(server.info()["used_memory"]) < 34_000_000, 20), server.info()["used_memory"])
