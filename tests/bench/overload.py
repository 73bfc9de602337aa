#!/usr/bin/env python3
"""Goodput under overload: replies that come within a client's patience, while more and more is asked for.

    tests/bench/overload.py                          build/release/tidegate if it is there, else build/dev/tidegate
    tests/bench/overload.py --seconds 5 --patience 100 --shedding off
    tests/bench/overload.py --load closed            as many connections ask again as soon as they have a reply
    tests/bench/overload.py --max-in-flight 16       of a redis-server behind a route

Requests (SORT of a list of --elements elements) are due at fixed times, whatever becomes of those before them: an open load, as many
users make it. They are spread over many connections, each of which has one request under way; one that is due while all connections
wait counts as asked and not served, as it would in an application whose pool is empty. First the most that the server can do is
measured, then 0.5 to 10 times as much is asked for. With a closed load all connections ask all the time. The last line says what is
left: served is what was executed, in time what came within the patience as well. On a machine that does other things, too, rates say
little: so each is also given for a second of the server's own processor time, of which a busy server has as much as there is. What is
served in that should be 90 % of the peak's or more.
"""

import argparse
import collections
import os
import pathlib
import selectors
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from support import resp, servers  # noqa: E402

CONNECTIONS = 1000
STEPS = (0.5, 1, 2, 5, 10)


class Load:
    """Connections that ask one thing, and count what comes back."""

    def __init__(self, server, request, whole_bytes, patience, connections):
        self.request, self.whole_bytes, self.patience = request, whole_bytes, patience
        self.selector = selectors.DefaultSelector()
        self.idle = collections.deque()
        for _ in range(connections):
            connection = server.connect(timeout=30).socket
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ)
            self.idle.append(connection)
        self.due = {}
        self.got = collections.Counter()
        self.closed = False  # a connection that has its reply asks again at once
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
            if self.closed:
                self.ask(time.monotonic())

    def settle(self):
        """Whatever is under way comes, and counts no more."""
        self.closed = False
        deadline = time.monotonic() + 60
        while self.due and time.monotonic() < deadline:
            self.collect(0.1)

    def run_closed(self, seconds):
        """All connections ask all the time."""
        begin = time.monotonic()
        self.closed = True
        while self.idle:
            self.ask(time.monotonic())
        self.good = self.late = self.refused = 0
        while time.monotonic() - begin < seconds:
            self.collect(0.01)

    def run(self, rate, seconds):
        """Requests are due at that rate."""
        begin = time.monotonic()
        asked = 0
        while (now := time.monotonic()) - begin < seconds:
            while asked < (now - begin) * rate:
                self.ask(begin + asked / rate)
                asked += 1
            self.collect(min(begin + asked / rate - time.monotonic(), 0.01))

    def peak(self, seconds):
        """Few at a time, so that each is answered soon."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            while len(self.due) < 8:
                self.ask(time.monotonic())
            self.collect(0.01)


class Measured:
    """What one load brought: in all, and for a second of the server's processor time."""

    def __init__(self, load, processor, run):
        load.good = load.late = load.refused = 0
        begin, processor_begin = time.monotonic(), processor()
        run()
        seconds, processor_seconds = time.monotonic() - begin, processor() - processor_begin
        served = load.good + load.late
        self.rates = tuple(count / seconds for count in (served, load.good, load.refused))
        self.each = served / processor_seconds
        load.settle()

    def show(self, what, peak_each):
        print("%-18s served %6.0f/s, of these in time %6.0f/s, refused %6.0f/s; served in a second of processor time %6.0f (%3.0f %% of the peak's)" % (
            what, *self.rates, self.each, 100 * self.each / peak_each), flush=True)


def processor_of(pid):
    """What the process has used until now, in seconds."""
    def read():
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return read


def measure(server, arguments, busy=None):
    client = server.connect(timeout=30)
    client.command("RPUSH", "list", *("e%06d" % i for i in range(arguments.elements)))
    # SORT works much and says little: the server is what is busy, not this client.
    request = resp.encode_command(["SORT", "list", "ALPHA", "DESC", "LIMIT", "0", "1"])
    client.send(request)
    client.read(30)
    load = Load(server, request, len(b"*1\r\n$7\r\ne000000\r\n"), arguments.patience / 1000, arguments.connections)
    processor = processor_of(server.process.pid if busy is None else busy)
    peak = Measured(load, processor, lambda: load.peak(arguments.seconds))
    peak.show("peak", peak.each)
    if arguments.load == "closed":
        measured = [("%d connections" % arguments.connections, Measured(load, processor, lambda: load.run_closed(arguments.seconds)))]
    else:
        rate = peak.rates[0]
        measured = [("asked %4.1f x peak" % step, Measured(load, processor, lambda step=step: load.run(rate * step, arguments.seconds))) for step in STEPS]
    again = Measured(load, processor, lambda: load.peak(arguments.seconds))
    again.show("peak again", peak.each)
    for what, result in measured:
        result.show(what, (peak.each + again.each) / 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--patience", type=float, default=100, help="milliseconds")
    parser.add_argument("--elements", type=int, default=5000)
    parser.add_argument("--shedding", default="enforce", choices=("off", "observe", "enforce"))
    parser.add_argument("--load", default="open", choices=("open", "closed"))
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--max-in-flight", type=int, help="at a redis-server, which serves instead of the engine")
    parser.add_argument("--wait", default="40ms", help="load-shedding-wait")
    arguments = parser.parse_args()
    flags = ("--workers", "1", "--load-shedding", arguments.shedding, "--load-shedding-wait", arguments.wait)
    binary = arguments.binary or servers.find_binary()
    if not arguments.max_in_flight:
        with servers.tidegate(binary, *flags) as server:
            return measure(server, arguments)
    with servers.redis_server() as redis, tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write('clusters:\n  - {name: cache, kind: redis, nodes: ["127.0.0.1:%d"], max-in-flight: %d}\n' % (redis.port, arguments.max_in_flight))
        config.write('routes: [{match: "*", cluster: cache}]\n')
        config.flush()
        with servers.tidegate(binary, *flags, files=[config.name]) as server:
            measure(server, arguments, redis.process.pid)


if __name__ == "__main__":
    main()
