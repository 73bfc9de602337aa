#!/usr/bin/env python3
"""Plays transcripts against redis-server and against Tidegate; both must answer what the transcript says.

    tests/golden/run.py                         all transcripts, both servers
    tests/golden/run.py strings/set.txt keys    some of them (files or folders)
    tests/golden/run.py --target tidegate --port 6379 [--admin-port 9901]    a server that runs already
    tests/golden/run.py --target upstream       through a Tidegate to a redis-server: those that must play the same there;
                                                --kind says as what kind of cluster Tidegate sees it
    tests/golden/run.py --record strings/new.txt    fill in the replies of redis-server; read them before you commit

Servers are started on free loopback ports with temporary directories, and one is used for many transcripts: between two
of them the data and the statistics are cleared. A transcript with `@@@ server …` gets one of its own.
"""

import argparse
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import notation  # noqa: E402
import transcript as transcripts  # noqa: E402
from support import resp, servers  # noqa: E402

REPLY_SECONDS_MAX = 5.0
CLOSED_SECONDS_MAX = 2.0
NOTHING_SECONDS = 0.06  # how long "(nothing)" listens
METRIC_SECONDS_MAX = 1.0
FAILURES_SHOWN_MAX = 20


class Player:
    """Plays one transcript on one server and collects what differs."""

    def __init__(self, server, transcript):
        self.server = server
        self.transcript = transcript
        self.clients = {}
        self.current = "A"
        self.failures = []
        self.recorded = {}  # line of the Send -> reply lines, when recording

    def play(self, record=False):
        steps = self.transcript.steps
        index = 0
        try:
            while index < len(steps):
                index = self._step(steps, index, record)
            self._no_reply_left()
        except (resp.Closed, resp.Timeout, resp.ProtocolError, ConnectionError) as error:
            line = steps[min(index, len(steps) - 1)].line
            self._fail(line, "%s %s" % (type(error).__name__, error))
        finally:
            for client in self.clients.values():
                client.close()
        return self.failures

    def client(self):
        if self.current not in self.clients:
            self.clients[self.current] = self.server.connect(timeout=REPLY_SECONDS_MAX)
        return self.clients[self.current]

    def _fail(self, line, message):
        self.failures.append((line, message))

    def _step(self, steps, index, record):
        """Plays the step at `index`; returns the index of the next one to play."""
        step = steps[index]
        if isinstance(step, transcripts.Directive):
            if step.word == "only" and not step.argument.startswith(self.server.kind + ":"):
                return self._end_of_block(steps, index + 1)
            if step.word == "eventually":
                return self._eventually(steps, index, transcripts.seconds(step.argument))
            self._directive(step)
            if record:
                self._record_unasked(steps, index)
            return index + 1
        if isinstance(step, transcripts.Send):
            end = self._end_of_block(steps, index)
            metrics = [s for s in steps[index + 1 : end] if isinstance(s, transcripts.Metric)]
            before = self._read_metrics(metrics)
            self._send(step.data)
            if record and not any(isinstance(s, transcripts.Receive) for s in steps[index + 1 : end]):
                self._record(step, followed_by_send=self._is_pipelined(steps, end))
            for follow in steps[index + 1 : end]:
                if isinstance(follow, transcripts.Receive):
                    self._receive(follow)
            self._check_metrics(metrics, before)
            return end
        if isinstance(step, transcripts.Receive):
            self._receive(step)
        return index + 1

    @staticmethod
    def _end_of_block(steps, index):
        """A block is one Send with the replies and metrics directly behind it."""
        index += 1
        while index < len(steps) and isinstance(steps[index], (transcripts.Receive, transcripts.Metric)):
            index += 1
        return index

    @staticmethod
    def _is_pipelined(steps, end):
        return end < len(steps) and isinstance(steps[end], transcripts.Directive) and steps[end].word == "closed"

    def _send(self, data):
        try:
            self.client().send(data)
        except resp.Closed:
            pass  # what the server said before it closed is still read, and `@@@ closed` checks the rest

    def _receive(self, step, quiet=False):
        """Reads one reply and compares. Returns whether it was as expected."""
        if step.expect is None:
            if not self.client().has_unread(NOTHING_SECONDS):
                return True
            got = notation.render(self.client().read(REPLY_SECONDS_MAX))
        else:
            reply = self.client().read(REPLY_SECONDS_MAX)
            if notation.matches(step.expect, reply):
                return True
            got = notation.render(reply)
        if not quiet:
            self._fail(step.line, "expected %s\n           got %s" % (_shorten(step.text), _shorten(got)))
        return False

    def _directive(self, step):
        if step.word == "advance":
            time.sleep(transcripts.seconds(step.argument))
        elif step.word == "client":
            self.current = step.argument
        elif step.word == "close":
            self.clients.pop(self.current).close()
        elif step.word == "closed":
            client = self.client()
            if not client.wait_closed(CLOSED_SECONDS_MAX):
                self._fail(step.line, "the server did not close the connection")
            elif client.has_unread():
                self._fail(step.line, "before it closed, the server sent %s" % notation.render(client.read()))
            client.close()
            del self.clients[self.current]
        elif step.word == "resp":
            reply = self.client().command("HELLO", step.argument)
            if reply.kind == "error":
                self._fail(step.line, notation.render(reply))

    def _eventually(self, steps, index, limit):
        """Plays the next block again and again until every reply fits, the last time for good."""
        block = steps[index + 1 : self._end_of_block(steps, index + 1)]
        deadline = time.monotonic() + limit
        while True:
            last = time.monotonic() >= deadline
            self._send(block[0].data)
            fits = [self._receive(step, quiet=not last) for step in block[1:] if isinstance(step, transcripts.Receive)]
            if all(fits) or last:
                return index + 1 + len(block)
            time.sleep(0.01)

    def _read_metrics(self, steps):
        if not steps or self.server.kind == "upstream":  # counted in two places
            return {}
        info = self.server.info()
        page = None
        values = {}
        for step in steps:
            if not step.name.startswith("tidegate_"):
                values[step.name] = info_value(info, step.name)
            elif self.server.kind == "tidegate":
                page = page or self.server.metrics_text()
                values[step.name] = metric_value(page, step.name)
        return values

    def _check_metrics(self, steps, before):
        """Counters are kept per worker and collected on demand, so a change may take a moment to be seen."""
        deadline = time.monotonic() + METRIC_SECONDS_MAX
        while before:
            after = self._read_metrics(steps)
            wrong = [s for s in steps if s.name in before and after[s.name] - before[s.name] != s.delta]
            if not wrong:
                return
            if time.monotonic() > deadline:
                for step in wrong:
                    self._fail(step.line, "%s changed by %+g, expected %+g"
                               % (step.name, after[step.name] - before[step.name], step.delta))
                return
            time.sleep(0.02)

    def _no_reply_left(self):
        for name, client in self.clients.items():
            if client.has_unread(0.002):
                self._fail(self.transcript.steps[-1].line, "client %s has a reply that the transcript does not mention: %s"
                           % (name, _shorten(notation.render(client.read()))))

    def _unread_lines(self):
        lines = []
        while self.client().has_unread(NOTHING_SECONDS):
            lines.append("<<< " + notation.render(self.client().read(REPLY_SECONDS_MAX)))
        return lines

    def _record_unasked(self, steps, index):
        """What came for a client while another one was at work."""
        step = steps[index]
        followed = index + 1 < len(steps) and isinstance(steps[index + 1], transcripts.Receive)
        if step.word == "client" and not followed and self.current in self.clients:
            self.recorded[step.line] = self._unread_lines()

    def _record(self, step, followed_by_send):
        """Every reply that comes: at least one for a command, and what follows in a short time."""
        lines = []
        try:
            if not step.text.startswith("raw:"):
                lines.append("<<< " + notation.render(self.client().read(REPLY_SECONDS_MAX)))
            lines += self._unread_lines()
        except (resp.Closed, resp.Timeout):
            pass
        if self.client().closed and not followed_by_send:
            lines.append("@@@ closed")
            self.clients.pop(self.current).close()
        self.recorded[step.line] = lines or ["<<< (nothing)"]


def info_value(info, name):
    """keyspace_hits, or cmdstat_get.calls for a part of a field. A field that is not there counts as 0."""
    field, _, part = name.partition(".")
    text = info.get(field, "0")
    if part:
        text = dict(piece.split("=", 1) for piece in text.split(",") if "=" in piece).get(part, "0")
    return float(text)


def metric_value(page, name):
    """Sum of all series of a metric; name{label="value"} takes those with these labels."""
    base, _, labels = name.partition("{")
    wanted = re.findall(r'(\w+)="([^"]*)"', labels)
    total = 0.0
    for line in page.splitlines():
        match = re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", line)
        if match and match.group(1) == base:
            have = re.findall(r'(\w+)="([^"]*)"', match.group(2) or "")
            if all(pair in have for pair in wanted):
                total += float(match.group(3))
    return total


def _shorten(text):
    return text if len(text) <= 400 else text[:300] + " … " + text[-80:]


class Target:
    """One kind of server, started when the first transcript needs it and used for the next ones too."""

    def __init__(self, kind, make_server, owned):
        self.kind = kind
        self.make_server = make_server
        self.owned = owned
        self.shared = None

    def play(self, transcript):
        """Failures of the transcript on this kind of server, or None when it is not for it."""
        if transcript.only not in (None, self.kind):
            return None
        if transcript.flags is not None:
            if not self.owned:
                return None
            with self.make_server(*transcript.flags) as server:
                return self._play_on(server, transcript)
        if self.shared is None:
            self.shared = self.make_server().__enter__()
        self._clear()
        failures = self._play_on(self.shared, transcript)
        if failures:
            self.stop()  # what a broken run left behind must not reach the next one
        return failures

    def _play_on(self, server, transcript):
        failures = Player(server, transcript).play()
        if not server.alive:
            failures.append((0, "the server died\n" + server.log_text()[-3000:]))
        return failures

    def _clear(self):
        connection = self.shared.connect()
        connection.command("FLUSHALL")
        connection.command("CONFIG", "RESETSTAT")
        connection.close()

    def stop(self):
        if self.shared is not None:
            self.shared.__exit__(None, None, None)
            self.shared = None


def find_files(arguments):
    paths = []
    for argument in arguments or [str(HERE)]:
        path = next((p for p in (pathlib.Path(argument), HERE / argument) if p.exists()), None)
        if path is None:
            sys.exit("no such transcript: " + argument)
        paths += sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    return paths


# What plays the same through an upstream. The others are about the server itself, or set something in the engine.
UPSTREAM_FOLDERS = ("hashes", "lists", "sorted_sets", "streams", "strings", "transactions", "pubsub")
UPSTREAM_NOT = (
    "hashes/encoding.txt", "sorted_sets/encoding.txt", "streams/info.txt",  # CONFIG SET is the engine's
    "pubsub/new_keys.txt", "pubsub/notifications.txt",  # and so are its notifications
    "pubsub/resp3.txt",  # replies and messages come over two connections
    "transactions/multi.txt", "transactions/watch.txt",  # SELECT in a transaction, and while keys are watched
)


# Patterns are refused on any ring.
RING_NOT = ("pubsub/channels.txt", "pubsub/reply_off.txt")


def upstream_files(kind):
    left_out = UPSTREAM_NOT + (RING_NOT if kind == "ring" else ())
    return [path for path in find_files(UPSTREAM_FOLDERS) if name_of(path) not in left_out]


def make_targets(options):
    targets = []
    if options.target in ("redis", "both"):
        make = (lambda *_: servers.running("redis", options.redis_port)) if options.redis_port else servers.redis_server
        targets.append(Target("redis", make, owned=not options.redis_port))
    if options.target in ("tidegate", "both"):
        binary = servers.find_binary(options.binary)
        if options.port:
            targets.append(Target("tidegate", lambda *_: servers.running("tidegate", options.port, options.admin_port),
                                  owned=False))
        elif binary:
            targets.append(Target("tidegate", lambda *flags: servers.tidegate(binary, *flags), owned=True))
        else:
            sys.exit("no Tidegate binary: build one, or name it with --binary, or say --target redis")
    if options.target == "upstream":
        binary = servers.find_binary(options.binary) or sys.exit("no Tidegate binary: build one, or name it with --binary")
        replicas = 1 if options.kind == "replicas" else 0
        targets.append(Target("upstream", lambda *flags: servers.Proxied(binary, *flags, kind=options.kind, replicas=replicas), owned=True))
    return targets


def record(path):
    transcript = transcripts.load(path)
    with servers.redis_server(*(transcript.flags or [])) as server:
        player = Player(server, transcript)
        for line, message in player.play(record=True):
            print("%s:%d: %s" % (path, line, message))
    lines = []
    for number, line in enumerate(transcript.lines, start=1):
        lines.append(line)
        lines += player.recorded.get(number, [])
    pathlib.Path(path).write_text("\n".join(lines), encoding="utf-8")
    print("%s: %d replies recorded from redis-server" % (path, len(player.recorded)))


def name_of(path):
    path = path.resolve()
    return str(path.relative_to(HERE)) if HERE in path.parents else str(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="transcripts or folders of them; all when none is named")
    parser.add_argument("--target", choices=["redis", "tidegate", "both", "upstream"], default="both")
    parser.add_argument("--kind", choices=["redis", "replicas", "ring"], default="redis", help="of the upstream cluster")
    parser.add_argument("--binary", help="the Tidegate to start; default: build/release, then build/dev")
    parser.add_argument("--port", type=int, help="a Tidegate that runs already")
    parser.add_argument("--admin-port", type=int, help="its admin port")
    parser.add_argument("--redis-port", type=int, help="a redis-server that runs already")
    parser.add_argument("--record", action="store_true", help="write the replies of redis-server into the files")
    options = parser.parse_args()
    paths = upstream_files(options.kind) if options.target == "upstream" and not options.files else find_files(options.files)
    if options.record:
        for path in paths:
            record(path)
        return 0
    passed = failed = 0
    targets = make_targets(options)
    try:
        for path in paths:
            for target in targets:
                failures = play_file(path, target)
                passed += failures == []
                failed += bool(failures)
    finally:
        for target in targets:
            target.stop()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


def play_file(path, target):
    try:
        failures = target.play(transcripts.load(path))
    except transcripts.TranscriptError as error:
        failures = [(error.line, str(error))]
    if failures is None:
        print("skip %-8s %s" % (target.kind, name_of(path)))
        return None
    print("%-4s %-8s %s" % ("FAIL" if failures else "ok", target.kind, name_of(path)), flush=True)
    for line, message in failures[:FAILURES_SHOWN_MAX]:
        print("     %s:%d: %s" % (name_of(path), line, message))
    if len(failures) > FAILURES_SHOWN_MAX:
        print("     … and %d more" % (len(failures) - FAILURES_SHOWN_MAX))
    return failures


if __name__ == "__main__":
    sys.exit(main())
