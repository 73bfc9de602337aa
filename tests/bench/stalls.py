#!/usr/bin/env python3
"""The longest loop turn while a keyspace grows to millions of keys, and while it is dropped.

usage: stalls.py [--binary build/release/tidegate] [--keys 5000000] [--workers 1] [--one-tag]
       stalls.py --big [TYPE…] [--keys 5000000] [--workers 1]      single commands over values of so many elements
       stalls.py --beside [--keys 10000000] --workers 2            a client beside them, on the other worker

Starts a server on loopback, fills it through redis-cli --pipe, drops everything with FLUSHALL, fills it
again, and prints the longest turn of each worker so far after each: of its own work, and by the wall clock, which also counts the time slices that
others had on its processor: run it under chrt -f 10 to keep others out. Not a test: it judges nothing.
"""
import argparse
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

import big_values

KEYS_PER_WRITE = 5000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_commands(path, keys, prefix):
    with open(path, "wb") as f:
        for first in range(0, keys, KEYS_PER_WRITE):
            names = (b"%s%010d" % (prefix, i) for i in range(first, min(first + KEYS_PER_WRITE, keys)))
            f.write(b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$32\r\n%s\r\n" % (len(n), n, b"x" * 32) for n in names))


def longest_turns(admin_port):
    page = urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=5).read().decode()
    parts = []
    for what, name in (("work", "tidegate_loop_turn_work_max_seconds{"), ("wall", "tidegate_loop_turn_max_seconds{")):
        values = [float(line.split()[1]) * 1000 for line in page.splitlines() if line.startswith(name)]
        parts.append(what + " " + " ".join(f"{value:.2f}" for value in values))
    return ", ".join(parts) + " ms"


def cli(port, *words, **more):
    subprocess.run(["redis-cli", "-p", str(port), *words], check=True, stdout=subprocess.DEVNULL, timeout=600, **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--keys", type=int, default=5_000_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--one-tag", action="store_true", help="all keys in one slot")
    parser.add_argument("--big", nargs="*", metavar="TYPE", help=f"commands over one large value: {', '.join(big_values.COMMANDS)}")
    parser.add_argument("--beside", action="store_true", help="what a client on the other worker sees of them")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="tidegate-stalls-")
    port, admin_port = free_port(), free_port()
    values = options.big is not None or options.beside
    if not values:
        write_commands(f"{work}/commands", options.keys, b"{t}" if options.one_tag else b"k:")
    server = subprocess.Popen([options.binary, "--port", str(port), "--dir", work, "--workers", str(options.workers),
                               "--admin-address", f"127.0.0.1:{admin_port}", "--enable-debug-command", "local"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        if values:
            client = big_values.Client(port)
            if options.beside:
                big_values.beside(client, port, lambda: longest_turns(admin_port), options.keys)
            else:
                big_values.measure(client, port, lambda: longest_turns(admin_port), options.keys, options.big)
            return
        with open(f"{work}/commands", "rb") as commands:
            cli(port, "--pipe", stdin=commands)
        print(f"growth to {options.keys} keys: {longest_turns(admin_port)}", flush=True)
        cli(port, "flushall")
        with open(f"{work}/commands", "rb") as commands:  # while the old data is being freed
            cli(port, "--pipe", stdin=commands)
        print(f"and FLUSHALL and growth again: {longest_turns(admin_port)}", flush=True)
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
