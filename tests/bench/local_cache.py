#!/usr/bin/env python3
"""What local_cache spares a node: reads of one hot key at a fixed rate, and one write of it a second, with the policy and without.

    tests/bench/local_cache.py                          build/release/tidegate if it is there, else build/dev/tidegate
    tests/bench/local_cache.py --seconds 10 --rate 50000 --workers 2

The reads come from 20 connections in pipelines, at times that are fixed beforehand; the writes go to the redis-server directly, behind
Tidegate's back. Printed are how many reads the node executed (its commandstats: GETs, and fetches as EXEC), how many of the replies
were older than a write that had been answered before they were asked for, and for how long at most, and the processor time of both processes.
"""

import argparse
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

from local_cache import calls  # noqa: E402
from routes import configured  # noqa: E402
from support import resp, servers  # noqa: E402

CONNECTIONS = 20
# A round of pipelines, one for each connection.
ROUND_SECONDS = 0.02
POLICY = ", policies: {local_cache: {mode: enforce}}"
GET = resp.encode_command(["GET", "hot"])
# All values are as long.
VALUE = "value%010d"


def cpu_seconds(server):
    fields = pathlib.Path("/proc/%d/stat" % server.process.pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reads:
    """Asks, and looks at every reply."""

    def __init__(self, server, rate):
        self.sockets = [server.connect(timeout=30).socket for _ in range(CONNECTIONS)]
        self.depth = max(1, int(rate * ROUND_SECONDS / CONNECTIONS))
        self.count = self.stale = 0
        self.stale_seconds = 0.0

    def round(self, version, written):
        """`version`: of the last write that was answered, at `written`."""
        asked = time.monotonic()
        for one in self.sockets:
            one.sendall(GET * self.depth)
        value = (VALUE % version).encode()
        good = b"$%d\r\n%s\r\n" % (len(value), value)
        for one in self.sockets:
            data = b""
            while len(data) < len(good) * self.depth:
                data += one.recv(1 << 20)
            self.count += self.depth
            stale = self.depth - data.count(good)
            if stale > 0:
                self.stale += stale
                self.stale_seconds = max(self.stale_seconds, asked - written)


def measure(start, options, policy):
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, '{match: "*", cluster: cache%s}' % policy,
                                                     flags=("--workers", str(options.workers))) as server:
        direct = redis.connect()
        direct.command("SET", "hot", VALUE % 0)
        reads = Reads(server, options.rate)
        end = time.monotonic() + 3
        while time.monotonic() < end:  # until it is hot
            reads.round(0, 0.0)
        reads.count = reads.stale = 0
        before = {name: calls(direct, name) for name in ("get", "exec")}
        cpu = cpu_seconds(server), cpu_seconds(redis)
        version, written = 0, 0.0
        begun = due = time.monotonic()
        while (now := time.monotonic()) < begun + options.seconds:
            if int(now - begun) > version:
                version += 1
                direct.command("SET", "hot", VALUE % version)
                written = time.monotonic()
            reads.round(version, written)
            due += ROUND_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))
        seconds = time.monotonic() - begun
        asked = sum(calls(direct, name) - before[name] for name in before)
        print("%-20s %7.0f reads/s, %8d reads, of which the node executed %8d: 1 of %.0f; stale %d, at most %.1f ms after the write; CPU Tidegate %.1f s, redis %.1f s"
              % ("with local_cache" if policy else "without", reads.count / seconds, reads.count, asked, reads.count / max(asked, 1), reads.stale,
                 1e3 * reads.stale_seconds, cpu_seconds(server) - cpu[0], cpu_seconds(redis) - cpu[1]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=int, default=50000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    binary = servers.find_binary(options.binary)
    if binary is None:
        sys.exit("no Tidegate binary: build one, or name it with --binary")
    print("binary: %s" % binary)

    def start(*flags, **settings):
        return servers.tidegate(binary, *flags, **settings)

    for policy in ("", POLICY):
        measure(start, options, policy)


if __name__ == "__main__":
    main()
