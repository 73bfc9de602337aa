#!/usr/bin/env python3
"""What eviction keeps: hit ratios of Tidegate and redis-server on the same trace, with room for the same number of keys.

usage: eviction.py [--binary build/release/tidegate] [--keys 1000000] [--requests 1500000] [--seed 1]
                   [--policy NAME]... [--trace NAME]... [--share 0.1 0.3] [--samples 5]

A read-through cache: GET, and SET on a miss. Both servers get each batch of 250 requests at the same time and the next one
when both have answered, so that their clocks, which LRU and LFU go by, advance alike. Each has room for the same keys:
it is filled with so many of them, and its used_memory becomes its maxmemory, which is corrected ten times in the first
half of the trace by how many keys it then holds. Hits are counted in the second half.

Traces: zipf-0.9, zipf-1.0; shift (zipf-0.9, where other keys become the popular ones ten times, at random); scan
(zipf-0.9, a quarter of the requests being walks over keys that come once). With volatile policies every key of the trace
has a time to live, and as many keys as a tenth of the room have none: they must all stay. volatile-ttl has a test of its
own: keys with random times to live fill the room, a tenth more that live longest come on top; what part of the evicted
is of those that expire first? Not a test: it judges nothing.
"""
import argparse
import itertools
import random
import shutil
import tempfile
import time

from bench_server import Server

BATCH = 250
VALUE = b"v" * 64
HIT = b"$%d\r\n%s\r\n" % (len(VALUE), VALUE)
MISS = b"$-1\r\n"
LRU_LFU = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random"]
TRACES = ["zipf-0.9", "zipf-1.0", "shift", "scan"]
TTL_SECONDS = 100_000
SHIFTS = [7, 11, 13, 17, 19, 23, 29, 31, 37, 41]  # no divisors of the usual numbers of keys


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class EvictionServer(Server):
    """Speaks to it in pipelines."""

    def replies(self, ending_with_count):
        """Reads simple replies, one line each, until there are so many."""
        data = b""
        while data.count(b"\r\n") < ending_with_count:
            data += self.socket.recv(1 << 20)
        return data

    def ok(self, *words):
        self.socket.sendall(encode(*words))
        reply = self.replies(1)
        if not reply.startswith((b"+", b":")):
            raise SystemExit(f"{words}: {reply!r}")
        return reply

    def info(self, field):
        self.socket.sendall(encode(b"INFO", b"everything"))
        data = self.socket.recv(1 << 20)
        size = int(data[1:data.index(b"\r\n")])
        while len(data) < size + len(str(size)) + 5:
            data += self.socket.recv(1 << 20)
        for line in data.split(b"\r\n"):
            if line.startswith(field.encode() + b":"):
                return int(line.split(b":")[1])
        raise SystemExit(f"no {field} in INFO")

    def many(self, commands, count):
        self.socket.sendall(commands)
        return self.replies(count)


def fill(server, names, more=lambda name: ()):
    names = iter(names)
    while batch := list(itertools.islice(names, 1000)):
        server.many(b"".join(encode(b"SET", name, VALUE, *more(name)) for name in batch), len(batch))


def limit_to_what_is_used(server, policy, samples):
    server.ok(b"CONFIG", b"SET", b"maxmemory-samples", b"%d" % samples)
    server.ok(b"CONFIG", b"SET", b"maxmemory-policy", policy.encode())
    time.sleep(1.5)  # what the filling needed on the way is given back
    server.limit = server.info("used_memory")
    server.ok(b"CONFIG", b"SET", b"maxmemory", b"%d" % server.limit)


def correct_limit(server, room):
    """After a while: keys held / keys wanted is by how much too high the limit was."""
    held = int(server.ok(b"DBSIZE")[1:])
    server.limit = int(server.limit * room / held)
    server.ok(b"CONFIG", b"SET", b"maxmemory", b"%d" % server.limit)


def zipf_weights(keys, exponent):
    return list(itertools.accumulate(1 / rank ** exponent for rank in range(1, keys + 1)))


def batches(trace, keys, requests, seed):
    """The trace, as lists of BATCH key numbers. A number above `keys` comes once."""
    rng = random.Random(seed)
    weights = zipf_weights(keys, 1.0 if trace == "zipf-1.0" else 0.9)
    ranks = range(keys)
    once = keys
    for i in range(requests // BATCH):
        if trace == "scan" and i % 80 < 20:  # 5,000 of 20,000
            yield list(range(once, once + BATCH))
            once += BATCH
            continue
        factor = SHIFTS[i * BATCH * 10 // requests] if trace == "shift" else 1
        yield [rank * factor % keys for rank in rng.choices(ranks, cum_weights=weights, k=BATCH)]


def read_gets(server):
    data = b""
    while True:
        data += server.socket.recv(1 << 20)
        short = data.replace(HIT, b"h").replace(MISS, b"m")
        if len(short) == BATCH and short.strip(b"hm") == b"":
            return short


def run_trace(servers, trace, options, room, more):
    hits = {label: 0 for label in servers}
    half = options.requests // BATCH // 2
    for i, numbers in enumerate(batches(trace, options.keys, options.requests, options.seed)):
        if 0 < i <= half * 9 // 10 and i % max(half // 10, 1) == 0:
            for server in servers.values():
                correct_limit(server, room)
        names = [b"k:%08d" % number for number in numbers]
        gets = b"".join(b"*2\r\n$3\r\nGET\r\n$10\r\n" + name + b"\r\n" for name in names)
        for server in servers.values():
            server.socket.sendall(gets)
        misses = {}
        for label, server in servers.items():
            found = read_gets(server)
            hits[label] += found.count(b"h") if i >= half else 0
            misses[label] = [name for name, what in zip(names, found) if what == 109]
            server.socket.sendall(b"".join(encode(b"SET", name, VALUE, *more) for name in misses[label]))
        for label, server in servers.items():
            if misses[label]:
                server.replies(len(misses[label]))
    return {label: count / (half * BATCH) for label, count in hits.items()}


def hit_ratios(servers, policy, trace, share, options):
    room = int(options.keys * share)
    volatile = policy.startswith("volatile")
    more = (b"EX", b"%d" % TTL_SECONDS) if volatile else ()
    for server in servers.values():
        if volatile:
            fill(server, (b"stay:%06d" % i for i in range(room // 10)))
        fill(server, (b"k:%08d" % (options.keys - 1 - i) for i in range(room)), lambda name: more)
        limit_to_what_is_used(server, policy, options.samples)
    begin = time.monotonic()
    ratios = run_trace(servers, trace, options, room + (room // 10 if volatile else 0), more)
    seconds = time.monotonic() - begin
    sizes = {}
    for label, server in servers.items():
        sizes[label] = int(server.ok(b"DBSIZE")[1:])
        if volatile:
            names = [b"stay:%06d" % i for i in range(room // 10)]
            stayed = int(server.ok(b"EXISTS", *names)[1:])
            sizes[label] -= stayed
            if stayed != len(names):
                print(f"{label}: {len(names) - stayed} keys without a time to live are gone")
    print(f"{policy:16} {trace:9} room {share:.0%}  tidegate {ratios['tidegate']:.4f} ({sizes['tidegate']} keys)  "
          f"redis {ratios['redis']:.4f} ({sizes['redis']} keys)  difference {ratios['tidegate'] - ratios['redis']:+.4f}  "
          f"{seconds:.0f} s", flush=True)


def nearest_first(servers, share, options):
    room = int(options.keys * share)
    rng = random.Random(options.seed)
    ttl = {b"k:%08d" % i: rng.randrange(1000, TTL_SECONDS) for i in range(room)}
    by_expiry = sorted(ttl, key=ttl.get)
    for label, server in servers.items():
        fill(server, ttl, lambda name: (b"EX", b"%d" % ttl[name]))
        limit_to_what_is_used(server, "volatile-ttl", options.samples)
        fill(server, (b"late:%06d" % i for i in range(room // 10)), lambda name: (b"EX", b"%d" % (10 * TTL_SECONDS)))
        gone = []
        for begin in range(0, room, 1000):
            names = by_expiry[begin:begin + 1000]
            found = server.many(b"".join(encode(b"EXISTS", name) for name in names), len(names)).split()
            gone += [begin + i for i, reply in enumerate(found) if reply == b":0"]
        right = sum(1 for position in gone if position < len(gone)) / max(len(gone), 1)
        mean = sum(gone) / max(len(gone), 1) / room
        print(f"volatile-ttl     room {share:.0%}  {label:9} {len(gone)} evicted, {right:.1%} of them of those that expire "
              f"first; mean position {mean:.3f} (ideal {len(gone) / room / 2:.3f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=1_500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--policy", action="append")
    parser.add_argument("--trace", action="append")
    parser.add_argument("--share", type=float, nargs="+", default=[0.1, 0.3])
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="tidegate-eviction-")
    commands = {
        "tidegate": [options.binary, "--port", "{port}", "--dir", "{dir}", "--admin-address", "off",
                     "--workers", str(options.workers)],
        "redis": ["redis-server", "--port", "{port}", "--dir", "{dir}", "--save", "", "--appendonly", "no"],
    }
    try:
        for policy in options.policy or [*LRU_LFU, "volatile-ttl"]:
            traces = ["ttl"] if policy == "volatile-ttl" else options.trace or TRACES
            for trace, share in itertools.product(traces, options.share):
                servers = {}
                try:
                    for label, command in commands.items():
                        servers[label] = EvictionServer(command, work)
                    if policy == "volatile-ttl":
                        nearest_first(servers, share, options)
                    else:
                        hit_ratios(servers, policy, trace, share, options)
                finally:
                    for server in servers.values():
                        server.stop()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
