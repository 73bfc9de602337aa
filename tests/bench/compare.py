#!/usr/bin/env python3
"""Tidegate beside redis-server, under the same load: CPU per request, memory per key, memory per idle connection.

usage: compare.py [--binary build/release/tidegate] [--rounds 5] [--workers 1] [--scenario NAME]...
Scenarios: those of LOADS (pipelined requests), FILLS (memory of keys), COLLECTIONS (memory of values), connections.

Servers are started one at a time on loopback, pinned to processor 0 (the load runs on 1), each with fresh data, in turn
A B A B …, so that a machine whose speed drifts treats both alike. What is compared is processor time (user and system,
all threads) per request, which other work on the machine disturbs less than throughput. Prints the medians and the
ratio of each pair. Needs redis-server, redis-benchmark and redis-cli. Not a test: it judges nothing.
"""
import argparse
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from bench_server import Server

RANDOM_KEY = "key:__rand_int__"
KEYS = 100_000

MANY, ONE = "__rand_int__", "counter"

# name -> (requests, pipeline, range of random numbers, command)
LOADS = {
    "get-p1": (150_000, 1, KEYS, ["GET", RANDOM_KEY]),
    "set-p1": (150_000, 1, KEYS, ["SET", RANDOM_KEY, "xxx"]),
    "get-p16": (1_500_000, 16, KEYS, ["GET", RANDOM_KEY]),
    "set-p16": (1_500_000, 16, KEYS, ["SET", RANDOM_KEY, "xxx"]),
    "mget-10": (400_000, 16, KEYS, ["MGET"] + [RANDOM_KEY] * 10),
    "incr": (1_500_000, 16, KEYS, ["INCR", ONE]),
    "incr-many": (1_500_000, 16, KEYS, ["INCR", "number:" + MANY]),
    "hset": (500_000, 16, 1000, ["HSET", "hash:" + MANY, "field:" + MANY, "v" * 16]),
    "hset-large": (1_000_000, 16, KEYS, ["HSET", "hash", "field:" + MANY, "v" * 16]),
    "hget-large": (1_000_000, 16, KEYS, ["HGET", "hash", "field:" + MANY]),
    "zadd": (500_000, 16, 1000, ["ZADD", "zset:" + MANY, MANY, "member:" + MANY]),
    "zadd-large": (1_000_000, 16, KEYS, ["ZADD", "zset", MANY, "member:" + MANY]),
    "zrange": (500_000, 16, 1000, ["ZRANGE", "zset:" + MANY, "10", "19"]),
    "zrange-large": (500_000, 16, KEYS, ["ZRANGE", "zset", MANY, MANY, "BYSCORE", "LIMIT", "0", "10"]),
    "sadd": (1_000_000, 16, 1000, ["SADD", "set:" + MANY, "member:" + MANY]),
    "sadd-large": (1_000_000, 16, KEYS, ["SADD", "set", "member:" + MANY]),
    "lpush": (1_000_000, 16, 10_000, ["LPUSH", "list:" + MANY, "v" * 16]),
    "lpop": (1_000_000, 16, 10_000, ["LPOP", "list:" + MANY]),
    "lpush-one": (1_500_000, 16, KEYS, ["LPUSH", "list", "v" * 16]),
    "lpop-one": (1_000_000, 16, KEYS, ["LPOP", "list"]),
    "lrange": (300_000, 16, 10_000, ["LRANGE", "list:" + MANY, "0", "9"]),
    "xadd": (1_000_000, 16, KEYS, ["XADD", "stream", "*", "field", "v" * 16]),
    "xadd-many": (1_000_000, 16, 1000, ["XADD", "stream:" + MANY, "*", "field", "v" * 16]),
    "xrange": (300_000, 16, KEYS, ["XRANGE", "stream", "-", "+", "COUNT", "10"]),
}
# What a load reads is first written by another one: its name and requests.
WRITTEN_BEFORE = {
    "hget-large": ("hset-large", 500_000),
    "zrange": ("zadd", 200_000),
    "zrange-large": ("zadd-large", 500_000),
    "lpop": ("lpush", 2_000_000),
    "lpop-one": ("lpush-one", 2_000_000),
    "lrange": ("lpush", 500_000),
    "xrange": ("xadd", 100_000),
}
FILLS = {"fill-1.3M": 1_300_000, "fill-2M": 2_000_000, "fill-2.9M": 2_900_000}
# name -> (elements, elements of one command, command of elements [begin, end))
COLLECTIONS = {
    "hashes": (2_000_000, 10, lambda a, b: [b"HSET", b"hash:%d" % (a // 10)] + [
        text for i in range(a, b) for text in (b"field:%d" % (i % 10), b"value:%08d" % i)]),
    "zsets": (2_000_000, 20, lambda a, b: [b"ZADD", b"zset:%d" % (a // 20)] + [
        text for i in range(a, b) for text in (b"%d" % (i * 7919 % 100_003), b"member:%d" % i)]),
    "zset-large": (2_000_000, 100, lambda a, b: [b"ZADD", b"zset"] + [
        text for i in range(a, b) for text in (b"%d" % (i * 7919 % 2_000_003), b"member:%d" % i)]),
    "hash-large": (2_000_000, 100, lambda a, b: [b"HSET", b"hash"] + [
        text for i in range(a, b) for text in (b"field:%d" % i, b"value:%08d" % i)]),
    "set-large": (2_000_000, 100, lambda a, b: [b"SADD", b"set"] + [b"member:%d" % i for i in range(a, b)]),
    "list-large": (1_000_000, 100, lambda a, b: [b"RPUSH", b"list"] + [b"element:%08d" % i for i in range(a, b)]),
    "stream-large": (500_000, 1, lambda a, b: [b"XADD", b"stream", b"*", b"field", b"value:%08d" % a,
                                               b"other", b"%d" % a]),
}
CONNECTIONS = 5_000


class PinnedServer(Server):
    """On processor 0; the load runs on 1."""

    def __init__(self, argv, directory):
        super().__init__(["taskset", "-c", "0"] + argv, directory)


def client(argv, **more):
    subprocess.run(["taskset", "-c", "1"] + argv, check=True, stdout=subprocess.DEVNULL, timeout=600, **more)


def fill_file(path, count, key, value):
    with open(path, "wb") as f:
        for i in range(count):
            k, v = key(i), value(i)
            f.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(k), k, len(v), v))


def collection_file(path, name):
    elements, step, make = COLLECTIONS[name]
    with open(path, "wb") as f:
        for begin in range(0, elements, step):
            arguments = make(begin, begin + step)
            f.write(b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in arguments))


def pipe(server, path):
    with open(path, "rb") as f:
        client(["redis-cli", "-p", str(server.port), "--pipe"], stdin=f)


def run_load(server, name, requests):
    _, pipeline, numbers, command = LOADS[name]
    client(["redis-benchmark", "-p", str(server.port), "-q", "-c", "50", "-P", str(pipeline), "-r", str(numbers),
            "-n", str(requests)] + command)


def measure_load(server, name, files):
    requests = LOADS[name][0]
    if LOADS[name][3][1] == RANDOM_KEY:
        pipe(server, files["small"])
    if name in WRITTEN_BEFORE:
        run_load(server, *WRITTEN_BEFORE[name])
    run_load(server, name, requests // 10)
    before = server.cpu_seconds()
    run_load(server, name, requests)
    return (server.cpu_seconds() - before) / requests * 1e6


def elements_of(name):
    return FILLS[name] if name in FILLS else COLLECTIONS[name][0]


def measure_fill(server, name, files):
    empty = server.rss_bytes()
    before = server.cpu_seconds()
    pipe(server, files[name])
    time.sleep(3)
    count = elements_of(name)
    return (server.rss_bytes() - empty) / count, (server.cpu_seconds() - before) / count * 1e6


def measure_connections(server):
    empty = server.rss_bytes()
    sockets = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(CONNECTIONS)]
    for s in sockets:
        s.sendall(b"PING\r\n")
    for s in sockets:
        assert s.recv(16) == b"+PONG\r\n"
    bytes_each = (server.rss_bytes() - empty) / CONNECTIONS
    for s in sockets:
        s.close()
    return bytes_each


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scenario", action="append")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="tidegate-compare-")
    servers = {
        "tidegate": [options.binary, "--port", "{port}", "--dir", "{dir}", "--admin-address", "off",
                     "--workers", str(options.workers)],
        "redis": ["redis-server", "--port", "{port}", "--dir", "{dir}", "--save", "", "--appendonly", "no"],
    }
    try:
        files = {"small": f"{work}/small"}
        fill_file(files["small"], KEYS, lambda i: b"key:%012d" % i, lambda i: b"xxx")
        for name in options.scenario or [*LOADS, *FILLS, *COLLECTIONS, "connections"]:
            if name in FILLS:
                files[name] = f"{work}/{name}"
                fill_file(files[name], FILLS[name], lambda i: b"k:%010d" % i, lambda i: b"%032d" % (i * 7919))
            elif name in COLLECTIONS:
                files[name] = f"{work}/{name}"
                collection_file(files[name], name)
            results = {server: [] for server in servers}
            for _ in range(options.rounds):
                for label, command in servers.items():
                    server = PinnedServer(command, work)
                    try:
                        if name in LOADS:
                            results[label].append((measure_load(server, name, files),))
                        elif name in FILLS or name in COLLECTIONS:
                            results[label].append(measure_fill(server, name, files))
                        else:
                            results[label].append((measure_connections(server),))
                    finally:
                        server.stop()
            report(name, results)
    finally:
        shutil.rmtree(work)


def report(name, results):
    units = ("RSS bytes/key", "CPU us/key") if name in FILLS \
        else ("RSS bytes/element", "CPU us/element") if name in COLLECTIONS \
        else ("RSS bytes/connection",) if name == "connections" else ("CPU us/request",)
    for i, unit in enumerate(units):
        ours, theirs = ([row[i] for row in results[label]] for label in ("tidegate", "redis"))
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(f"{name:12} {unit:22} tidegate {statistics.median(ours):8.2f}   redis {statistics.median(theirs):8.2f}   "
              f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]", flush=True)


if __name__ == "__main__":
    main()
