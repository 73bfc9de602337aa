#!/usr/bin/env python3
"""What durability costs: processor time per SET with and without it, beside redis-server, and throughput with always.

usage: durability.py [--binary build/release/tidegate] [--rounds 5] [--workers 1] [--requests 1500000]

cpu: SET at pipeline 16 over 50 connections, 100,000 keys; user and system time of the whole process (all threads, so the
journal's too) per request, for appendonly no, everysec, and Redis with everysec. Servers run one at a time, in turn, and
may use all processors: the load shares them, which processor time does not see much of. always: requests per second of 50
clients without pipelining. Also prints how late the journal's writer was. Not a test: it judges nothing.
"""
import argparse
import shutil
import statistics
import subprocess
import tempfile

from bench_server import Server

MODES = {
    "tidegate none": ("tidegate", "no", "everysec"),
    "tidegate everysec": ("tidegate", "yes", "everysec"),
    "redis none": ("redis", "no", "everysec"),
    "redis everysec": ("redis", "yes", "everysec"),
}
ALWAYS = {
    "tidegate always": ("tidegate", "yes", "always"),
    "redis always": ("redis", "yes", "always"),
}


def benchmark(server, requests, *options):
    out = subprocess.run(["redis-benchmark", "-p", str(server.port), "-q", "-c", "50", "-r", "100000", "-n", str(requests),
                          *options, "SET", "key:__rand_int__", "xxx"],
                         check=True, capture_output=True, text=True, timeout=600).stdout
    return float(out.replace("\r", "\n").split(" requests per second")[0].split()[-1])


def lag_us(server):
    server.socket.sendall(b"INFO persistence\r\n")
    text = server.socket.recv(1 << 16).decode()
    return {line.split(":")[0]: int(line.split(":")[1]) for line in text.splitlines() if line.startswith("journal_lag")}


class Fresh:
    """A started server with an empty directory, both gone afterwards."""

    def __init__(self, options, kind, appendonly, fsync):
        self.directory = tempfile.mkdtemp(prefix="tidegate-durability-")
        self.argv = [options.binary, "--admin-address", "off", "--workers", str(options.workers)] \
            if kind == "tidegate" else ["redis-server", "--save", ""]
        self.argv += ["--port", "{port}", "--dir", "{dir}", "--appendonly", appendonly, "--appendfsync", fsync]
        if kind == "redis":
            self.argv += ["--auto-aof-rewrite-percentage", "0"]

    def __enter__(self):
        self.server = Server(self.argv, self.directory)
        return self.server

    def __exit__(self, *_):
        self.server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/tidegate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--requests", type=int, default=1_500_000)
    options = parser.parse_args()
    cpu = {name: [] for name in MODES}
    rates = {name: [] for name in ALWAYS}
    lags = []
    for _ in range(options.rounds):
        for name, mode in MODES.items():
            with Fresh(options, *mode) as server:
                benchmark(server, options.requests // 10, "-P", "16")
                before = server.cpu_seconds()
                benchmark(server, options.requests, "-P", "16")
                cpu[name].append((server.cpu_seconds() - before) / options.requests * 1e6)
                if name == "tidegate everysec":
                    lags.append(lag_us(server))
        for name, mode in ALWAYS.items():
            with Fresh(options, *mode) as server:
                rates[name].append(benchmark(server, 20_000))
    for name, values in cpu.items():
        print(f"{name:20} CPU us/SET {statistics.median(values):6.3f} [{min(values):.3f}-{max(values):.3f}]")
    for name, base in (("tidegate everysec", "tidegate none"), ("redis everysec", "redis none"),
                       ("tidegate everysec", "redis everysec")):
        ratios = [a / b for a, b in zip(cpu[name], cpu[base])]
        print(f"{name} / {base}: {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")
    for name, values in rates.items():
        print(f"{name:20} {statistics.median(values):9.0f} requests/s [{min(values):.0f}-{max(values):.0f}]")
    print("lag of the journal's writer, us:", lags)


if __name__ == "__main__":
    main()
