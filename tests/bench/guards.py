#!/usr/bin/env python3
"""What the guards are for, beside a direct connection: hot keys, keys that do not exist, avalanches (stampedes: stampede.py).

    tests/bench/guards.py [hot_key] [penetration] [avalanche]      all of them without a name
                          [--binary build/release/tidegate] [--generator build/bench/open_loop]

hot_key      GETs of one key at 80 % of what redis-server can do alone, and a write a second: latency, and how many reads came to the node.
penetration  20,000 lookups a second of keys that do not exist, with a filter of 100,000 keys that do: how many would go to a database.
avalanche    a million keys SET with EX 3600 as fast as possible: the second in which most of them expire.
"""
import argparse
import collections
import contextlib
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from support import resp, servers  # noqa: E402


@contextlib.contextmanager
def in_front(binary, redis, policies, *flags):
    text = 'clusters:\n  - {name: cache, kind: redis, nodes: ["127.0.0.1:%d"]}\nroutes: [{match: "*", cluster: cache, policies: {%s}}]\n' % (redis.port, policies)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        with servers.tidegate(binary, *(flags or ("--workers", "1")), files=[config.name]) as server:
            yield server


def calls(redis, command):
    stats = redis.connect().command("INFO", "commandstats").value.decode()
    found = re.search(r"cmdstat_%s:calls=(\d+)" % command, stats)
    return int(found[1]) if found else 0


def hot_key(options):
    with servers.redis_server() as redis, in_front(options.binary, redis, 'local_cache: {mode: enforce, keys: ["key:*"]}') as server:
        key, writer = "key:000000000000", server.connect()
        writer.command("SET", key, "x" * 100)
        done = subprocess.run(["redis-benchmark", "-p", str(redis.port), "-c", "50", "-n", "300000", "-q", "GET", key], check=True, capture_output=True, text=True)
        peak = float(re.findall(r"([\d.]+) requests per second", done.stdout)[-1])
        rate, seconds, stop = int(options.rate or peak * 0.8), 5, threading.Event()
        print("redis-server alone: %.0f GETs a second; asked: %d" % (peak, rate))

        def write():
            number = 0
            while not stop.wait(1):
                number += 1
                writer.command("SET", key, ("%d" % number).ljust(100))

        thread = threading.Thread(target=write)
        thread.start()
        for name, port in (("redis", redis.port), ("tidegate", server.port)) * 3:
            before = calls(redis, "get")
            done = subprocess.run([options.generator, str(rate), str(seconds), "50", "1", str(port)], check=True, capture_output=True, text=True)
            asked, late, p50, p99 = (int(word) for word in re.findall(r" (\d+)", done.stdout)[:4])
            reads = calls(redis, "get") - before
            print("%-9s %8d reads, %5d asked late, p50 %5d us, p99 %6d us; reads at the node %7d (%.0fx fewer)"
                  % (name, asked, late, p50, p99, reads, asked / max(reads, 1)), flush=True)
        stop.set()
        thread.join()


def penetration(options):
    keys, seconds, rate = 100_000, 5, 20_000
    with servers.redis_server() as redis:
        fill = redis.connect()
        fill.send(b"".join(resp.encode_command(("SET", "item:%d" % i, "v")) for i in range(keys)))
        for _ in range(keys):
            fill.read(30)
        with in_front(options.binary, redis, 'bloom: {mode: enforce, on-absent: {sentinel: "none"}}') as server:
            client = server.connect(timeout=30)
            while client.command("GET", "item:x").kind == "nil":
                time.sleep(0.1)
            for name, connection in (("redis", redis.connect()), ("tidegate", client)):
                asked = database = 0
                begin = time.monotonic()
                while asked < rate * seconds:
                    time.sleep(max(0, begin + asked / rate - time.monotonic()))
                    connection.send(b"".join(resp.encode_command(("GET", "item:no%d" % (asked + i))) for i in range(200)))
                    database += sum(connection.read(10).kind == "nil" for _ in range(200))
                    asked += 200
                took = time.monotonic() - begin
                print("%-9s %d lookups of absent keys, %.0f a second: %d would go to the database (%.2f %%)" % (name, asked, asked / took, database, 100 * database / asked), flush=True)
            wrong = 0
            for first in range(0, keys, 500):
                client.send(b"".join(resp.encode_command(("GET", "item:%d" % i)) for i in range(first, first + 500)))
                wrong += sum(client.read(10).value != b"v" for _ in range(500))
            print("of %d keys that exist %d were called absent" % (keys, wrong))


def avalanche(options):
    count, step = 1_000_000, 10_000
    with servers.redis_server() as redis, in_front(options.binary, redis, 'ttl_jitter: {mode: enforce, keys: ["item:*"]}') as server:
        for name, connection in (("redis", redis.connect(timeout=60)), ("tidegate", server.connect(timeout=60))):
            seconds = collections.Counter()
            begin = time.monotonic()
            for first in range(0, count, step):
                connection.send(b"".join(resp.encode_command(("SET", "item:%d" % i, "v", "EX", "3600")) for i in range(first, first + step)))
                for _ in range(step):
                    connection.read(60)
            took = time.monotonic() - begin
            for first in range(0, count, step):
                connection.send(b"".join(resp.encode_command(("PEXPIRETIME", "item:%d" % i)) for i in range(first, first + step)))
                seconds.update(connection.read(60).value // 1000 for _ in range(step))
            most = max(seconds.values())
            print("%-9s %d keys set in %.1f s expire in %d different seconds; most in one: %d (%.2f %%)" % (name, count, took, len(seconds), most, 100 * most / count), flush=True)


def main():
    known = {one.__name__: one for one in (hot_key, penetration, avalanche)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=" ".join(known))
    parser.add_argument("--binary")
    parser.add_argument("--generator", default="build/bench/open_loop")
    parser.add_argument("--rate", type=int, help="of hot_key: GETs a second")
    options = parser.parse_args()
    options.binary = options.binary or servers.find_binary()
    for name in options.names or known:
        print("--- %s" % name)
        known[name](options)


if __name__ == "__main__":
    main()
