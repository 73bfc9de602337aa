"""RDB and append-only files between Tidegate and the real redis-server, both ways, and the tools for them."""

import csv
import datetime
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from report import eventually
from support import dataset, resp, servers

# Another data set, or a larger one: these in the environment.
SEED = int(os.environ.get("TIDEGATE_SEED", "20231114"))
KEYS = int(os.environ.get("TIDEGATE_KEYS", "300"))
TOOL_SECONDS_MAX = 60


class Folder:
    """A directory for data files, gone at the end."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-data-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def fill(server, seed=SEED, keys=KEYS):
    """Sends a data set and returns the first error, or None."""
    connection = server.connect(timeout=30)
    words = dataset.commands(seed, keys)
    for at in range(0, len(words), 200):
        batch = words[at : at + 200]
        connection.send(b"".join(resp.encode_command(command) for command in batch))
        for command in batch:
            reply = connection.read(30)
            if reply.kind == "error":
                return command, reply.value
    return None


def digest(server):
    return server.connect(timeout=30).command("DEBUG", "DIGEST").value


def stream_figures(server):
    """What DEBUG DIGEST of Redis does not see, without what depends on the time of day."""
    connection = server.connect(timeout=30)
    return [without_times(plain(connection.command("XINFO", "STREAM", key, "FULL", "COUNT", "0")))
            for key in ("log", "emptied", "made", "trimmed")]


def plain(reply):
    return [plain(part) for part in reply.value] if isinstance(reply.value, list) else reply.value


def without_times(value):
    """Without when a consumer was seen and an entry delivered, which an append-only file does not keep exactly."""
    if not isinstance(value, list):
        return value
    kept, skip = [], False
    for part in value:
        if not skip and part in (b"seen-time", b"active-time", b"radix-tree-keys", b"radix-tree-nodes"):
            skip = True
        elif skip:
            skip = False
        else:
            kept.append(without_times(part))
    return kept


def totals(server):
    """(keys, expires) by database."""
    return {name: text.split(",avg_ttl")[0] for name, text in server.info().items() if name.startswith("db") and "keys=" in text}


def tool(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=TOOL_SECONDS_MAX, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def save(report, server, name):
    reply = server.connect(timeout=60).command("SAVE")
    report.check("%s saves" % name, reply.value == b"OK", reply)


def rdb_files(report, start):
    with Folder() as theirs, Folder() as ours, Folder() as again:
        with servers.redis_server("--dir", theirs, "--set-max-intset-entries", "100") as server:
            report.equal("redis-server takes the data set of seed %d" % SEED, fill(server), None)
            wanted, wanted_streams, wanted_totals = digest(server), stream_figures(server), totals(server)
            save(report, server, "redis-server")
        shutil.copy(theirs / "dump.rdb", ours / "dump.rdb")
        with start("--dir", ours, "--workers", "2") as server:
            report.equal("Tidegate loads its file: keys and expiries", totals(server), wanted_totals)
            tidegate_digest = digest(server)
            save(report, server, "Tidegate")
            report.equal("DEBUG RELOAD", server.connect(timeout=60).command("DEBUG", "RELOAD").value, b"OK")
            report.equal("and all is as before", digest(server), tidegate_digest)
        status, output = tool("redis-check-rdb", ours / "dump.rdb")
        report.check("redis-check-rdb likes what Tidegate wrote", status == 0 and "looks OK" in output, output[-500:])
        shutil.copy(ours / "dump.rdb", again / "dump.rdb")
        with servers.redis_server("--dir", again) as server:
            report.equal("redis-server loads it: the same digest", digest(server), wanted)
            report.equal("the same streams", stream_figures(server), wanted_streams)
            report.equal("the same keys and expiries", totals(server), wanted_totals)
            save(report, server, "redis-server")
        shutil.copy(again / "dump.rdb", ours / "dump.rdb")
        with start("--dir", ours) as server:
            report.equal("and Tidegate what that wrote", digest(server), tidegate_digest)


def access_state(report, start):
    for policy, word in (("allkeys-lfu", "FREQ"), ("allkeys-lru", "IDLETIME")):
        with Folder() as folder:
            with servers.redis_server("--dir", folder, "--maxmemory-policy", policy) as server:
                connection = server.connect()
                connection.command("SET", "k", "v")
                connection.command("RESTORE", "hot", "0", connection.command("DUMP", "k").value, word, "77")
                save(report, server, "redis-server with %s" % policy)
            for _ in range(2):
                with start("--dir", folder, "--maxmemory-policy", policy) as server:
                    seen = server.connect().command("OBJECT", word, "hot").value
                    report.check("%s is kept" % word, 75 <= seen <= 80, seen)
                    save(report, server, "Tidegate")


def own_files(report, start):
    """What only Tidegate has comes back; redis-server says why it cannot read it, and reads an export."""
    with Folder() as folder, Folder() as exported:
        with start("--dir", folder) as server:
            connection = server.connect()
            for words in ("HSET h f 1 g 2", "HPEXPIREAT h %d FIELDS 1 f" % dataset.FAR_FUTURE_MS, "BF.ADD filter a", "SET s v"):
                connection.command(*words.split())
            before = digest(server)
            save(report, server, "Tidegate")
            connection.command("SET", "lost", "1")
            binary = server.command[0]
        with start("--dir", folder) as server:
            report.equal("fields that expire and Bloom filters come back", digest(server), before)
            report.equal("with their times", server.connect().command("HPEXPIRETIME", "h", "FIELDS", "1", "f").value[0].value,
                         dataset.FAR_FUTURE_MS)
        status, output = tool(binary, "export", folder / "dump.rdb", "--to-rdb", exported / "dump.rdb", "--redis")
        report.check("export --redis says what it leaves out", status == 0 and "1 Bloom filters are left out" in output
                     and "1 hashes lost the times of their fields" in output, output)
        with servers.redis_server("--dir", exported) as server:
            connection = server.connect()
            report.equal("and redis-server loads it", (connection.command("HGET", "h", "f").value, connection.command("DBSIZE").value),
                         (b"1", 2))


def shutdown_save(report, start):
    with Folder() as folder:
        with start("--dir", folder) as server:
            connection = server.connect()
            connection.command("SET", "k", "v")
            connection.send(resp.encode_command(["SHUTDOWN", "SAVE"]))
            report.check("SHUTDOWN SAVE closes without a reply", connection.wait_closed(10) and not connection.has_unread())
            report.equal("and ends the server", server.process.wait(10), 0)
        with start("--dir", folder, "--shutdown-on-sigterm", "save") as server:
            connection = server.connect()
            report.equal("what was there is there again", connection.command("GET", "k").value, b"v")
            connection.command("SET", "k2", "v2")
            report.equal("SIGTERM with shutdown-on-sigterm save", server.stop(signal.SIGTERM), 0)
        with start("--dir", folder) as server:
            connection = server.connect()
            report.equal("saves too", connection.command("GET", "k2").value, b"v2")
            shutil.rmtree(folder)
            folder.write_text("in the way of the directory")
            report.check("SAVE that fails", connection.command("SAVE").kind == "error")
            reply = connection.command("SHUTDOWN", "SAVE")
            report.equal("SHUTDOWN SAVE that fails", reply.value, b"ERR Errors trying to SHUTDOWN. Check logs.")
            report.equal("the server goes on", connection.command("GET", "k2").value, b"v2")
            folder.unlink()


def saved_under_load(report, start):
    """What was answered is in the file, whichever way a shutdown that saves is asked for."""
    for way in ("SIGTERM", "SHUTDOWN SAVE"):
        with Folder() as folder:
            answered = [0] * 6
            with start("--dir", folder, "--workers", "2", "--shutdown-on-sigterm", "save") as server:
                threads = [threading.Thread(target=count_up, args=(server, answered, i)) for i in range(len(answered))]
                for thread in threads:
                    thread.start()
                time.sleep(0.4)
                if way == "SIGTERM":
                    server.process.send_signal(signal.SIGTERM)
                else:
                    server.connect().send(resp.encode_command(["SHUTDOWN", "SAVE"]))
                for thread in threads:
                    thread.join()
                report.equal("%s under load ends the server" % way, server.process.wait(20), 0)
            with start("--dir", folder) as server:
                saved = int(server.connect().command("GET", "counter").value)
                report.check("%s: every answered INCR is there" % way, 0 < sum(answered) <= saved, (sum(answered), saved))


def count_up(server, answered, index):
    """Sends INCR until the server is gone, and counts the replies."""
    try:
        connection = server.connect(timeout=10)
        while True:
            connection.send(resp.encode_command(["INCR", "counter"]) * 16)
            for _ in range(16):
                if connection.read(10).kind == "error":
                    return
                answered[index] += 1
    except (OSError, resp.Closed, resp.Timeout):
        pass


def broken_files(report, start):
    with Folder() as folder:
        with start("--dir", folder) as server:
            server.connect().command("SET", "k", "v")
            save(report, server, "Tidegate")
            binary = server.command[0]
        path = folder / "dump.rdb"
        whole = path.read_bytes()
        path.write_bytes(whole[:-9])
        status, output = tool(binary, "--port", servers.free_port(), "--dir", folder, "--admin-address", "off")
        report.check("a server does not start with a truncated file", status == 1 and "offset" in output, output[-300:])
        report.equal("check says so too", tool(binary, "check", path)[0], 1)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        status, output = tool(binary, "check", path)
        report.check("a wrong checksum is found", status == 1 and "wrong checksum" in output, output)


def aof_files(report, start):
    with start() as server:
        binary = server.command[0]
    for preamble in ("yes", "no"):
        with Folder() as theirs, Folder() as rdb, Folder() as aof:
            flags = ("--dir", theirs, "--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", "yes")
            with servers.redis_server(*flags) as server:
                fill(server, keys=KEYS // 4)
                connection = server.connect(timeout=30)
                connection.command("BGREWRITEAOF")
                eventually(lambda: server.info()["aof_rewrite_in_progress"] == "0", 10)
                fill(server, SEED + 1, keys=KEYS // 4)
                for words in ("MULTI", "SET in-transaction 1", "INCR in-transaction", "EXEC"):
                    connection.command(*words.split())
                wanted, wanted_streams, wanted_totals = digest(server), stream_figures(server), totals(server)
            status, output = tool(binary, "check", theirs)
            report.check("check reads an append-only file, preamble %s" % preamble, status == 0 and "commands" in output, output)
            status, output = tool(binary, "export", theirs, "--to-rdb", rdb / "dump.rdb")
            report.check("export makes an RDB file of it", status == 0, output)
            with servers.redis_server("--dir", rdb) as server:
                report.equal("with the same digest", digest(server), wanted)
                report.equal("the same streams", stream_figures(server), wanted_streams)
                report.equal("the same keys and expiries", totals(server), wanted_totals)
            status, output = tool(binary, "export", theirs, "--to-aof", aof / "appendonly.aof")
            report.check("export makes an append-only file of it", status == 0, output)
            status, output = tool("redis-check-aof", aof / "appendonly.aof")
            report.check("redis-check-aof likes it", status == 0 and "is valid" in output, output[-500:])
            status, output = tool(binary, "check", aof / "appendonly.aof")
            report.check("and so does check", status == 0, output)
            with servers.redis_server("--dir", aof, "--appendonly", "yes") as server:
                report.equal("redis-server loads it: the same digest", digest(server), wanted)
                report.equal("the same keys", totals(server), wanted_totals)


def cut_off_aof(report, start):
    with Folder() as folder:
        path = folder / "one.aof"
        whole = resp.encode_command(["SET", "a", "1"])
        block = b"".join(resp.encode_command(words.split()) for words in ("MULTI", "SET a 2", "SET b 2", "EXEC"))
        with start("--dir", folder, "--appendfilename", "one.aof") as server:
            connection = server.connect()
            for cut in (len(whole), len(whole) + 3, len(whole) + 40, len(whole) + len(block) - 1):
                path.write_bytes((whole + block)[:cut])
                report.equal("LOADAOF of %d bytes" % cut, connection.command("DEBUG", "LOADAOF").value, b"OK")
                report.equal("has no half of a transaction", (connection.command("GET", "a").value, connection.command("EXISTS", "b").value),
                             (b"1", 0))
            path.write_bytes(whole + block)
            connection.command("DEBUG", "LOADAOF")
            report.equal("or all of it", connection.command("MGET", "a", "b").value[1].value, b"2")
            connection.command("CONFIG", "SET", "aof-load-truncated", "no")
            path.write_bytes(whole[:-1])
            report.check("aof-load-truncated no", connection.command("DEBUG", "LOADAOF").kind == "error")
            path.write_bytes(whole + resp.encode_command(["NOSUCH", "x"]))
            report.check("an unknown command", connection.command("DEBUG", "LOADAOF").kind == "error")
            report.check("is told with its offset", "offset %d" % len(whole) in server.log_text(), server.log_text()[-500:])


def import_to_server(report, start):
    with Folder() as folder:
        with servers.redis_server("--dir", folder) as server:
            fill(server, keys=KEYS // 2)
            wanted, wanted_totals = digest(server), totals(server)
            save(report, server, "redis-server")
        with start("--workers", "2") as server, servers.redis_server() as redis:
            binary = server.command[0]
            for target in (server, redis):
                status, output = tool(binary, "import", folder / "dump.rdb", "--to-server", "127.0.0.1:%d" % target.port)
                report.check("import into a running %s" % target.kind, status == 0, output)
                report.equal("has brought all keys", totals(target), wanted_totals)
            report.equal("with the same digest", digest(redis), wanted)
            server.connect().command("CONFIG", "SET", "requirepass", "secret")
            (folder / "password").write_text("secret\n")
            command = (binary, "import", folder / "dump.rdb", "--to-server", "127.0.0.1:%d" % server.port)
            status, output = tool(*command)
            report.check("without the password it fails", status == 1 and "NOAUTH" in output, output)
            report.equal("with it it works", tool(*command, "--password-file", folder / "password")[0], 0)
        report.equal("a destination is asked for", tool(binary, "import", folder / "dump.rdb")[0], 2)


# By the type in the report: the type of Redis, and what counts its elements.
COUNTED = {"list": ("list", "LLEN"), "set": ("set", "SCARD"), "sortedset": ("zset", "ZCARD"), "hash": ("hash", "HLEN"),
           "stream": ("stream", "XLEN")}


def key_report(report, start):
    """rdb-report of a file of redis-server, beside what redis-server and Tidegate say of the same keys."""
    with Folder() as folder:
        with servers.redis_server("--dir", folder) as redis, start("--workers", "2") as server:
            fill(redis)
            save(report, redis, "redis-server")
            binary = server.command[0]
            tool(binary, "import", folder / "dump.rdb", "--to-server", "127.0.0.1:%d" % server.port)
            status, output = tool(binary, "rdb-report", folder / "dump.rdb", "--to-csv", folder / "keys.csv", "--sizes", "tidegate")
            report.check("rdb-report of redis-server's file", status == 0 and " keys, " in output, output)
            with open(folder / "keys.csv", newline="", encoding="utf-8") as lines:
                rows = list(csv.DictReader(lines))
            ours, theirs = server.connect(timeout=30), redis.connect(timeout=30)
            wrong, far = [], []
            databases = {int(row["database"]) for row in rows}
            for database in sorted(databases):
                report.equal("keys of database %d" % database, sum(int(row["database"]) == database for row in rows),
                             select(theirs, database))
                select(ours, database)
                for row in rows:
                    if int(row["database"]) != database:
                        continue
                    if not same_in(theirs, row):
                        wrong.append(row)
                    live = ours.command("MEMORY", "USAGE", name_of(row)).value
                    if not 0.8 <= int(row["size_in_bytes"]) / live <= 1.2:
                        far.append((row["type"], row["key"][:20], row["encoding"], row["num_elements"], row["size_in_bytes"], live))
            report.equal("types, elements and expiries are those of redis-server", wrong, [])
            # How full the table of a hash or a set may be depends on its hashes: the seed makes it double early now and then.
            report.check("sizes are within a fifth of Tidegate's MEMORY USAGE, of nearly all", len(far) <= len(rows) // 50, far[:5])
        status, output = tool(binary, "rdb-report", folder / "dump.rdb", "--bytes-min", "1gb")
        report.check("without a file the lines are the output", status == 0 and "database,type,key," in output, output)


def of_each_encoding(connection):
    """Keys of each encoding of Redis 7.0, small and large, some of which expire. Returns how many."""
    rng = random.Random(SEED)

    def words(count, size=12):
        return [rng.randbytes(size // 2).hex() for _ in range(count)]

    def pairs(count, size=12):
        return [word for i, value in enumerate(words(count, size)) for word in ("field:%d" % i, value)]

    def scored(count):
        return [word for i, member in enumerate(words(count)) for word in (str(i * 0.5), member)]

    commands = [
        ("SET", "int:small", "7"), ("SET", "int:large", "-9223372036854775808"), ("SET", "embstr:empty", ""),
        ("SET", "embstr:44", "x" * 44), ("SET", "raw:45", "x" * 45), ("SET", "raw:5000", "x" * 5000), ("SET", "raw:1m", "x" * 1000000),
        ("RPUSH", "list:small", *words(3)), ("RPUSH", "list:one node", *words(100)), ("RPUSH", "list:many nodes", *words(20000, 40)),
        ("RPUSH", "list:plain nodes", "x" * 20000, "y" * 30000), ("SADD", "intset:small", "1", "2", "3"),
        ("SADD", "intset:64 bits", *[str(rng.randrange(2**62)) for _ in range(500)]), ("SADD", "set:small", *words(3)),
        ("SADD", "set:large", *words(10000)), ("HSET", "hash:listpack", *pairs(100)), ("HSET", "hash:large", *pairs(10000)),
        ("HSET", "hash:long value", "f", "x" * 500), ("ZADD", "zset:listpack", *scored(100)), ("ZADD", "zset:large", *scored(10000)),
        ("ZADD", "zset:long member", "1", "x" * 500), ("XADD", "stream:one", "*", "f", "v"), ("PFADD", "raw:hyperloglog", *words(2000)),
        ("SETBIT", "raw:bits", "80000", "1"),
    ]
    commands += [("XADD", "stream:many", "%d-%d" % (1000 + i // 3, i), "sensor", word, "value", word)
                 for i, word in enumerate(words(5000), 1)]
    commands += [("XGROUP", "CREATE", "stream:many", "readers", "0"),
                 ("XREADGROUP", "GROUP", "readers", "one", "COUNT", "1000", "STREAMS", "stream:many", ">"),
                 ("XREADGROUP", "GROUP", "readers", "two", "COUNT", "10", "STREAMS", "stream:many", ">")]
    for command in commands:
        connection.command(*command)
    names = {command[1] for command in commands if command[0] not in ("XGROUP", "XREADGROUP")}
    for i, name in enumerate(sorted(names)):
        if i % 3 == 0:
            connection.command("PEXPIREAT", name, str(4102444800000 + i))
    return len(names)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def sizes_of_redis(report, start):
    """rdb-report beside MEMORY USAGE and OBJECT ENCODING of redis-server, of each encoding; and of servers that run."""
    with Folder() as folder, servers.redis_server("--dir", folder) as redis:
        theirs = redis.connect(timeout=30)
        keys = of_each_encoding(theirs)
        save(report, redis, "redis-server")
        with start("--workers", "2", "--dir", folder / "ours") as server:
            binary = server.command[0]
            status, output = tool(binary, "rdb-report", folder / "dump.rdb", "--to-csv", folder / "keys.csv")
            report.check("rdb-report of it", status == 0, output)
            rows = rows_of(folder / "keys.csv")
            report.equal("every key has a line", len(rows), keys)
            for row in rows:
                size = int(row["size_in_bytes"]) / theirs.command("MEMORY", "USAGE", row["key"], "SAMPLES", "0").value
                encoding = theirs.command("OBJECT", "ENCODING", row["key"]).value.decode()
                report.check("%s is within a fifth of MEMORY USAGE, and %s" % (row["key"], encoding),
                             0.8 <= size <= 1.2 and row["encoding"] == encoding and same_in(theirs, row), (size, row))
            theirs.command("SET", "new", "since the snapshot")
            status, output = tool(binary, "rdb-report", "--live", "127.0.0.1:%d" % redis.port, "--to-csv", folder / "live.csv")
            live = rows_of(folder / "live.csv") if status == 0 else []
            report.check("--live of a redis-server that runs", status == 0 and len(live) == keys + 1, output)

            ours = server.connect(timeout=30)
            of_each_encoding(ours)
            ours.command("CONFIG", "SET", "requirepass", "secret")
            (folder / "password").write_text("secret\n")
            command = (binary, "rdb-report", "--live", "127.0.0.1:%d" % server.port, "--to-csv", folder / "ours.csv")
            status, output = tool(*command)
            report.check("--live without the password fails", status == 1 and "NOAUTH" in output, output)
            status, output = tool(*command, "--password-file", folder / "password")
            live = rows_of(folder / "ours.csv") if status == 0 else []
            report.check("--live of a Tidegate that runs", status == 0 and len(live) == keys, output)
            far = [(row["key"], row["size_in_bytes"], usage) for row in live
                   for usage in [ours.command("MEMORY", "USAGE", row["key"]).value]
                   if not 0.8 <= int(row["size_in_bytes"]) / usage <= 1.2]
            report.equal("and its sizes are those of Tidegate", far, [])
    status, output = tool(binary, "rdb-report", "--live", "127.0.0.1:1")
    report.check("--live of no server fails", status == 1 and "connect to 127.0.0.1:1" in output, output)


def select(connection, database):
    connection.command("SELECT", str(database))
    return connection.command("DBSIZE").value


def name_of(row):
    def byte(escape):
        return b"\\" if escape[1] == b"\\" else bytes([int(escape[1][1:], 16)])

    return re.sub(rb"\\(x[0-9a-f]{2}|\\)", byte, row["key"].encode())


def same_in(redis, row):
    key = name_of(row)
    if row["type"] == "string":
        same = redis.command("STRLEN", key).value == int(row["len_largest_element"])
    else:
        kind, counts = COUNTED[row["type"]]
        same = redis.command("TYPE", key).value == kind.encode() and redis.command(counts, key).value == int(row["num_elements"])
    expires_ms = redis.command("PEXPIRETIME", key).value
    if expires_ms < 0:
        return same and row["expiry"] == ""
    told = datetime.datetime.fromisoformat(row["expiry"]).replace(tzinfo=datetime.timezone.utc)
    return same and round(told.timestamp() * 1000) == expires_ms
