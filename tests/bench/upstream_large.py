#!/usr/bin/env python3
"""What large replies of an upstream, or large requests (--set), do to small ones beside them.

    tests/bench/upstream_large.py [--binary now=build/release/tidegate] [--binary before=…] [--seconds 5] [--rounds 3] [--set]

Closed-loop GETs of 1 KB over several connections, each with its latency, without and with a client that GETs 10 MB ten
times a second; directly at a redis-server, and through Tidegate in front of it (one worker). What counts is the ratio
of the two in one round: all processes share the machine. With --apart the large value lives on another redis-server than the
small ones, so that what Tidegate itself makes them wait for shows, and not what a redis-server does that writes 10 MB.
"""
import argparse
import multiprocessing
import os
import selectors
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench_server import Server  # noqa: E402

SMALL = 1000
REPLY = len(b"$%d\r\n" % SMALL) + SMALL + 2
CONNECTIONS = 16


def encoded(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_exactly(connection, size):
    view = memoryview(bytearray(1 << 20))
    while size > 0:
        got = connection.recv_into(view, min(size, len(view)))
        if got == 0:
            raise SystemExit("the server closed the connection")
        size -= got


def fill(port, key, size):
    with connect(port) as connection:
        connection.sendall(encoded(b"SET", key, bytes(size)))
        read_exactly(connection, 5)


def large_client(port, options, times):
    """GETs or SETs the large value at fixed times until it is ended; `fresh`: over a new connection each time."""
    large, per_second, fresh = options.large, options.per_second, options.fresh
    request = encoded(b"SET", b"large", bytes(large)) if options.set else encoded(b"GET", b"large")
    reply = len(b"+OK\r\n") if options.set else len(b"$%d\r\n" % large) + large + 2
    connection = connect(port)
    due = time.monotonic()
    while True:
        due += 1 / per_second
        time.sleep(max(0.0, due - time.monotonic()))
        begun = time.monotonic()
        if fresh:
            connection.close()
            connection = connect(port)
        connection.sendall(request)
        read_exactly(connection, reply)
        times.put(time.monotonic() - begun)


def small_latencies(port, seconds):
    """Seconds of each GET, over connections that have one in flight each."""
    request = encoded(b"GET", b"small")
    latencies = []
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = connect(port)
            selector.register(connection, selectors.EVENT_READ, [time.perf_counter(), REPLY])
            connection.sendall(request)
        end = time.perf_counter() + seconds
        now = 0.0
        while now < end:
            for key, _ in selector.select():
                key.data[1] -= len(key.fileobj.recv(65536))
                if key.data[1] > 0:
                    continue
                now = time.perf_counter()
                latencies.append(now - key.data[0])
                key.data[:] = [now, REPLY]
                key.fileobj.sendall(request)
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    return sorted(latencies)


def at(latencies, part):
    return latencies[min(len(latencies) - 1, int(len(latencies) * part))] * 1000


def measure(port, large_port, options):
    """Milliseconds at p50, p99 and p99.9 without and with large values, and of the large ones themselves."""
    alone = small_latencies(port, options.seconds)
    times = multiprocessing.Queue()
    reader = multiprocessing.Process(target=large_client, args=(large_port, options, times))
    reader.start()
    times.get()
    beside = small_latencies(port, options.seconds)
    reader.terminate()
    reader.join()
    large = []
    while not times.empty():
        large.append(times.get())
    return [[at(one, part) for part in (0.5, 0.99, 0.999)] for one in (alone, beside)], sorted(large)


def targets(options, directory, redis, other):
    """Names, servers (None: straight to the redis-servers)."""
    yield "redis", None
    for one in options.binary:
        name, _, binary = one.rpartition("=")
        config = os.path.join(directory, "config.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write("clusters:\n")
            for cluster, server in (("cache", redis), ("other", other)):
                file.write('  - {name: %s, kind: redis, nodes: ["127.0.0.1:%d"], request-timeout: 30s}\n' % (cluster, server.port))
            file.write('routes: [{match: "large", cluster: other}, {match: "*", cluster: cache}]\n')
        yield name or "tidegate", Server([binary, config, "--port", "{port}", "--workers", "1", "--admin-address", "off",
                                          "--dir", directory], directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", action="append", help="name=path; may be given more than once")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--per-second", type=float, default=10)
    parser.add_argument("--fresh", action="store_true", help="each large value over a new connection")
    parser.add_argument("--set", action="store_true", help="the large values are written")
    parser.add_argument("--apart", action="store_true", help="they live on another redis-server")
    options = parser.parse_args()
    options.binary = options.binary or ["build/release/tidegate"]
    with tempfile.TemporaryDirectory() as directory:
        servers = [Server(["redis-server", "--port", "{port}", "--save", "", "--dir", directory], directory)
                   for _ in range(2 if options.apart else 1)]
        redis, other = servers[0], servers[-1]
        fill(redis.port, b"small", SMALL)
        fill(other.port, b"large", options.large)
        print("%-10s %24s %24s %8s %20s" % ("", "alone p50/p99/p99.9 ms", "beside", "p99.9 x", "large p50/max ms"))
        for _ in range(options.rounds):
            for name, server in targets(options, directory, redis, other):
                ports = (server.port, server.port) if server else (redis.port, other.port)
                (alone, beside), large = measure(*ports, options)
                rss = "" if server is None else "  RSS %d MB" % (server.rss_bytes() >> 20)
                print("%-10s %24s %24s %8.2f %20s%s" % (name, "/".join("%.2f" % ms for ms in alone), "/".join("%.2f" % ms for ms in beside),
                                                      beside[2] / alone[2], "%.0f/%.0f" % (at(large, 0.5), at(large, 1)), rss), flush=True)
                if server is not None:
                    server.stop()
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
