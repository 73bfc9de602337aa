#!/usr/bin/env python3
"""How much later replies come through Tidegate than straight from the Redis behind it, at a load both can carry.

    tests/bench/upstream_latency.py [--binary now=build/release/tidegate] [--binary before=…] [--load 0.5] [--rounds 3]
                                    [--generator build/bench/open_loop]

GETs of small values are due at fixed times, a second at the redis-server, a second at each Tidegate in front of it (one worker),
and so on. The rate is a part, --load, of what redis-benchmark gets through the first Tidegate over as many connections. Latency
counts from when a request was due. All processes share the machine: what counts is the difference within a round.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench_server import Server  # noqa: E402

CONNECTIONS = 50
KEYS = 100_000


def benchmark(port, *words):
    done = subprocess.run(["redis-benchmark", "-p", str(port), "-c", str(CONNECTIONS), "-r", str(KEYS), "-q", *words],
                          check=True, capture_output=True, text=True)
    return float(re.findall(r"([\d.]+) requests per second", done.stdout)[-1])


def start_tidegate(binary, directory, redis):
    config = os.path.join(directory, "config.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write('clusters:\n  - {name: cache, kind: redis, nodes: ["127.0.0.1:%d"]}\nroutes: [{match: "*", cluster: cache}]\n' % redis.port)
    return Server([binary, config, "--port", "{port}", "--workers", "1", "--admin-address", "off", "--dir", directory], directory)


def open_loop(options, rate, servers):
    """By name: requests, late, and microseconds at p50, p99, p99.9 and the longest."""
    command = [options.generator, str(rate), str(options.seconds), str(CONNECTIONS), str(KEYS)]
    done = subprocess.run(command + [str(server.port) for _, server in servers], check=True, capture_output=True, text=True)
    figures = [[int(word) for word in re.findall(r" (\d+)", line)] for line in done.stdout.splitlines()]
    return {name: figures[i] for i, (name, _) in enumerate(servers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", action="append", help="name=path; may be given more than once")
    parser.add_argument("--generator", default="build/bench/open_loop")
    parser.add_argument("--load", type=float, default=0.5)
    parser.add_argument("--rate", type=int, help="requests a second, in place of --load")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        redis = Server(["redis-server", "--port", "{port}", "--save", "", "--dir", directory], directory)
        benchmark(redis.port, "-t", "set", "-n", str(2 * KEYS), "-P", "16")
        servers = [("redis", redis)]
        for one in options.binary or ["build/release/tidegate"]:
            name, _, binary = one.rpartition("=")
            servers.append((name or "tidegate", start_tidegate(binary, directory, redis)))
        peak = benchmark(servers[1][1].port, "-n", "200000", "GET", "key:__rand_int__")
        rate = options.rate or int(peak * options.load)
        print("peak through %s %.0f/s, here %d/s" % (servers[1][0], peak, rate))
        print("%-10s %9s %6s %28s %12s %12s" % ("", "requests", "late", "p50/p99/p99.9 us", "p50 added", "p99 added"))
        for _ in range(options.rounds):
            figures = open_loop(options, rate, servers)
            direct = figures["redis"]
            for name, one in figures.items():
                print("%-10s %9d %6d %28s %12d %12d" % (name, one[0], one[1], "/".join(str(us) for us in one[2:5]),
                                                       one[2] - direct[2], one[3] - direct[3]), flush=True)
        for _, server in reversed(servers):
            server.stop()


if __name__ == "__main__":
    main()
