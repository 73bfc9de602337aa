#!/usr/bin/env python3
"""Loads per expiry of a key that many clients want: a redis-server directly, and through Tidegate with single_flight.

    tests/bench/stampede.py                          build/release/tidegate if it is there, else build/dev/tidegate
    tests/bench/stampede.py --clients 1000 --load-ms 100 --rounds 20
    tests/bench/stampede.py --ttl-ms 3000           and a key that lives for so long, read all the time, with early_refresh beside it

In each round the key is deleted and read by all clients at once; who finds nothing takes --load-ms to load it, and writes it. Clients
are in one thread, so the longest wait is that of a client on a busy machine. A line for each place: the median and the most of
loads per round, and the median and the most of the longest wait; and the reads that waited for as long as they may, which are loads too.
"""

import argparse
import pathlib
import re
import resource
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from support import servers  # noqa: E402
from support.stampede import expiries, stampede  # noqa: E402

CONFIG = """clusters: [{name: cache, kind: redis, nodes: ["127.0.0.1:%d"]}, {name: local, kind: engine}]
routes: [{match: "*", cluster: %s, policies: {single_flight: {keys: ["item:*"]}%s}}]
"""
EARLY = ', early_refresh: {mode: enforce, keys: ["item:*"]}'


def timed_out(server):
    return sum(float(value) for value in re.findall(r"^tidegate_single_flight_timed_out_total\{[^}]*\} ([0-9.e+]+)$", server.metrics_text(), re.M))


def measure(name, port, options):
    rounds = stampede(port, options.clients, options.rounds, options.load_ms / 1000)
    loads = [one.loads for one in rounds]
    waits = [one.longest * 1000 for one in rounds]
    print("%-22s loads %5.0f (at most %d)   longest wait %5.0f ms (at most %.0f)   wrong %d" % (
        name, statistics.median(loads), max(loads), statistics.median(waits), max(waits), sum(one.wrong for one in rounds)), flush=True)


def measure_expiries(name, port, options):
    seconds = options.rounds * options.ttl_ms / 1000
    result = expiries(port, options.clients, seconds, options.ttl_ms, options.load_ms / 1000)
    print("%-38s loads for each life of the key %.2f   longest wait %5.0f ms   reads %d   wrong %d" % (
        name, result.loads / options.rounds, result.longest * 1000, result.reads, result.wrong), flush=True)


def compare_expiries(binary, port, options):
    measure_expiries("redis-server", port, options)
    for name, policy in (("single_flight", ""), ("single_flight and early_refresh", EARLY)):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(CONFIG % (port, "cache", policy))
            config.flush()
            with servers.tidegate(binary, "--workers", "2", files=[config.name]) as server:
                measure_expiries(name, server.port, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--load-ms", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ttl-ms", type=int)
    options = parser.parse_args()
    binary = servers.find_binary(options.binary)
    if binary is None:
        sys.exit("no Tidegate binary: build one, or name it with --binary")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with servers.redis_server() as redis:
        if options.ttl_ms is not None:
            return compare_expiries(binary, redis.port, options)
        measure("redis-server", redis.port, options)
        for name, cluster in (("Tidegate, redis-server", "cache"), ("Tidegate, engine", "local")):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
                config.write(CONFIG % (redis.port, cluster, ""))
                config.flush()
                with servers.tidegate(binary, "--workers", "2", files=[config.name]) as server:
                    measure(name, server.port, options)
                    print("%22s timed out %d" % ("", timed_out(server)), flush=True)


if __name__ == "__main__":
    main()
