"""Snapshots that are written while clients go on: BGSAVE, save points, and what becomes of a failure."""

import os
import pathlib
import shutil
import tempfile
import threading

from report import eventually
from support import resp, servers

PAIRS = 200
STILL = 3000


class Writers:
    """Connections that increment both keys of a pair in one transaction, and change other things, until stopped."""

    def __init__(self, server, count=2):
        self.stopping = False
        self.rounds = 0
        self.threads = [threading.Thread(target=self.run, args=(server.connect(timeout=30), i)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, connection, index):
        step = 0
        while not self.stopping:
            pair = (step * 7 + index) % PAIRS
            commands = [["MULTI"], ["INCR", "left:%d" % pair], ["INCR", "right:%d" % pair],
                        ["HINCRBY", "hash", "field:%d" % pair, "1"], ["ZINCRBY", "zset", "1", "member:%d" % pair], ["EXEC"],
                        ["SET", "gone:%d" % step, "x" * 100], ["DEL", "gone:%d" % (step - 50)],
                        ["RPUSH", "list", "element:%d" % step]]
            connection.send(b"".join(resp.encode_command(command) for command in commands))
            for _ in commands:
                connection.read(30)
            step += 1
            self.rounds += 1

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def saved(server, at_least):
    info = server.info()
    return info["rdb_bgsave_in_progress"] == "0" and int(info["rdb_saves"]) >= at_least


def point_in_time(report, start):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-data-"))
    try:
        with start("--dir", folder, "--workers", "2") as server:
            connection = server.connect(timeout=30)
            for i in range(0, STILL, 100):
                connection.command("MSET", *[word for k in range(i, i + 100) for word in ("still:%d" % k, "value:%d" % k)])
            connection.command("SADD", "members", *["member:%d" % i for i in range(2000)])
            writers = Writers(server)
            eventually(lambda: writers.rounds > 100, 20)
            for attempt in range(1, 4):
                report.equal("BGSAVE", connection.command("BGSAVE").value, b"Background saving started")
                report.check("it ends", eventually(lambda n=attempt: saved(server, n), 30))
            writers.stop()
            report.equal("its status", server.info()["rdb_last_bgsave_status"], "ok")
        with servers.redis_server("--dir", folder) as server:
            connection = server.connect(timeout=30)
            values = [connection.command("MGET", *["%s:%d" % (side, i) for i in range(PAIRS)]).value
                      for side in ("left", "right")]
            left, right = [[reply.value for reply in replies] for replies in values]
            report.equal("redis-server loads it: both keys of all pairs are of one moment", left, right)
            scores = [connection.command("ZSCORE", "zset", "member:%d" % i).value for i in range(PAIRS)]
            fields = [reply.value for reply in connection.command("HMGET", "hash", *["field:%d" % i for i in range(PAIRS)]).value]
            report.equal("and what was done with them to a hash and a sorted set", (fields, scores), (left, left))
            elements = connection.command("LRANGE", "list", "0", "-1").value
            report.check("a list that grew meanwhile", len(elements) > 50, len(elements))
            still = connection.command("MGET", *["still:%d" % i for i in range(STILL)]).value
            report.check("what nobody touched is there", all(reply.value == b"value:%d" % i for i, reply in enumerate(still)))
            report.equal("a set that nobody touched", connection.command("SCARD", "members").value, 2000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_points(report, start):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-data-"))
    data = folder / "data"
    try:
        with start("--dir", data, "--save", "1 5 3600 1") as server:
            connection = server.connect(timeout=30)
            report.equal("CONFIG GET save", [r.value for r in connection.command("CONFIG", "GET", "save").value],
                         [b"save", b"1 5 3600 1"])
            connection.command("MSET", *[word for i in range(10) for word in ("key:%d" % i, "x")])
            report.check("a save point", eventually(lambda: saved(server, 1), 10))
            report.equal("what is new since it", server.info()["rdb_changes_since_last_save"], "0")
            # A directory that is none.
            os.rename(data, folder / "away")
            data.write_text("")
            connection.command("BGSAVE")
            report.check("a snapshot that fails",
                         eventually(lambda: server.info()["rdb_last_bgsave_status"] == "err", 10))
            report.check("refuses writes", connection.command("SET", "a", "1").value.startswith(b"MISCONF Redis is configured"))
            report.equal("not reads", connection.command("GET", "key:1").value, b"x")
            connection.command("MULTI")
            report.check("nor queues them", connection.command("SET", "a", "1").value.startswith(b"MISCONF"))
            report.check("for EXEC", connection.command("EXEC").value.startswith(b"EXECABORT"))
            connection.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
            report.equal("unless told otherwise", connection.command("SET", "a", "1").value, b"OK")
            connection.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
            data.unlink()
            os.rename(folder / "away", data)
            report.check("and goes on by itself when the disk is well",
                         eventually(lambda: connection.command("SET", "a", "2").value == b"OK", 15))
        with start("--dir", data) as server:
            report.equal("with save points the end writes one too", server.connect().command("GET", "a").value, b"2")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
