#!/usr/bin/env python3
"""Three ways in which a cache hurts, each against a redis-server alone and through Tidegate in front of it. scripts/demo runs it.

What reaches the redis-server is counted by the redis-server (INFO commandstats), what reaches the database by the clients, which
are one thread: they are told for the comparison, not as what either server can do (docs/performance.md has that).
"""

import argparse
import asyncio
import contextlib
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from support import servers  # noqa: E402
from support.stampede import stampede  # noqa: E402

CONFIG = """profile: standard
workers: 1
clusters: [{name: cache, kind: redis, nodes: ["127.0.0.1:%d"]}]
routes:
  - match: "item:*"
    cluster: cache
    policies: {local_cache: {keys: hot}, single_flight: {keys: ["item:*"]}}
  - match: "user:*"
    cluster: cache
    policies: {negative_cache: {mode: enforce, ttl: 30s, answer: {sentinel: "(no such user)"}}}
  - {match: "*", cluster: cache}
"""

READERS = 32
KEYS = 2000  # beside the hot one
HOT_SHARE = 10  # of so many reads all but one are of the hot key
HOT_SECONDS = 10.0
STAMPEDE_CLIENTS = 200
STAMPEDE_ROUNDS = 5
LOAD_SECONDS = 0.3
ABSENT_KEYS = 100
ABSENT_SECONDS = 5.0
QUERY_SECONDS = 0.005  # a query of the database that finds nothing
SHORT = 0.4  # of the time, to see whether it works
PROMETHEUS_CONFIG = "scrape_configs: [{job_name: tidegate, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:%d']}]}]\n"


async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def get(key):
        writer.write(b"GET %s\r\n" % key.encode())
        line = await reader.readline()
        if not line.startswith(b"$"):
            raise RuntimeError(line.decode())
        size = int(line[1:])
        return None if size < 0 else (await reader.readexactly(size + 2))[:-2]

    return get, writer


class Load:
    """Readers that ask for one key after the other for some seconds."""

    def __init__(self):
        self.reads = self.queries = 0
        self.times = []

    async def _reader(self, port, keys, on_nil, deadline):
        get, writer = await connect(port)
        while time.monotonic() < deadline:
            begin = time.monotonic()
            found = await get(next(keys))
            self.times.append(time.monotonic() - begin)
            self.reads += 1
            if found is None:
                self.queries += 1
                await asyncio.sleep(on_nil)
        writer.close()

    async def run(self, port, keys, seconds, on_nil=0.0):
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(self._reader(port, keys(i), on_nil, deadline) for i in range(READERS)))

    def p99_ms(self):
        return statistics.quantiles(self.times, n=100)[-1] * 1000


def hot_keys(seed):
    number = seed * 61
    while True:
        number += 1
        yield "item:%d" % (number * 7919 % KEYS) if number % HOT_SHARE == 0 else "item:hot"


def absent_keys(seed):
    number = seed * 13
    while True:
        number += 1
        yield "user:absent%d" % (number % ABSENT_KEYS)


def gets_of(redis):
    found = re.search(r"calls=(\d+)", redis.info().get("cmdstat_get", "calls=0"))
    return int(found.group(1))


class Table:
    """Figures of both sides, a line each."""

    def __init__(self, title, why):
        print("\n%s\n  %s\n\n  %-46s %14s %14s" % (title, why, "", "Redis alone", "with Tidegate"), flush=True)

    def row(self, what, alone, with_tidegate, form="%.0f"):
        print("  %-46s %14s %14s" % (what, form % alone, form % with_tidegate), flush=True)


def both(redis, gate, work):
    """What `work` makes of each port, with the reads that the redis-server had: ((result, reads), (result, reads))."""
    found = []
    for port in (redis.port, gate.port):
        before = gets_of(redis)
        result = work(port)
        found.append((result, gets_of(redis) - before))
    return found


def loaded(keys, seconds, on_nil=0.0):
    def work(port):
        load = Load()
        asyncio.run(load.run(port, keys, seconds, on_nil))
        return load

    return work


def show_hot_key(redis, gate, seconds):
    table = Table("1. One key turns hot", "%d clients read; nine of ten reads are of one key. Its node is the one that gets them." % READERS)
    (alone, alone_gets), (gated, gated_gets) = both(redis, gate, loaded(hot_keys, seconds))
    table.row("reads by clients, a second", alone.reads / seconds, gated.reads / seconds)
    table.row("of 1000 reads the redis-server had", 1000 * alone_gets / alone.reads, 1000 * gated_gets / gated.reads)
    table.row("99th percentile of a read, ms", alone.p99_ms(), gated.p99_ms(), "%.1f")


def show_stampede(redis, gate, rounds):
    table = Table("2. It expires, and its loader is slow",
                  "%d clients want one key that is gone; to load it takes %d ms. %d times." % (STAMPEDE_CLIENTS, LOAD_SECONDS * 1000, rounds))

    def work(port):
        return stampede(port, STAMPEDE_CLIENTS, rounds, LOAD_SECONDS)

    (alone, _), (gated, _) = both(redis, gate, work)
    table.row("loads that the database had, each time", statistics.mean(r.loads for r in alone), statistics.mean(r.loads for r in gated), "%.1f")
    table.row("longest read, ms (with the wait for the loader)", max(r.longest for r in alone) * 1000, max(r.longest for r in gated) * 1000)
    table.row("wrong values", sum(r.wrong for r in alone), sum(r.wrong for r in gated))


def show_absent_keys(redis, gate, seconds):
    table = Table("3. Keys that do not exist",
                  "%d clients ask for %d users that there are not; each nil is a query of the database." % (READERS, ABSENT_KEYS))
    (alone, alone_gets), (gated, gated_gets) = both(redis, gate, loaded(absent_keys, seconds, QUERY_SECONDS))
    table.row("lookups by clients", alone.reads, gated.reads)
    table.row("reads that the redis-server had", alone_gets, gated_gets)
    table.row("queries that the database had", alone.queries, gated.queries)


@contextlib.contextmanager
def prometheus(gate):
    """Its address; None where it is not installed."""
    if not shutil.which("prometheus"):
        yield None
        return
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as folder:
        config = pathlib.Path(folder) / "prometheus.yml"
        config.write_text(PROMETHEUS_CONFIG % gate.admin_port)
        process = subprocess.Popen(["prometheus", "--config.file", str(config), "--storage.tsdb.path", folder + "/data", "--web.listen-address",
                                    "127.0.0.1:%d" % port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield "http://127.0.0.1:%d/" % port
        finally:
            process.terminate()
            process.wait()


def fill(redis):
    connection = redis.connect()
    connection.command("SET", "item:hot", "x" * 1024)
    for number in range(KEYS):
        connection.command("SET", "item:%d" % number, "x" * 256)
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--short", action="store_true", help="to see whether it works: less time, less to see")
    options = parser.parse_args()
    binary = servers.find_binary(options.binary)
    if binary is None:
        sys.exit("no Tidegate binary: build one, or name it with --binary")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(servers.redis_server())
        config = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
        config.write(CONFIG % redis.port)
        config.flush()
        gate = stack.enter_context(servers.tidegate(binary, files=[config.name]))
        watcher = stack.enter_context(prometheus(gate))
        print("redis-server on 127.0.0.1:%d, Tidegate in front of it on 127.0.0.1:%d\nwhat goes on in it: http://127.0.0.1:%d/" % (
            redis.port, gate.port, gate.admin_port))
        print("Prometheus: %s" % watcher if watcher else "no Prometheus here: apt-get install prometheus, to have it watch")
        fill(redis)
        part = SHORT if options.short else 1.0
        show_hot_key(redis, gate, HOT_SECONDS * part)
        show_stampede(redis, gate, 1 if options.short else STAMPEDE_ROUNDS)
        show_absent_keys(redis, gate, ABSENT_SECONDS * part)
        print("\nWhat did it, in docs/guards: local_cache, single_flight, negative_cache. docs/performance.md has measurements.")
        if options.keep:
            print("Ctrl-C ends it.", flush=True)
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
