#!/usr/bin/env python3
"""Data larger than memory: what writing it takes, and what reads of hot and of cold keys take.

usage: larger_than_memory.py [--binary build/release/tidegate] [--megabytes 4096] [--maxmemory 512mb] [--value 1000]
                             [--hot 100000] [--reads 100000] [--workers 1] [--directory DIR]

Writes that many MB under `maxmemory` with `tiered yes`, as fast as they go, and counts errors; then reads, one at a time on
one connection: keys of a small set again and again (hot), and random keys of all (mostly cold), and checks every value. The
same hot reads go to a server with the same hot keys that keeps all in memory (`tiered no`): the ratio is what the mode costs.
Pages that the system keeps of the files make cold reads faster than the disk is; as root they are dropped before (else it
says that it could not). Not a test: it judges nothing.
"""
import argparse
import os
import random
import shutil
import subprocess
import tempfile
import time

from bench_server import free_port
from restart import Client, key

PIPELINE = 100


def value(i, options):
    text = b"%d:" % i
    return (text * (1 + options.value // len(text)))[:options.value]


def start(options, directory, port, *flags):
    process = subprocess.Popen(
        [options.binary, "--port", str(port), "--dir", directory, "--appendonly", "yes", "--workers", str(options.workers),
         "--admin-address", "off", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return process, Client(port)
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise SystemExit("the server did not start")


def write(client, keys, options):
    errors = 0
    longest = 0
    for begin in range(0, len(keys), PIPELINE):
        batch = keys[begin : begin + PIPELINE]
        at = time.monotonic()
        client.send(*[(b"SET", key(i), value(i, options)) for i in batch])
        errors += sum(client.reply() != b"+OK" for _ in batch)
        longest = max(longest, time.monotonic() - at)
    return errors, longest


def read(client, keys, options):
    """Percentiles in microseconds, and wrong answers."""
    times = []
    wrong = 0
    for i in keys:
        at = time.monotonic()
        answer = client.run("GET", key(i))
        times.append(time.monotonic() - at)
        wrong += answer != value(i, options)
    times.sort()
    return ["%.0f" % (times[min(len(times) - 1, int(len(times) * part))] * 1e6) for part in (0.5, 0.99, 0.999)], wrong


def drop_page_cache():
    subprocess.run(["sync"], check=False, timeout=120)
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("1")
        return "dropped"
    except OSError:
        return "kept"


def show(what, result):
    print("%-28s p50 %6s us   p99 %6s us   p99.9 %6s us   wrong %d" % (what, *result[0], result[1]), flush=True)


def bench_tiered(options, directory):
    port = free_port()
    process, client = start(options, directory, port, "--tiered", "yes", "--maxmemory", options.maxmemory,
                            "--maxmemory-policy", "allkeys-lru")
    try:
        count = options.megabytes * 1_000_000 // options.value
        began = time.monotonic()
        errors, longest = write(client, range(count), options)
        seconds = time.monotonic() - began
        print("written: %d keys, %d MB in %.1f s, %.1f MB/s, errors %d, longest pipeline of %d: %.0f ms"
              % (count, options.megabytes, seconds, options.megabytes / seconds, errors, PIPELINE, longest * 1e3), flush=True)
        dice = random.Random(1)
        hot = dice.sample(range(count), options.hot)
        for _ in range(2):
            read(client, hot, options)
        show("hot, larger than memory", read(client, [dice.choice(hot) for _ in range(options.reads)], options))
        print("page cache: " + drop_page_cache())
        show("cold, after that", read(client, [dice.randrange(count) for _ in range(options.reads)], options))
        show("cold, once more", read(client, [dice.randrange(count) for _ in range(options.reads)], options))
        info = client.run("INFO", "everything").decode()
        wanted = ("used_memory:", "tiered_", "checkpoints:", "store_", "evicted_keys", "keys=")
        print("\n".join("  " + line for line in info.splitlines() if any(word in line for word in wanted)))
        return hot
    finally:
        process.terminate()
        process.wait(60)


def bench_untiered(options, directory, hot):
    process, client = start(options, directory, free_port())
    try:
        write(client, hot, options)
        read(client, hot, options)
        dice = random.Random(2)
        show("hot, all in memory", read(client, [dice.choice(hot) for _ in range(options.reads)], options))
    finally:
        process.terminate()
        process.wait(60)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--megabytes", type=int, default=4096)
    parser.add_argument("--maxmemory", default="512mb")
    parser.add_argument("--value", type=int, default=1000)
    parser.add_argument("--hot", type=int, default=100_000)
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="tidegate-bench-", dir=options.directory)
    try:
        hot = bench_tiered(options, os.path.join(directory, "tiered"))
        bench_untiered(options, os.path.join(directory, "untiered"), hot)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
