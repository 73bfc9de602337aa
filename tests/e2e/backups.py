"""Backups: a copy of the data directory, made while clients write, is the data of one moment at or after the request."""

import json
import os
import pathlib
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request

from data_files import tool
from report import eventually
from support import resp

CLIENTS = 3
KEYS = 3000

# Checkpoints are made all the time.
OFTEN = ("--checkpoint-journal-records", "3000")


class Counter(threading.Thread):
    """Counts up: a number of its own, and in one transaction two keys that are always the same."""

    def __init__(self, server, index):
        super().__init__(daemon=True)
        self.connection = server.connect(timeout=30)
        self.index = index
        self.sent = self.acknowledged = 0
        self.go_on = True
        self.failure = None

    def run(self):
        try:
            while self.go_on:
                step = self.sent = self.sent + 1
                commands = (["SET", "number:%d" % self.index, step], ["MULTI"], ["SET", "left:%d" % self.index, step],
                            ["SET", "{other}right:%d" % self.index, step], ["EXEC"],
                            ["SET", "key:%d" % (step % KEYS), "v%d" % step * 40])
                self.connection.send(b"".join(resp.encode_command(list(map(str, words))) for words in commands))
                for _ in commands:
                    self.connection.read(30)
                self.acknowledged = step
        except (resp.Closed, OSError) as failure:
            self.failure = failure


def fields(reply):
    """A map, as RESP2 has it."""
    words = [part.value for part in reply.value]
    return {words[i].decode(): words[i + 1] for i in range(0, len(words), 2)}


def look(start, directory, counters, at_least, at_most):
    """What is wrong with a server on a copy of the backup."""
    wrong = []
    with tempfile.TemporaryDirectory(prefix="tidegate-test-copy-") as folder:
        copy = pathlib.Path(folder) / "data"
        shutil.copytree(directory, copy)
        with start("--appendonly", "yes", "--dir", str(copy)) as server:
            connection = server.connect()
            for counter in counters:
                names = [form % counter.index for form in ("number:%d", "left:%d", "{other}right:%d")]
                number, left, right = (int(part.value or 0) for part in connection.command("MGET", *names).value)
                if left != right:
                    wrong.append("a transaction is there by half: %d, %d" % (left, right))
                if not number - 1 <= left <= number:
                    wrong.append("not of one moment: %d, %d" % (number, left))
                if not at_least[counter.index] <= left or not number <= at_most[counter.index]:
                    wrong.append("%d is not of %d to %d" % (number, at_least[counter.index], at_most[counter.index]))
            connection.command("SET", "goes", "on")
            connection.close()
    return wrong


def backups(report, start):
    with start("--appendonly", "yes", "--workers", "2", *OFTEN) as server:
        connection = server.connect(timeout=60)
        counters = [Counter(server, i) for i in range(CLIENTS)]
        for counter in counters:
            counter.start()
        eventually(lambda: int(server.info()["checkpoints"]) >= 2, 20)
        made = []
        for name in ("first", "second", None):
            at_least = [counter.acknowledged for counter in counters]
            reply = connection.command("BACKUP", *([name] if name else []))
            at_most = [counter.sent for counter in counters]
            if not report.check("BACKUP %s" % (name or "without a name"), reply.kind == "array", reply):
                return
            made.append((fields(reply), at_least, at_most))
            time.sleep(0.2)
        for counter in counters:
            counter.go_on = False
            counter.join()
        report.equal("the clients went on", [counter.failure for counter in counters], [None] * CLIENTS)
        root = pathlib.Path(server.directory) / "backups"
        paths = [pathlib.Path(found["path"].decode()) for found, _, _ in made]
        report.equal("they are in dir", {path.parent for path in paths}, {root})
        report.equal("nothing else is there", sorted(os.listdir(root)), sorted(path.name for path in paths))
        report.check("one is named by the time", len(paths[2].name) == len("20260131-235959"), paths[2])
        for path, (found, at_least, at_most) in zip(paths, made):
            sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
            report.equal("bytes of %s" % path.name, found["bytes"], sum(sizes))
            status, text = tool(server.command[0], "check", path)
            report.check("tidegate check %s" % path.name, status == 0, text)
            report.equal("a server on a copy of %s" % path.name, look(start, path, counters, at_least, at_most), [])
        report.check("they come one after the other", made[0][0]["sequence"] < made[1][0]["sequence"] < made[2][0]["sequence"])
        info = server.info()
        report.equal("INFO", [info["backup_" + name] for name in ("in_progress", "failures", "last_status", "last_sequence")],
                     ["0", "0", "ok", str(made[2][0]["sequence"])])
        report.equal("how many", info["backups"], "3")
        report.check("metrics", "tidegate_backups_total 3" in server.metrics_text())
        server.crash()
        server.restart()
        report.equal("the server itself starts again", int(server.connect().command("GET", "number:0").value), counters[0].acknowledged)


def backup_errors(report, start):
    with start() as server:
        reply = server.connect().command("BACKUP")
        report.equal("without a data directory", reply.value,
                     b"ERR BACKUP copies the data directory, which there is only with appendonly yes")
        report.equal("and over HTTP", post(server, "/backup")[0], 503)
    with start("--appendonly", "yes") as server:
        connection = server.connect(timeout=60)
        connection.command("SET", "k", "v")
        root = pathlib.Path(server.directory) / "backups"
        for name in ("", ".", "..", ".hidden", "a/b", "/tmp/x", "line\nbreak", "x" * 300):
            reply = connection.command("BACKUP", name) if name else connection.command("BACKUP", "a/")
            report.equal("BACKUP %.20r" % name, reply.value, b"ERR Backup failed: the name of a backup must be a plain file name")
        report.check("made nothing", not root.exists())
        (root / ".old.partial" / "store").mkdir(parents=True)
        report.equal("BACKUP one", connection.command("BACKUP", "one").kind, "array")
        report.equal("it sweeps what a crash has left", os.listdir(root), ["one"])
        reply = connection.command("BACKUP", "one")
        report.equal("the same name again", reply.value, b'ERR Backup failed: there is a backup "one" already')
        report.equal("too many arguments", connection.command("BACKUP", "a", "b").value, b"ERR syntax error")
        connection.command("MULTI")
        report.equal("in a transaction", connection.command("BACKUP").value, b"ERR Command not allowed inside a transaction")
        connection.command("DISCARD")
        refused = connection.command("CONFIG", "SET", "backup-dir", "/tmp").value
        report.check("backup-dir stays", refused.endswith(b"can't set immutable config"), refused)
        leaver = server.connect()
        leaver.send(resp.encode_command(["BACKUP", "left"]))
        leaver.close()
        report.check("a client that leaves has it made", eventually(lambda: (root / "left").exists(), 10))
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as folder:
        blocked = pathlib.Path(folder) / "file"
        blocked.write_text("")
        with start("--appendonly", "yes", "--backup-dir", str(blocked / "in")) as server:
            reply = server.connect(timeout=60).command("BACKUP", "x")
            report.check("a directory that cannot be made", reply.value.startswith(b"ERR Backup failed: make directory "), reply)
            report.equal("INFO says so", server.info()["backup_last_status"], "err")
            report.equal("and writes go on", server.connect().command("SET", "k", "v").value, b"OK")


def backup_elsewhere(report, start):
    """Where links cannot be made everything is copied."""
    other = pathlib.Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == pathlib.Path(tempfile.gettempdir()).stat().st_dev:
        return report.skip("another file system", "there is none")
    with tempfile.TemporaryDirectory(prefix="tidegate-test-", dir=other) as folder:
        with start("--appendonly", "yes", "--backup-dir", folder) as server:
            connection = server.connect(timeout=60)
            connection.command("DEBUG", "POPULATE", "20000", "key", "200")
            connection.command("BGREWRITEAOF")
            eventually(lambda: server.info()["checkpoints"] == "1", 20)
            found = fields(connection.command("BACKUP", "copied"))
            report.check("all of it is copied", found["bytes"] > 1_000_000, found)
            copies = [file for file in pathlib.Path(folder).rglob("*.sst")]
            report.check("without links", copies and all(file.stat().st_nlink == 1 for file in copies))
            with start("--appendonly", "yes", "--dir", str(pathlib.Path(folder) / "copied")) as second:
                report.equal("it can be started on as it is", second.connect().command("DBSIZE").value, 20000)


def post(server, path, method="POST", **headers):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (server.admin_port, path), method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def backup_by_http(report, start):
    with start("--appendonly", "yes") as server:
        server.connect().command("SET", "k", "v")
        status, text = post(server, "/backup?name=by%2Dhttp")
        report.equal("POST /backup", status, 200)
        found = json.loads(text)
        report.equal("its path", found["path"], str(pathlib.Path(server.directory) / "backups" / "by-http"))
        report.check("the rest", found["sequence"] == 1 and found["bytes"] > 0 and found["seconds"] > 0, found)
        report.equal("the same name again", post(server, "/backup?name=by-http"),
                     (400, '{"error":"there is a backup \\"by-http\\" already"}\n'))
        report.equal("another name", post(server, "/backup?name=../x")[0], 400)
        report.equal("by GET", post(server, "/backup", method="GET")[0], 405)
        report.equal("from a web page", post(server, "/backup", Origin="http://127.0.0.1:%d" % server.admin_port)[0], 403)
        report.equal("without a name", post(server, "/backup")[0], 200)
        report.equal("two are there", len(os.listdir(pathlib.Path(server.directory) / "backups")), 2)
