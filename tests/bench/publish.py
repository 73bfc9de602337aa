#!/usr/bin/env python3
"""PUBLISH to many subscribers, Tidegate beside redis-server: messages delivered a second and CPU per delivery.

usage: publish.py [--binary build/release/tidegate] [--workers 1] [--subscribers 1000] [--messages 300] [--rounds 5]

Each round publishes so many messages of 32 bytes in pipelines of 10 to one channel that all subscribers listen to, and
ends when every subscriber has every byte. The servers take turns, on processor 0; the load is on 1. Prints medians and
the ratio of each pair. Not a test: it judges nothing.
"""
import argparse
import os
import resource
import select
import shutil
import socket
import statistics
import tempfile
import time

from compare import PinnedServer

MESSAGE = b"m" * 32
PIPELINE = 10


def publish_round(server, subscribers, messages):
    os.sched_setaffinity(0, {1})
    sockets = {}
    poll = select.epoll()
    for _ in range(subscribers):
        s = socket.create_connection(("127.0.0.1", server.port), 5)
        s.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$7\r\nchannel\r\n")
        sockets[s.fileno()] = s
    for s in sockets.values():
        while not s.recv(4096).endswith(b":1\r\n"):
            pass
        s.setblocking(False)
        poll.register(s.fileno(), select.EPOLLIN)
    delivered = b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$%d\r\n%s\r\n" % (len(MESSAGE), MESSAGE)
    command = b"*3\r\n$7\r\nPUBLISH\r\n$7\r\nchannel\r\n$%d\r\n%s\r\n" % (len(MESSAGE), MESSAGE)
    publisher = socket.create_connection(("127.0.0.1", server.port), 5)
    left = subscribers * messages * len(delivered)
    sent = answered = 0
    cpu, began = server.cpu_seconds(), time.monotonic()
    while left > 0:
        if sent < messages and answered == sent:
            n = min(PIPELINE, messages - sent)
            publisher.sendall(command * n)
            sent += n
            poll.register(publisher.fileno(), select.EPOLLIN)
        for fd, _ in poll.poll(5):
            if fd == publisher.fileno():
                answered += publisher.recv(65536).count(b"\r\n")
                if answered == sent:
                    poll.unregister(fd)
            else:
                left -= len(sockets[fd].recv(65536))
    seconds = time.monotonic() - began
    cpu = server.cpu_seconds() - cpu
    for s in [*sockets.values(), publisher]:
        s.close()
    return subscribers * messages / seconds, cpu / (subscribers * messages) * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = tempfile.mkdtemp(prefix="tidegate-publish-")
    commands = {
        "redis": ["redis-server", "--port", "{port}", "--dir", "{dir}", "--save", "", "--appendonly", "no"],
        "tidegate": [options.binary, "--port", "{port}", "--dir", "{dir}", "--admin-address", "off",
                     "--workers", str(options.workers)],
    }
    results = {name: [] for name in commands}
    try:
        for _ in range(options.rounds):
            for name, command in commands.items():
                server = PinnedServer(command, work)
                try:
                    results[name].append(publish_round(server, options.subscribers, options.messages))
                finally:
                    server.stop()
    finally:
        shutil.rmtree(work)
    for i, unit in enumerate(("deliveries/s", "CPU us/delivery")):
        theirs, ours = ([row[i] for row in results[name]] for name in ("redis", "tidegate"))
        ratios = [b / a for a, b in zip(theirs, ours)]
        print(f"{unit:16} redis {statistics.median(theirs):12.2f}   tidegate {statistics.median(ours):12.2f}   "
              f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


if __name__ == "__main__":
    main()
