"""Starts redis-server and Tidegate for tests: free loopback ports, a temporary directory each, stopped by pid.

Use as a context manager; whatever happens, the process is gone and the directory removed at the end. The server's own
output is kept in <dir>/server.log and shown when it does not come up.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from support import resp

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 10.0


def free_port():
    """A port that nobody listens on now. Another process may take it before we do; callers start again then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_named_binary = None


def find_binary(name=None):
    """The Tidegate to test: the one named, now or before, else the release build, else the dev build. None when there is none."""
    global _named_binary
    _named_binary = name or _named_binary
    candidates = [pathlib.Path(_named_binary)] if _named_binary else [ROOT / "build" / kind / "tidegate" for kind in ("release", "dev")]
    for path in candidates:
        if os.access(path, os.X_OK):
            return path
    return None


class Server:
    """A server process of ours, or (port given, command None) one that runs already."""

    def __init__(self, kind, command, port, admin_port=None, directory=None, bare_ping=True):
        self.bare_ping = bare_ping  # False: the port wants something before RESP; that it listens is enough
        self.kind = kind
        self.command = command
        self.port = port
        self.admin_port = admin_port
        self.directory = directory
        self.process = None

    def __enter__(self):
        if self.command is None:
            return self
        self.log = open(pathlib.Path(self.directory) / "server.log", "ab")
        self.process = subprocess.Popen(self.command, cwd=self.directory, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                connection = resp.Connection(self.port, timeout=1.0)
                try:
                    if not self.bare_ping or not _is_loading(connection.command("PING")):
                        return self
                finally:
                    connection.close()
            except (OSError, resp.Closed, resp.Timeout):
                pass
            time.sleep(0.01)
        text = self.log_text()
        self.__exit__(None, None, None)
        raise RuntimeError("%s did not start: %s\n%s" % (self.kind, " ".join(map(str, self.command)), text))

    def __exit__(self, *_):
        if self.process is not None:
            self.stop()
            self.log.close()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self, sign=signal.SIGTERM):
        """Ends the process and returns its exit status; a server that ignores the signal is killed."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def crash(self):
        """kill -9: nothing is written after this."""
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)

    def restart(self):
        """Starts the process again, which must have ended, in the same directory and on the same port."""
        self.log.close()
        self.__enter__()

    @property
    def alive(self):
        return self.process is None or self.process.poll() is None

    def connect(self, **options):
        return resp.Connection(self.port, **options)

    def log_text(self):
        return (pathlib.Path(self.directory) / "server.log").read_text(errors="replace") if self.directory else ""

    def info(self):
        """INFO everything as {field: text}."""
        connection = self.connect()
        try:
            text = connection.command("INFO", "everything").value.decode()
        finally:
            connection.close()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def metrics_text(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.admin_port, timeout=5) as answer:
            return answer.read().decode()


def redis_server(*flags, **settings):
    directory = tempfile.mkdtemp(prefix="tidegate-test-redis-")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory,
               "--enable-debug-command", "yes", *flags]
    return Server("redis", command, port, directory=directory, **settings)


def tidegate(binary, *flags, files=(), **settings):
    """`files`: configurations to read before the flags."""
    directory = tempfile.mkdtemp(prefix="tidegate-test-")
    port = free_port()
    admin_port = free_port()
    command = [str(pathlib.Path(binary).resolve()), *map(str, files), "--port", str(port), "--bind", "127.0.0.1", "--dir", directory,
               "--admin-address", "127.0.0.1:%d" % admin_port, "--enable-debug-command", "yes", *flags]
    return Server("tidegate", command, port, admin_port=admin_port, directory=directory, **settings)


class Proxied(Server):
    """A Tidegate in front of redis-servers of its own; all end with it. `replicas`: behind the first one."""

    def __init__(self, binary, *flags, kind="redis", replicas=0):
        self.upstream = redis_server()
        self.replicas = [redis_server("--replicaof", "127.0.0.1 %d" % self.upstream.port) for _ in range(replicas)]
        inner = tidegate(binary, *flags)
        config = pathlib.Path(inner.directory) / "upstream.yaml"
        nodes = ", ".join('"127.0.0.1:%d"' % node.port for node in [self.upstream, *self.replicas])
        config.write_text('clusters:\n  - {name: cache, kind: %s, nodes: [%s]}\n'
                          'routes: [{match: "*", cluster: cache}]\n' % (kind, nodes))
        command = [inner.command[0], str(config), *inner.command[1:]]
        super().__init__("upstream", command, inner.port, admin_port=inner.admin_port, directory=inner.directory)

    def __enter__(self):
        for node in [self.upstream, *self.replicas]:
            node.__enter__()
        super().__enter__()
        self.wait_for_primary()
        return self

    def __exit__(self, *_):
        super().__exit__()
        for node in [*self.replicas, self.upstream]:
            node.__exit__()

    def wait_for_primary(self):
        """Until each of its workers knows where writes go."""
        deadline = time.monotonic() + START_SECONDS_MAX
        in_a_row = 0
        while in_a_row < 20 and time.monotonic() < deadline:
            connection = self.connect()
            in_a_row = in_a_row + 1 if connection.command("DEL", "none").kind == "integer" else 0
            connection.close()


def running(kind, port, admin_port=None):
    return Server(kind, None, port, admin_port=admin_port)


def _is_loading(reply):
    return reply.kind == "error" and reply.value.startswith(b"LOADING")
