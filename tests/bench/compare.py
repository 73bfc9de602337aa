#!/usr/bin/env python3
"""Tidegate beside redis-server, under the same load: CPU per request, memory per key, memory per idle connection.

usage: compare.py [--binary build/release/tidegate] [--rounds 5] [--workers 1] [--scenario NAME]...

Servers are started one at a time on loopback, pinned to processor 0 (the load runs on 1), each with fresh data, in turn
A B A B …, so that a machine whose speed drifts treats both alike. What is compared is processor time (user and system,
all threads) per request, which other work on the machine disturbs less than throughput. Prints the medians and the
ratio of each pair. Needs redis-server, redis-benchmark and redis-cli. Not a test: it judges nothing.
"""
import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")
RANDOM_KEY = "key:__rand_int__"
KEYS = 100_000

# name -> (requests, pipeline, command)
LOADS = {
    "get-p1": (150_000, 1, ["GET", RANDOM_KEY]),
    "set-p1": (150_000, 1, ["SET", RANDOM_KEY, "xxx"]),
    "get-p16": (1_500_000, 16, ["GET", RANDOM_KEY]),
    "set-p16": (1_500_000, 16, ["SET", RANDOM_KEY, "xxx"]),
    "mget-10": (400_000, 16, ["MGET"] + [RANDOM_KEY] * 10),
    "incr": (1_500_000, 16, ["INCR", "counter"]),
}
FILLS = {"fill-1.3M": 1_300_000, "fill-2M": 2_000_000, "fill-2.9M": 2_900_000}
CONNECTIONS = 5_000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One started server; stopped by its own process id."""

    def __init__(self, command, directory):
        self.port = free_port()
        argv = [part.format(port=self.port, dir=directory) for part in command]
        self.process = subprocess.Popen(["taskset", "-c", "0"] + argv, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"{argv[0]} did not start")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def client(argv, **more):
    subprocess.run(["taskset", "-c", "1"] + argv, check=True, stdout=subprocess.DEVNULL, timeout=600, **more)


def fill_file(path, count, key, value):
    with open(path, "wb") as f:
        for i in range(count):
            k, v = key(i), value(i)
            f.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(k), k, len(v), v))


def pipe(server, path):
    with open(path, "rb") as f:
        client(["redis-cli", "-p", str(server.port), "--pipe"], stdin=f)


def measure_load(server, name, files):
    requests, pipeline, command = LOADS[name]
    pipe(server, files["small"])
    base = ["redis-benchmark", "-p", str(server.port), "-q", "-c", "50", "-P", str(pipeline), "-r", str(KEYS)]
    client(base + ["-n", str(requests // 10)] + command)
    before = server.cpu_seconds()
    client(base + ["-n", str(requests)] + command)
    return (server.cpu_seconds() - before) / requests * 1e6


def measure_fill(server, name, files):
    empty = server.rss_bytes()
    before = server.cpu_seconds()
    pipe(server, files[name])
    time.sleep(3)
    return (server.rss_bytes() - empty) / FILLS[name], (server.cpu_seconds() - before) / FILLS[name] * 1e6


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
        for name in options.scenario or [*LOADS, *FILLS, "connections"]:
            if name in FILLS:
                files[name] = f"{work}/{name}"
                fill_file(files[name], FILLS[name], lambda i: b"k:%010d" % i, lambda i: b"%032d" % (i * 7919))
            results = {server: [] for server in servers}
            for _ in range(options.rounds):
                for label, command in servers.items():
                    server = Server(command, work)
                    try:
                        if name in LOADS:
                            results[label].append((measure_load(server, name, files),))
                        elif name in FILLS:
                            results[label].append(measure_fill(server, name, files))
                        else:
                            results[label].append((measure_connections(server),))
                    finally:
                        server.stop()
            report(name, results)
    finally:
        shutil.rmtree(work)


def report(name, results):
    units = ("RSS bytes/key", "CPU us/key") if name in FILLS else ("RSS bytes/connection",) if name == "connections" \
        else ("CPU us/request",)
    for i, unit in enumerate(units):
        ours, theirs = ([row[i] for row in results[label]] for label in ("tidegate", "redis"))
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(f"{name:12} {unit:22} tidegate {statistics.median(ours):8.2f}   redis {statistics.median(theirs):8.2f}   "
              f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]", flush=True)


if __name__ == "__main__":
    main()
