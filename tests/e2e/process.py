"""The process: how it ends, what it leaves behind when it crashes, what it shows on its admin port, how much it holds."""

import pathlib
import re
import signal
import tempfile
import time
import urllib.error
import urllib.request

from connections import is_served, resident_bytes
from report import eventually
from support import resp

IDLE_CONNECTIONS = 5000
IDLE_CONNECTION_BYTES_MAX = 3 * 1024


def drain(report, start):
    with start("--workers", "2") as server:
        idle, slow, piped = server.connect(), server.connect(), server.connect()
        idle.command("PING")
        count = 3000
        piped.send(resp.encode_command(["PING"]) * count)
        slow.send(resp.encode_command(["DEBUG", "SLEEP", "0.5"]))
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        report.check("/readyz says 503 meanwhile", eventually(lambda: http_status(server.admin_port, "/readyz") == 503, 0.3))
        report.equal("a request in flight is answered", slow.read(5), resp.Reply("simple", b"OK"))
        report.check("then its connection is closed", slow.wait_closed(5))
        answered = 0
        try:
            while answered < count and piped.read(5).value == b"PONG":
                answered += 1
        except resp.Closed:
            pass
        report.equal("requests that had arrived are answered", answered, count)
        report.check("an idle connection is closed", idle.wait_closed(5))
        report.equal("the exit status is 0", server.process.wait(10), 0)


def shutdown(report, start):
    for sign in (signal.SIGTERM, signal.SIGINT):
        with start() as server:
            started = time.monotonic()
            status = server.stop(sign)
            report.check("%s ends an idle server at once" % sign.name, status == 0 and time.monotonic() - started < 3, status)
    with start() as server:
        connection = server.connect()
        connection.send(resp.encode_command(["SHUTDOWN", "NOSAVE"]))
        report.check("SHUTDOWN NOSAVE closes without a reply", connection.wait_closed(5) and not connection.has_unread())
        report.equal("and ends the server", server.process.wait(10), 0)


def crash_report(report, start):
    with start() as server:
        connection = server.connect()
        connection.command("SET", "before", "the crash")
        connection.send(resp.encode_command(["DEBUG", "SEGFAULT"]))
        report.check("DEBUG SEGFAULT ends the server", eventually(lambda: not server.alive, 10))
        report.equal("by its signal", server.process.wait(10), -signal.SIGSEGV)
        text = server.log_text()
        for name, pattern in (("a beginning and an end", r"BUG REPORT START.*BUG REPORT END"), ("the signal", r"signal: 11|SIGSEGV"),
                              ("a stack", r"STACK TRACE"), ("the command", r"(?i)segfault"), ("INFO", r"redis_version:")):
            report.check("the report has " + name, re.search(pattern, text, re.DOTALL), text[-2000:])


def admin(report, start):
    with start() as server:
        connection = server.connect()
        for _ in range(10):
            connection.command("GET", "missing")
        page = server.metrics_text()
        bad = [line for line in page.splitlines() if not is_exposition(line)]
        report.check("/metrics is in Prometheus's text form", not bad, bad[:3])
        names = set(re.findall(r"^([a-z_]+)(?:\{| )", page, re.MULTILINE))
        report.check("/metrics has our metrics", len([n for n in names if n.startswith("tidegate_")]) >= 10, sorted(names))
        typed = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
        helped = set(re.findall(r"^# HELP (\S+) \S", page, re.MULTILINE))
        report.equal("every metric has a help text", typed - helped, set())
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/nosuch", 404)):
            report.equal(path, http_status(server.admin_port, path), status)


def counters(page):
    """{series: value} of the counters and the histograms of a scrape."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)", page, re.MULTILINE))
    found = {}
    for series, name, value in re.findall(r"^(([a-z_]+)(?:\{.*\})?) (\S+)$", page, re.MULTILINE):
        family = name if name in types else re.sub(r"_(bucket|count|sum)$", "", name)
        if types[family] != "gauge":
            found[series] = float(value)
    return found


def resetstat(report, start):
    with start() as server:
        connection = server.connect()
        for command in ("SET a 1", "GET a", "GET missing", "NOSUCH", "UNLINK a", "SET b 1 PX 1"):
            connection.command(*command.split())
        eventually(lambda: connection.command("GET", "b").value is None, 2)
        before = counters(server.metrics_text())
        for name in ("tidegate_keyspace_hits_total", "tidegate_keys_expired_total", "tidegate_error_replies_total"):
            report.check("%s has counted" % name, before[name] > 0)
        connection.command("CONFIG", "RESETSTAT")
        after = counters(server.metrics_text())
        fallen = [series for series, value in before.items() if after.get(series, -1) < value]
        report.equal("CONFIG RESETSTAT lets no counter of /metrics fall", fallen, [])
        info = server.info()
        report.equal("but those of INFO", (info["keyspace_hits"], info["expired_keys"], info["total_error_replies"]), ("0", "0", "0"))


def reload(report, start):
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder:
        config, log = pathlib.Path(folder) / "redis.conf", pathlib.Path(folder) / "tidegate.log"
        config.write_text("slowlog-max-len 5\nlogfile %s\n" % log)
        with start(files=[config]) as server:
            connection = server.connect()
            slowlog_max_len = lambda: connection.command("CONFIG", "GET", "slowlog-max-len").value[-1].value  # noqa: E731
            report.equal("the file is read", slowlog_max_len(), b"5")
            config.write_text("slowlog-max-len 6\ndatabases 3\nlogfile %s\n" % log)
            log.rename(log.with_suffix(".1"))
            server.process.send_signal(signal.SIGHUP)
            report.check("SIGHUP reads it again", eventually(lambda: slowlog_max_len() == b"6", 3), slowlog_max_len())
            report.check("and opens the log file again", eventually(lambda: log.exists() and "databases" in log.read_text(), 3))
            config.write_text("slowlog-max-len 7\nmaxmemry 1gb\n")
            server.process.send_signal(signal.SIGHUP)
            report.check("a mistake is logged", eventually(lambda: "did you mean 'maxmemory'" in log.read_text(), 3))
            report.equal("and changes nothing", slowlog_max_len(), b"6")
            report.equal("and nobody is disconnected", connection.command("PING").value, b"PONG")


    with start(files=["-"]) as server:
        connection = server.connect()
        connection.command("CONFIG", "SET", "slowlog-max-len", "9")
        server.process.send_signal(signal.SIGHUP)
        said = eventually(lambda: "standard input, which cannot be read again" in server.log_text(), 3)
        report.check("settings from standard input are not read again", said, server.log_text())
        report.equal("and stay as they are", connection.command("CONFIG", "GET", "slowlog-max-len").value[-1].value, b"9")


def is_exposition(line):
    number = r"(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|Nan|NaN)"
    label = r'[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"'
    sample = r"[a-zA-Z_:][\w:]*(?:\{%s(?:,%s)*,?\})? %s" % (label, label, number)
    return not line or line.startswith("# ") or re.fullmatch(sample, line) is not None


def http_status(port, path):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def idle_connections(report, start):
    with start("--workers", "2", "--maxclients", str(IDLE_CONNECTIONS + 100)) as server:
        warm = [server.connect() for _ in range(50)]
        for connection in warm:
            connection.command("PING")
        before = resident_bytes(server)
        connections = []
        try:
            for _ in range(IDLE_CONNECTIONS):
                connections.append(server.connect())
            answered = sum(c.command("PING").value == b"PONG" for c in connections)
            report.equal("%d connections are answered" % IDLE_CONNECTIONS, answered, IDLE_CONNECTIONS)
            each = (resident_bytes(server) - before) / IDLE_CONNECTIONS
            if server.kind == "tidegate":
                report.check("each takes at most %d bytes when idle" % IDLE_CONNECTION_BYTES_MAX,
                             each <= IDLE_CONNECTION_BYTES_MAX, each)
            report.check("connected_clients counts them",
                         int(server.info()["connected_clients"]) >= IDLE_CONNECTIONS + 50)
            report.check("one more is served", is_served(server))
        finally:
            for connection in connections:
                connection.close()
        report.check("all are gone after they left",
                     eventually(lambda: int(server.info()["connected_clients"]) <= 60, 5))
