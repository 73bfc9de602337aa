#!/usr/bin/env python3
"""What BACKUP takes and what clients notice of it; and BGSAVE of data that is in memory, and that is on disk.

    tests/bench/backup.py [--binary build/release/tidegate] [--keys 1000000] [--bytes 1000]
"""

import argparse
import os
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

from support import servers  # noqa: E402

BACKUPS = 7
SAVES = 3
CLIENTS = 2
COLD_MEMORY = "100mb"


class Writer(threading.Thread):
    def __init__(self, server, keys, value):
        super().__init__(daemon=True)
        self.server, self.keys, self.value = server, keys, value
        self.go_on, self.during = True, False
        self.times = {False: [], True: []}

    def run(self):
        connection = self.server.connect(timeout=60)
        step = 0
        while self.go_on:
            during, begun = self.during, time.perf_counter()
            connection.command("SET", "key:%d" % (step * 7919 % self.keys), self.value)
            self.times[during].append(time.perf_counter() - begun)
            step += 1


def cpu_seconds(server):
    words = pathlib.Path("/proc/%d/stat" % server.process.pid).read_text().split()
    return (int(words[13]) + int(words[14])) / os.sysconf("SC_CLK_TCK")


def fill(server, options):
    connection = server.connect(timeout=600)
    connection.command("CONFIG", "SET", "maxmemory", "0")
    connection.command("DEBUG", "POPULATE", str(options.keys), "key", str(options.bytes))
    connection.command("BGREWRITEAOF")
    while server.info()["checkpoints"] == "0":
        time.sleep(0.2)
    return connection


def backups(start, options):
    with start() as server:
        connection = fill(server, options)
        writers = [Writer(server, options.keys, "x" * options.bytes) for _ in range(CLIENTS)]
        for writer in writers:
            writer.start()
        time.sleep(4)
        seconds = []
        for _ in range(BACKUPS):
            for writer in writers:
                writer.during = True
            begun = time.perf_counter()
            reply = connection.command("BACKUP")
            seconds.append(time.perf_counter() - begun)
            for writer in writers:
                writer.during = False
            print("backup: %.3f s, %d MB" % (seconds[-1], reply.value[5].value / 1e6))
            time.sleep(1)
        for writer in writers:
            writer.go_on = False
            writer.join()
        print("backup: median %.3f s" % sorted(seconds)[len(seconds) // 2])
        for during in (False, True):
            times = sorted(one for writer in writers for one in writer.times[during])
            print("SET %s: p50 %.3f ms, p99 %.3f ms, longest %.1f ms of %d" % (
                "meanwhile" if during else "without", 1e3 * times[len(times) // 2], 1e3 * times[len(times) * 99 // 100],
                1e3 * times[-1], len(times)))


def saves(start, options):
    with start("--maxmemory", COLD_MEMORY) as server:
        connection = fill(server, options)
        for place in ("in memory", "on disk"):
            if place == "on disk":
                server.crash()
                server.restart()
                connection = server.connect(timeout=60)
                time.sleep(3)
            for _ in range(SAVES):
                begun, cpu = time.perf_counter(), cpu_seconds(server)
                connection.command("BGSAVE")
                while server.info()["rdb_bgsave_in_progress"] == "1":
                    time.sleep(0.02)
                info = server.info()
                print("BGSAVE, data %s: %.2f s, %.2f s of processors, %s resident, %s" % (
                    place, time.perf_counter() - begun, cpu_seconds(server) - cpu, info["used_memory_rss_human"],
                    info["rdb_last_bgsave_status"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=1000)
    options = parser.parse_args()
    binary = servers.find_binary(options.binary)

    def start(*flags):
        return servers.tidegate(binary, "--appendonly", "yes", "--workers", "1", *flags)

    backups(start, options)
    saves(start, options)


if __name__ == "__main__":
    main()
