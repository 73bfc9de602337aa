#!/usr/bin/env python3
"""Fragmentation: resident memory beside used_memory while values of changing sizes come and go.

usage: churn.py [--binary build/release/tidegate] [--redis] [--keys 2000000] [--rounds 4] [--maxmemory-mb 500] [--seed 1]

Deletes: fills --keys keys with values of 10 to 2,048 bytes, deletes 70% of all at random, fills up again with values of
10 to 400 bytes, deletes 70%, with values of 600 to 2,048 bytes, and so on, --rounds times. Evictions: the same sizes in
turn, written under maxmemory with allkeys-lru, as many bytes as four times the limit each round. Then FLUSHALL, and what
the process still holds 1, 5 and 15 s later. Prints used_memory, the resident set, their ratio, and processor time so far.
--redis does the same to redis-server. Not a test: it judges nothing.
"""
import argparse
import random
import shutil
import tempfile
import time

from bench_server import Server

SIZES = [(10, 2048), (10, 400), (600, 2048)]
BATCH = 1000


class ChurnServer(Server):
    """Speaks of what a churn needs."""

    def send(self, commands, count):
        """Sends commands whose replies are a line each, and waits for all of them."""
        self.socket.sendall(commands)
        while count > 0:
            count -= self.socket.recv(1 << 20).count(b"\r\n")

    def used(self):
        self.socket.sendall(b"INFO memory\r\n")
        data = self.socket.recv(1 << 20)
        while b"used_memory_rss" not in data:
            data += self.socket.recv(1 << 20)
        time.sleep(0.05)
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            pass
        self.socket.setblocking(True)
        return int(data.split(b"used_memory:")[1].split(b"\r\n")[0])


def report(server, what):
    time.sleep(1)
    used, resident = server.used(), server.rss_bytes()
    print(f"{what:44} used {used / 2**20:7.0f} MiB  resident {resident / 2**20:7.0f} MiB  "
          f"ratio {resident / max(used, 1):.3f}  cpu {server.cpu_seconds():.1f} s", flush=True)


def write(server, names, sizes, rng):
    value = b"v" * 4096
    for begin in range(0, len(names), BATCH):
        part = names[begin:begin + BATCH]
        parts = []
        for name in part:
            size = rng.randint(*sizes)
            parts.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, size, value[:size]))
        server.send(b"".join(parts), len(part))


def delete(server, names):
    for begin in range(0, len(names), BATCH):
        part = names[begin:begin + BATCH]
        server.send(b"".join(b"*2\r\n$3\r\nDEL\r\n$%d\r\n%s\r\n" % (len(name), name) for name in part), len(part))


def churn_by_deletes(server, options, rng):
    live = [b"k:%09d" % i for i in range(options.keys)]
    made = options.keys
    write(server, live, SIZES[0], rng)
    report(server, f"filled, values of {SIZES[0][0]} to {SIZES[0][1]} bytes")
    for turn in range(options.rounds):
        rng.shuffle(live)
        kept = len(live) * 3 // 10
        delete(server, live[kept:])
        report(server, "70% deleted")
        time.sleep(options.rest)
        if options.rest:
            report(server, f"and {options.rest:.0f} s later")
        fresh = [b"k:%09d" % i for i in range(made, made + options.keys - kept)]
        made += len(fresh)
        sizes = SIZES[1 + turn % 2]
        write(server, fresh, sizes, rng)
        live = live[:kept] + fresh
        report(server, f"filled up, values of {sizes[0]} to {sizes[1]} bytes")


def churn_by_evictions(server, options, rng):
    limit = options.maxmemory_mb << 20
    server.send(b"CONFIG SET maxmemory-policy allkeys-lru\r\nCONFIG SET maxmemory %d\r\n" % limit, 2)
    made = 0
    for turn in range(options.rounds + 1):
        sizes = SIZES[turn % 3]
        count = 4 * limit // (sum(sizes) // 2 + 80)
        write(server, [b"e:%09d" % i for i in range(made, made + count)], sizes, rng)
        made += count
        report(server, f"evicting, values of {sizes[0]} to {sizes[1]} bytes")
    server.send(b"CONFIG SET maxmemory 0\r\n", 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--keys", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rest", type=float, default=0, help="seconds to wait after each deletion")
    parser.add_argument("--maxmemory-mb", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="tidegate-churn-")
    command = ["redis-server", "--port", "{port}", "--dir", "{dir}", "--save", "", "--appendonly", "no"] \
        if options.redis else [options.binary, "--port", "{port}", "--dir", "{dir}", "--admin-address", "off",
                               "--workers", str(options.workers)]
    try:
        for churn in (churn_by_deletes, churn_by_evictions):
            server = ChurnServer(command, work)
            try:
                report(server, "started")
                churn(server, options, random.Random(options.seed))
                server.send(b"FLUSHALL\r\n", 1)
                for seconds in (1, 4, 10):
                    time.sleep(seconds - 1)
                    report(server, "after FLUSHALL")
            finally:
                server.stop()
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
