#!/usr/bin/env python3
"""Goodput under overload: replies that come within a client's patience, while more and more is asked for.

    tests/bench/overload.py                          build/release/tidegate if it is there, else build/dev/tidegate
    tests/bench/overload.py --seconds 5 --patience 100 --shedding off

Requests (SORT of a list of --elements elements) are due at fixed times, whatever becomes of those before them: an open load, as many
users make it. They are spread over many connections, each of which has one request under way; one that is due while all connections
wait counts as asked and not served, as it would in an application whose pool is empty. First the most that the server can do is
measured, then 0.5 to 10 times as much is asked for. The last line says what is left at 10 times: it should be 90 % of the peak or more.
"""

import argparse
import collections
import pathlib
import selectors
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from support import resp, servers  # noqa: E402

CONNECTIONS = 400
STEPS = (0.5, 1, 2, 5, 10)


class Load:
    """Connections that ask one thing, and count what comes back."""

    def __init__(self, server, request, whole_bytes, patience):
        self.request, self.whole_bytes, self.patience = request, whole_bytes, patience
        self.selector = selectors.DefaultSelector()
        self.idle = collections.deque()
        for _ in range(CONNECTIONS):
            connection = server.connect(timeout=30).socket
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)
            self.idle.append(connection)
        self.due = {}
        self.got = collections.Counter()
        self.good = self.late = self.refused = 0

    def ask(self, due):
        if not self.idle:
            return
        connection = self.idle.popleft()
        self.due[connection] = due
        connection.send(self.request)

    def collect(self, wait):
        for key, _ in self.selector.select(max(wait, 0)):
            connection = key.fileobj
            data = connection.recv(1 << 20)
            self.got[connection] += len(data)
            refused = data.startswith(b"-") and data.endswith(b"\r\n")
            if not refused and self.got[connection] < self.whole_bytes:
                continue
            took = time.monotonic() - self.due.pop(connection)
            self.refused += refused
            self.good += not refused and took <= self.patience
            self.late += not refused and took > self.patience
            del self.got[connection]
            self.idle.append(connection)

    def run(self, rate, seconds):
        """Requests a second that were good, late and refused."""
        self.good = self.late = self.refused = 0
        begin = time.monotonic()
        asked = 0
        while (now := time.monotonic()) - begin < seconds:
            while asked < (now - begin) * rate:
                self.ask(begin + asked / rate)
                asked += 1
            self.collect(min(begin + asked / rate - time.monotonic(), 0.01))
        result = (self.good / seconds, self.late / seconds, self.refused / seconds)
        deadline = time.monotonic() + 30
        while self.due and time.monotonic() < deadline:
            self.collect(0.1)
        return result

    def peak(self, seconds):
        """Requests a second with few at a time, so that each is answered soon."""
        begin = time.monotonic()
        self.good = self.late = 0
        while time.monotonic() - begin < seconds:
            while len(self.due) < 8:
                self.ask(time.monotonic())
            self.collect(0.01)
        result = (self.good + self.late) / (time.monotonic() - begin)
        while self.due:
            self.collect(0.1)
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--patience", type=float, default=100, help="milliseconds")
    parser.add_argument("--elements", type=int, default=5000)
    parser.add_argument("--shedding", default="enforce", choices=("off", "observe", "enforce"))
    parser.add_argument("--wait", default="40ms", help="load-shedding-wait")
    arguments = parser.parse_args()
    flags = ("--workers", "1", "--load-shedding", arguments.shedding, "--load-shedding-wait", arguments.wait)
    with servers.tidegate(arguments.binary or servers.find_binary(), *flags) as server:
        client = server.connect(timeout=30)
        client.command("RPUSH", "list", *("e%06d" % i for i in range(arguments.elements)))
        # SORT works much and says little: the server is what is busy, not this client.
        command = ["SORT", "list", "ALPHA", "DESC", "LIMIT", "0", "1"]
        request = resp.encode_command(command)
        client.send(request)
        client.read(30)
        load = Load(server, request, len(b"*1\r\n$7\r\ne000000\r\n"), arguments.patience / 1000)
        peak = load.peak(arguments.seconds)
        print("peak %.0f requests a second" % peak)
        good = 0
        for step in STEPS:
            good, late, refused = load.run(peak * step, arguments.seconds)
            print("asked %4.1f x peak: good %6.0f/s (%3.0f %%), late %6.0f/s, refused %6.0f/s" % (step, good, 100 * good / peak, late, refused), flush=True)
        print("goodput at %d times the load: %.0f %% of the peak" % (STEPS[-1], 100 * good / peak))


if __name__ == "__main__":
    main()
