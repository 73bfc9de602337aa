"""What an operator sees: metrics as promtool and the exporter for Redis read them, the slow log, and the logs."""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.request

from operations import at, reloadable
from report import eventually
from support import resp, servers

EXPORTER = "prometheus-redis-exporter"
SECRET = "a-value-that-nobody-may-see"


def page(server, path):
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (server.admin_port, path), timeout=5) as answer:
        return json.load(answer)


def sample(server, series):
    """The value of a series; None when the page does not have it."""
    for line in server.metrics_text().splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def metrics_page(report, start):
    with servers.redis_server() as redis:
        with reloadable(start, {"cache": at(redis)}, {"far:*": "cache", "*": "local"}) as (server, _):
            connection = server.connect()
            for command in (("SET", "far:a", "1"), ("GET", "far:a"), ("GET", "far:no"), ("MGET", "far:a", "far:b"), ("GET", "near"),
                            ("SET", "near", "x" * 100000), ("GET", "near"), ("PING",), ("EVAL", "return 1", "1", "far:a")):
                connection.command(*command)
            far = '{route="far:*",cluster="cache"}'
            report.equal("requests of a route", sample(server, "tidegate_route_requests_total" + far), 5)
            report.equal("hits of an upstream", sample(server, "tidegate_route_hits_total" + far), 2)
            report.equal("misses of an upstream", sample(server, "tidegate_route_misses_total" + far), 2)
            here = '{route="*",cluster="engine"}'
            report.equal("hits of the engine", sample(server, "tidegate_route_hits_total" + here), 1)
            report.equal("misses of the engine", sample(server, "tidegate_route_misses_total" + here), 1)
            report.equal("times of a route", sample(server, "tidegate_route_request_duration_seconds_count" + far), 5)
            report.equal("times of scripts", sample(server, 'tidegate_request_duration_seconds_count{class="script"}'), 1)
            report.equal("times of reads", sample(server, 'tidegate_request_duration_seconds_count{class="read"}'), 5)
            for what in ("request", "reply"):
                series = "tidegate_%s_size_bytes_bucket{le=" % what
                report.equal("a large " + what, sample(server, series + '"262144"}') - sample(server, series + '"65536"}'), 1)
            routes = {route["route"]: route for route in page(server, "/stats")["routes"]}
            report.equal("the same in /stats", routes["far:*"], {"route": "far:*", "cluster": "cache", "requests": 5, "hits": 2, "misses": 2})
            report.check("timers come in time, and are counted", eventually(lambda: sample(server, 'tidegate_loop_lag_seconds_count{worker="0"}') > 0, 5))
            promtool(report, server)


def promtool(report, server):
    if shutil.which("promtool") is None:
        return report.skip("promtool", "it is not installed")
    checked = subprocess.run(["promtool", "check", "metrics"], input=server.metrics_text(), capture_output=True, text=True, check=False)
    return report.equal("promtool has nothing to say", (checked.returncode, checked.stdout + checked.stderr), (0, ""))


def blocking_time(report, start):
    with start() as server:
        waits, other = server.connect(), server.connect()
        waits.send(resp.encode_command(("BLPOP", "queue", "0")))
        report.check("it waits", eventually(lambda: b"blocked_clients:1" in other.command("INFO", "clients").value, 5))
        other.command("DEBUG", "SLEEP", "0.3")
        other.command("RPUSH", "queue", "1")
        waits.read()
        name = "tidegate_request_duration_seconds"
        report.equal("it is counted", sample(server, name + '_count{class="blocking"}'), 1)
        report.equal("and not its wait", sample(server, name + '_bucket{class="blocking",le="0.1"}'), 1)


@contextlib.contextmanager
def exported(server):
    """What the exporter shows of a server, and its log."""
    port = servers.free_port()
    with tempfile.TemporaryFile("w+") as log:
        command = [EXPORTER, "-redis.addr", "redis://127.0.0.1:%d" % server.port, "-web.listen-address", "127.0.0.1:%d" % port,
                   "-include-system-metrics", "-export-client-list", "-check-single-keys", "a,l", "-check-single-streams", "s"]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            text = []

            def reads():
                with contextlib.suppress(OSError):
                    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=5) as answer:
                        text[:] = [answer.read().decode()]
                return bool(text)

            eventually(reads, 15)
            log.seek(0)
            yield "".join(text), log.read()
        finally:
            process.terminate()
            process.wait()


def names_of(text):
    return {re.split(r"[ {]", line)[0] for line in text.splitlines() if line.startswith("redis_")}


def exporter(report, start):
    if shutil.which(EXPORTER) is None:
        return report.skip("exporter", EXPORTER + " is not installed")

    def use(server):
        connection = server.connect()
        for command in (("SET", "a", "1", "EX", "1000"), ("GET", "a"), ("GET", "no"), ("RPUSH", "l", "1"), ("GET", "l"), ("XADD", "s", "*", "f", "v"),
                        ("CONFIG", "SET", "latency-monitor-threshold", "1"), ("DEBUG", "SLEEP", "0.01")):
            connection.command(*command)
        return exported(server)

    with servers.redis_server() as redis, use(redis) as (text, _):
        expected = names_of(text)
    report.check("the exporter has much to say", len(expected) > 100, len(expected))
    with start() as server, use(server) as (text, log):
        report.equal("of the engine all that it says of redis-server", expected - names_of(text), set())
        report.check("and no error", "level=err" not in log and "level=warn" not in log, log)
    with servers.redis_server() as redis:
        with reloadable(start, {"cache": at(redis)}, {"*": "cache"}) as (server, _), use(server) as (text, log):
            # Keys are the upstream's, so the keyspace of this process has none to be counted.
            report.equal("of an upstream too", {name for name in expected - names_of(text) if "_db_" not in name}, set())
            report.check("and no error there", "level=err" not in log and "level=warn" not in log, log)
    return None


def log_lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def access_log(report, start):
    with servers.redis_server() as redis, tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder:
        path = pathlib.Path(folder) / "access.log"
        with reloadable(start, {"cache": at(redis)}, {"far:*": "cache", "*": "local"}, "--access-log-file", str(path),
                        "--log-format", "json") as (server, _):
            connection = server.connect()
            connection.command("SET", "before", SECRET)
            connection.command("CONFIG", "SET", "access-log-sample", "1")
            connection.command("CLIENT", "SETNAME", "shop")
            connection.command("SET", b"near:\xff\n", SECRET)
            connection.command("SET", "far:" + "k" * 200, SECRET)
            connection.command("INCR", b"near:\xff\n")
            connection.command("GET", "near:" + "k" * 200)
            connection.command("AUTH", SECRET)
            connection.command("CONFIG", "SET", "requirepass", "")
            connection.command("NOSUCH" + SECRET, "x")
            connection.command("GET", "near:1", "near:2")
            connection.command("CONFIG", "SET", "access-log-sample", "0")
            connection.command("SET", "after", SECRET)
            text = path.read_text(encoding="utf-8")
            lines = log_lines(path)
            report.check("no value, no password", SECRET not in text, text)
            report.check("nothing while it is off", "before" not in text and "after" not in text, text)
            by_command = {}
            for line in lines:
                by_command.setdefault((line["command"], line.get("cluster")), line)
            near = by_command["set", "engine"]
            report.equal("key, client, route", (near["key"], near["client_name"], near["route"]), ("near:\\xff\\x0a", "shop", "*"))
            report.check("sizes and time", near["request_bytes"] == 3 + 7 + len(SECRET) and near["reply_bytes"] == 5 and near["duration_us"] >= 0, near)
            far = by_command["set", "cache"]
            report.equal("node", (far["node"], far["route"]), ("127.0.0.1:%d" % redis.port, "far:*"))
            report.check("a key is cut", far["key"].startswith("far:kkk") and far["key"].endswith("more bytes)"), far)
            report.equal("and here too", by_command["get", "engine"]["key"], "near:" + "k" * 123 + "... (77 more bytes)")
            report.equal("kind of error", by_command["incr", "engine"].get("error"), "ERR")
            refused = [(line["command"], line["error"]) for line in lines if line["command"] in ("unknown", "get") and "error" in line]
            report.equal("what was refused is there", refused, [("unknown", "ERR"), ("get", "ERR")])
            wrong = connection.command("CONFIG", "SET", "access-log-sample", "2")
            report.check("no such share", b"between 0 and 1" in wrong.value, wrong)


def slow_requests(report, start):
    with servers.redis_server() as redis:
        with reloadable(start, {"cache": at(redis)}, {"far:*": "cache", "*": "local"}, "--log-format", "json",
                        "--slow-request-log-threshold", "100000") as (server, _):
            connection = server.connect()

            def slow():
                lines = [line for line in server.log_text().splitlines() if line.startswith("{")]
                return [json.loads(line) for line in lines if "Slow request" in line]

            connection.command("GET", "far:a")  # the connection is made
            redis.connect().command("CLIENT", "PAUSE", "300", "ALL")
            connection.command("SET", "far:a", SECRET)
            report.check("a slow upstream is told", eventually(lambda: len(slow()) == 1, 5), slow())
            line = slow()[0]
            report.equal("what and where", [line[name] for name in ("command", "key", "route", "cluster", "node")],
                         ["set", "far:a", "far:*", "cache", "127.0.0.1:%d" % redis.port])
            report.check("the upstream took the time", line["upstream_us"] > 100000 > line["waited_us"] >= 0 and line["written_us"] >= 0, line)
            connection.command("DEBUG", "SLEEP", "0.15")
            report.check("and a command that was suspended here", eventually(lambda: len(slow()) == 2, 5), slow())
            report.check("with its time", slow()[1]["command"].startswith("debug") and slow()[1]["waited_us"] >= 100000, slow())
            report.check("no value", SECRET not in server.log_text())
            connection.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
            connection.command("GET", b"far:\xff\n")
            entries = page(server, "/slowlog")["entries"]
            entry = next(entry for entry in entries if entry["command"][0] == "get")
            report.equal("/slowlog has it as text", (entry["command"], entry["node"]), (["get", "far:\\xff\\x0a"], "127.0.0.1:%d" % redis.port))
            report.equal("newest first", [entry["id"] for entry in entries], sorted((entry["id"] for entry in entries), reverse=True))


def log_format(report, start):
    with start("--log-format", "json") as server:
        for line in server.log_text().splitlines():
            entry = json.loads(line)
            report.check("a line is an object: %.40s" % entry["message"], {"time", "level", "pid", "message"} <= set(entry))
        connection = server.connect()
        connection.command("CONFIG", "SET", "log-format", "text")
        connection.command("DEBUG", "LOG", "as text")
        report.check("as redis-server writes it", re.search(r"^\d+:M \d+ \w+ \d+ [\d:.]+ # .*as text$", server.log_text(), re.MULTILINE), server.log_text())
        report.check("no other form", b"must be one of" in connection.command("CONFIG", "SET", "log-format", "xml").value)
