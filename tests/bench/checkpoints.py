#!/usr/bin/env python3
"""What checkpoints and snapshots cost while they are made: rates that last, bytes on disk, loop turns, memory.

usage: checkpoints.py churn [--binary build/release/tidegate] [--minutes 10] [--members 100000]
       checkpoints.py hash [--binary …] [--minutes 10] [--fields 1000000]
       checkpoints.py load [--binary …] [--minutes 2] [--keys 1000000] [--workers 1]

churn: members are added to one sorted set and removed again, at pipeline 16, for so long; the rate of each minute beside the
first one's. hash: one HSET a second to one hash of many fields; what the process writes to the disk (/proc/PID/io) a
second, journal and checkpoints together. load: SETs and ZADDs at pipeline 16 while a checkpoint (BGREWRITEAOF) and then a
snapshot (BGSAVE) is made again and again; the longest loop turn of each, and the most memory beside what it was before.
All with appendonly yes, appendfsync everysec. Not a test: it judges nothing.
"""
import argparse
import random
import shutil
import socket
import tempfile
import threading
import time
import urllib.request

from bench_server import Server, free_port


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Client:
    """Commands whose replies are a line each, many at a time."""

    def __init__(self, connection):
        self.socket = connection

    def run(self, commands):
        self.socket.sendall(b"".join(commands))
        left = len(commands)
        while left > 0:
            data = self.socket.recv(1 << 16)
            if not data:
                raise SystemExit("the server has closed the connection")
            if b"-" in data and any(line.startswith(b"-") for line in data.split(b"\r\n")):
                raise SystemExit(data.decode(errors="replace"))
            left -= data.count(b"\r\n")

    def info(self, section):
        self.socket.sendall(encode(b"INFO", section.encode()))
        head = b""
        while b"\r\n" not in head:
            head += self.socket.recv(1 << 16)
        size, rest = head[1:].split(b"\r\n", 1)
        while len(rest) < int(size) + 2:
            rest += self.socket.recv(1 << 16)
        lines = (line.split(":", 1) for line in rest.decode().splitlines() if ":" in line)
        return dict(lines)


def written_bytes(server):
    with open(f"/proc/{server.process.pid}/io", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("write_bytes"))


def rss_high(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def reset_rss_high(server):
    with open(f"/proc/{server.process.pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


def churn(server, client, options, _):
    names = [b"member:%d" % i for i in range(options.members)]
    rng = random.Random(1)
    for first in range(0, options.members, 1000):
        client.run([encode(b"ZADD", b"hot", b"%d" % rng.randrange(1 << 30), n) for n in names[first:first + 1000]])
    rates = []
    batches = [[encode(b"ZADD", b"hot", b"%d" % rng.randrange(1 << 30), name) if i % 2 else encode(b"ZREM", b"hot", name)
                for i, name in enumerate(rng.choices(names, k=16))] for _ in range(20_000)]
    for minute in range(round(options.minutes)):
        cpu, end, done = server.cpu_seconds(), time.monotonic() + 60, 0
        while time.monotonic() < end:
            client.run(batches[rng.randrange(len(batches))])
            done += 16
        rates.append(done / 60)
        used = (server.cpu_seconds() - cpu) / done * 1e6
        print(f"minute {minute + 1}: {rates[-1]:,.0f}/s, {rates[-1] / rates[0]:.2f} of the first, {used:.2f} us of processor "
              f"time each, {client.info('persistence')['checkpoints']} checkpoints", flush=True)


def one_hash(server, client, options, _):
    for first in range(0, options.fields, 1000):
        client.run([encode(b"HSET", b"big", b"field:%d" % i, b"value:%d" % i) for i in range(first, first + 1000)])
    time.sleep(10)
    started, begin = time.monotonic(), written_bytes(server)
    rng = random.Random(1)
    for second in range(round(options.minutes * 60)):
        client.run([encode(b"HSET", b"big", b"field:%d" % rng.randrange(options.fields), b"new:%d" % second)])
        time.sleep(max(0, started + second + 1 - time.monotonic()))
        if second % 60 == 59:
            rate = (written_bytes(server) - begin) / (time.monotonic() - started) / 1024
            print(f"minute {second // 60 + 1}: {rate:.1f} KiB/s so far, "
                  f"{client.info('persistence')['checkpoints']} checkpoints", flush=True)


def longest_turn_ms(admin_port, name):
    page = urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=5).read().decode()
    return max(float(line.split()[1]) * 1000 for line in page.splitlines() if line.startswith(name + "{"))


def keep_busy(port, keys, stopping):
    client, rng = Client(socket.create_connection(("127.0.0.1", port), 60)), random.Random(2)
    while not stopping.is_set():
        client.run([encode(b"SET", b"key:%d" % rng.randrange(keys), b"w" * 100) for _ in range(14)] +
                   [encode(b"ZADD", b"z", b"%d" % rng.randrange(1000), b"m%d" % rng.randrange(50_000)) for _ in range(2)])


def wait_for(client, field, value):
    while client.info("persistence")[field] != value:
        time.sleep(0.02)


def begin(client, command, field):
    """One that has begun by itself is waited for."""
    while True:
        wait_for(client, field, "0")
        try:
            return client.run([encode(command)])
        except SystemExit as error:
            if "in progress" not in str(error):
                raise


def under_load(server, client, options, admin_port):
    for first in range(0, options.keys, 1000):
        client.run([encode(b"SET", b"key:%d" % i, b"v" * 100) for i in range(first, first + 1000)])
    stopping = threading.Event()
    load = threading.Thread(target=keep_busy, args=(server.port, options.keys, stopping))
    load.start()
    try:
        time.sleep(5)
        for what, command, field in (("nothing", None, None), ("checkpoints", b"BGREWRITEAOF", "aof_rewrite_in_progress"),
                                     ("snapshots", b"BGSAVE", "rdb_bgsave_in_progress")):
            client.run([encode(b"CONFIG", b"RESETSTAT")])
            before = server.rss_bytes()
            reset_rss_high(server)
            end, made = time.monotonic() + 60 * options.minutes / 3, 0
            while time.monotonic() < end:
                if command is None:
                    time.sleep(1)
                    continue
                begin(client, command, field)
                wait_for(client, field, "0")
                made += 1
            print(f"{what}: {made} made, longest turn {longest_turn_ms(admin_port, 'tidegate_loop_turn_max_seconds'):.2f} ms, of "
                  f"its own work {longest_turn_ms(admin_port, 'tidegate_loop_turn_work_max_seconds'):.2f} ms, memory "
                  f"{before / 1e6:.0f} MB, at most {rss_high(server) / 1e6:.0f} MB ({rss_high(server) / before:.2f})", flush=True)
    finally:
        stopping.set()
        load.join()


MODES = {"churn": churn, "hash": one_hash, "load": under_load}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    directory, admin_port = tempfile.mkdtemp(prefix="tidegate-checkpoints-"), free_port()
    server = Server([options.binary, "--port", "{port}", "--dir", "{dir}", "--workers", str(options.workers), "--appendonly", "yes",
                     "--appendfsync", "everysec", "--save", "", "--admin-address", f"127.0.0.1:{admin_port}"], directory)
    try:
        MODES[options.mode](server, Client(server.socket), options, admin_port)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
