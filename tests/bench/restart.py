#!/usr/bin/env python3
"""How soon a killed server answers again, and how it does while its data comes into memory.

usage: restart.py [--binary build/release/tidegate] [--megabytes 1000] [--value 1000] [--tail 1000000] [--workers 1]
                  [--directory DIR]

Fills a data directory, waits for a checkpoint, writes a tail of changes behind it, kills the process, drops the page cache
(as root; else it says that it could not), and starts it again. Prints the seconds from the start of the process to the
first right answer for a key that was not used for long, and the latencies of reads of random keys, one at a time, until
all is in memory. `--tail` changes keys of the whole keyspace, each a SET of a random key. Needs the disk for the data, and
memory for it. Not a test: it judges nothing.
"""
import argparse
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

from bench_server import free_port

PIPELINE = 200


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 600)
        self.file = self.socket.makefile("rb")

    def send(self, *commands):
        self.socket.sendall(b"".join(
            b"*%d\r\n" % len(c) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in c) for c in commands))

    def reply(self):
        line = self.file.readline()
        if line[:1] != b"$":
            return line.rstrip()
        size = int(line[1:])
        return None if size < 0 else self.file.read(size + 2)[:-2]

    def run(self, *words):
        self.send([w if isinstance(w, bytes) else str(w).encode() for w in words])
        return self.reply()

    def info(self):
        return dict(line.split(":", 1) for line in self.run("INFO", "persistence").decode().splitlines() if ":" in line)


def key(i):
    return b"key:%012d" % i


def value(i, options):
    return (b"%d:" % i) * (1 + options.value // 8)


def start(options, directory, port):
    return subprocess.Popen([options.binary, "--port", str(port), "--dir", directory, "--appendonly", "yes",
                             "--admin-address", "off", "--workers", str(options.workers), "--save", ""],
                            stdout=open(os.path.join(directory, "log"), "ab"), stderr=subprocess.STDOUT)


def connect(port, process):
    while True:
        try:
            return Client(port)
        except OSError:
            if process.poll() is not None:
                raise SystemExit("the server ended; see the log in its directory") from None
            time.sleep(0.001)


def fill(client, keys, options):
    for begin in range(0, keys, PIPELINE):
        batch = range(begin, min(begin + PIPELINE, keys))
        client.send(*[(b"SET", key(i), value(i, options)) for i in batch])
        for _ in batch:
            assert client.reply() == b"+OK"


def wait_for_checkpoint(client):
    client.run("BGREWRITEAOF")
    time.sleep(0.1)
    while True:
        info = client.info()
        if info.get("aof_rewrite_in_progress") == "0" and info.get("aof_rewrite_scheduled", "0") == "0":
            return info
        time.sleep(0.2)


def write_tail(client, keys, options):
    chosen = random.Random(7)
    for begin in range(0, options.tail, PIPELINE):
        batch = [chosen.randrange(keys) for _ in range(min(PIPELINE, options.tail - begin))]
        client.send(*[(b"SET", key(i), value(i, options)) for i in batch])
        for _ in batch:
            assert client.reply() == b"+OK"


def drop_page_cache():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3\n")
    except OSError as error:
        print("the page cache stays:", error)


def print_log(directory, begin):
    """What the start says of itself."""
    with open(os.path.join(directory, "log"), encoding="utf-8", errors="replace") as f:
        f.seek(begin)
        print("".join("  " + line for line in f), end="")


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--value", type=int, default=1000)
    parser.add_argument("--tail", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--directory", default=None)
    options = parser.parse_args()
    keys = options.megabytes * 1_000_000 // (options.value + 20)
    directory = tempfile.mkdtemp(prefix="tidegate-restart-", dir=options.directory)
    process = start(options, directory, port := free_port())
    try:
        client = connect(port, process)
        began = time.monotonic()
        fill(client, keys, options)
        info = wait_for_checkpoint(client)
        print("%d keys, %d MB, filled and kept in %.1f s" % (keys, options.megabytes, time.monotonic() - began))
        write_tail(client, keys, options)
        info = client.info()
        print("journal:", {k: v for k, v in info.items() if k.startswith(("aof_current", "aof_base", "journal_s", "checkpoint"))})
        process.kill()
        process.wait()
        drop_page_cache()

        log_end = os.path.getsize(os.path.join(directory, "log"))
        began = time.monotonic()
        process = start(options, directory, port := free_port())
        client = connect(port, process)
        wanted = keys // 2 + 1
        assert client.run("GET", key(wanted)) == value(wanted, options), "a wrong answer"
        print("first answer after %.3f s; DBSIZE %s of %d" %
              (time.monotonic() - began, client.run("DBSIZE").decode(), keys))
        print_log(directory, log_end)
        chosen = random.Random(11)
        latencies = []
        last_look = time.monotonic()
        warm = False
        while not warm:
            i = chosen.randrange(keys)
            sent = time.perf_counter()
            answer = client.run("GET", key(i))
            latencies.append(time.perf_counter() - sent)
            assert answer == value(i, options), "a wrong answer for %r" % key(i)
            if time.monotonic() - last_look > 0.5:
                last_look = time.monotonic()
                info = client.info()
                warm = info.get("cold_slots", info.get("warmup_in_progress", "0")) == "0"
        latencies.sort()
        print("warm after %.1f s; %d reads meanwhile: p50 %.2f ms, p99 %.2f ms, max %.1f ms" %
              (time.monotonic() - began, len(latencies), *(1e3 * percentile(latencies, s) for s in (0.5, 0.99, 1))))
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
