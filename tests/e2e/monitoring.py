"""Dashboards and alerts, with a real Prometheus that scrapes a Tidegate under load: every query of every dashboard gives data,
every alert's expression is valid and made of metrics that have data, and the alert on a node that is down does fire.
"""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from report import eventually
from support import resp, servers

GRAFANA = servers.ROOT / "grafana"
RULES = GRAFANA / "alerts" / "tidegate.yml"
START_SECONDS_MAX = 30.0
# From the first scrape on: as long as the longest range in a dashboard's query, and some more.
SCRAPED_SECONDS = 15.0
FIRES_SECONDS_MAX = 20.0
RATE_INTERVAL = "6s"


class Prometheus:
    """A context manager: a Prometheus that scrapes one address each second."""

    def __init__(self, admin_port):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-prometheus-"))
        self.port = servers.free_port()
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                  "scrape_configs": [{"job_name": "tidegate", "static_configs": [{"targets": ["127.0.0.1:%d" % admin_port]}]}]}
        # JSON is YAML.
        (self.directory / "prometheus.yml").write_text(json.dumps(config))

    def __enter__(self):
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=%s" % (self.directory / "prometheus.yml"), "--storage.tsdb.path=%s" % (self.directory / "data"),
             "--web.listen-address=127.0.0.1:%d" % self.port, "--log.level=warn"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        if not eventually(self._scrapes, START_SECONDS_MAX):
            text = (self.directory / "log").read_text(errors="replace")
            self.__exit__()
            raise RuntimeError("Prometheus does not scrape: " + text[-1000:])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _scrapes(self):
        try:
            return self.process.poll() is None and any(float(s["value"][1]) == 1 for s in self.query("up"))
        except (OSError, ValueError):
            return False

    def query(self, expression):
        """The series of an instant query. ValueError: it is not valid."""
        return self.api("query?" + urllib.parse.urlencode({"query": expression}))["result"]

    def api(self, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/%s" % (self.port, path), timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(error.read().decode(errors="replace")) from error


@contextlib.contextmanager
def load(server):
    """A bit of everything: hits, misses, mistakes, the upstream."""
    stop = threading.Event()
    commands = [["SET", "a", "1"], ["GET", "a"], ["GET", "missing"], ["INCR", "n"], ["LPUSH", "a", "x"], ["GET"], ["AUTH", "wrong", "password"],
                ["SET", "up:a", "1"], ["GET", "up:a"], ["GET", "up:missing"], ["SET", "brief", "1", "PX", "5"], ["GET", "brief"]]

    def ask():
        while not stop.is_set():
            connection = resp.Connection(server.port, timeout=10.0)
            for _ in range(20):
                for command in commands:
                    connection.command(*command)
            connection.close()
            stop.wait(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def dashboards():
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        yield path.name, json.loads(path.read_text(encoding="utf-8"))


def filled(expression):
    """As Grafana asks when everything is chosen."""
    for name, value in (("$__rate_interval", RATE_INTERVAL), ("$instance", ".*"), ("$cluster", ".*")):
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def alert_rules():
    """(name, expression) of each alert. The file is ours, and simple YAML."""
    rules, name, lines, deep = [], None, None, 0
    for line in RULES.read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        if lines is not None and (indent > deep or not line.strip()):
            lines.append(line.strip())
            continue
        if lines is not None:
            rules.append((name, " ".join(lines)))
            lines = None
        if match := re.match(r"\s*- alert: (\w+)", line):
            name = match.group(1)
        elif match := re.match(r"\s*expr: (.*)", line):
            if match.group(1) == "|":
                lines, deep = [], indent
            else:
                rules.append((name, match.group(1)))
    return rules


def selectors_in(expression):
    return sorted(set(re.findall(r"\b(?:tidegate_[a-z0-9_]+|up)\b(?:\{[^}]*\})?", expression)))


def has_data(series):
    return any(one["value"][1] != "NaN" for one in series)


def monitoring(report, start):
    generated = subprocess.run([sys.executable, str(GRAFANA / "generate.py"), "--check"], capture_output=True, text=True, check=False)
    report.check("the dashboards are those of grafana/generate.py", generated.returncode == 0, generated.stdout)
    checked = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    report.check("promtool takes the alert rules", checked.returncode == 0, checked.stdout + checked.stderr)
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder, servers.redis_server() as upstream:
        config = pathlib.Path(folder) / "monitoring.yaml"
        config.write_text('clusters:\n  - {name: local, kind: engine, maxmemory: 200mb, appendonly: "yes"}\n'
                          '  - {name: cache, kind: redis, nodes: ["127.0.0.1:%d"]}\n'
                          'routes: [{match: "up:*", cluster: cache}, {match: "*", cluster: local}]\n' % upstream.port)
        with start(files=[config]) as server, load(server):
            connection = server.connect()
            connection.command("BGREWRITEAOF")
            connection.close()
            page = server.metrics_text()
            lint = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
            report.check("promtool takes /metrics", lint.returncode == 0, lint.stdout + lint.stderr)
            with Prometheus(server.admin_port) as prometheus:
                time.sleep(SCRAPED_SECONDS)  # what is looked at is what time does
                check_dashboards(report, prometheus)
                check_alerts(report, prometheus)
                upstream.crash()
                breaker = dict(alert_rules())["TidegateNodeBreakerOpen"]
                report.check("the alert on a node that is down fires", eventually(lambda: prometheus.query(breaker), FIRES_SECONDS_MAX))


def check_dashboards(report, prometheus):
    for name, dashboard in dashboards():
        empty = []
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                try:
                    series = prometheus.query(filled(target["expr"]))
                except ValueError as error:
                    empty.append((panel["title"], str(error)))
                    continue
                labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                if not has_data(series) or not all(labels <= set(one["metric"]) for one in series):
                    empty.append((panel["title"], target["expr"]))
        report.equal("%s: queries without data" % name, empty, [])
        for variable in dashboard["templating"]["list"][1:]:
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
            report.check("%s: values for $%s" % (name, variable["name"]), all(label in one["metric"] for one in prometheus.query(filled(metric))))


def check_alerts(report, prometheus):
    rules = alert_rules()
    evaluated = {rule["name"]: rule["health"] for group in prometheus.api("rules")["groups"] for rule in group["rules"]}
    report.equal("Prometheus evaluates the rules", evaluated, {name: "ok" for name, _ in rules})
    for name, expression in rules:
        try:
            prometheus.query(expression)
        except ValueError as error:
            report.check("%s is valid" % name, False, error)
            continue
        missing = [selector for selector in selectors_in(expression) if not has_data(prometheus.query(selector))]
        report.equal("%s: metrics without data" % name, missing, [])
