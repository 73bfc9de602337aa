"""What stalls.py --big does: the longest loop turn of each command over collections of millions of elements.

A set, a hash, a sorted set, a list and a stream are filled one element a command, then each command of COMMANDS runs
alone, with CONFIG RESETSTAT before it and a look at the longest turn after it. What a command consumes is a copy.
Then a client does nothing but GET a key of another slot, or of the same one, on the other of two workers while such
commands run: its latencies are compared with those it has alone.
"""
import socket
import threading
import time

MARK = b"the-end-of-the-reply"

# key -> one element a command
FILLS = {
    "set": lambda i: ("SADD", "set", f"member:{i}"),
    "hash": lambda i: ("HSET", "hash", f"field:{i}", f"value:{i}"),
    "zset": lambda i: ("ZADD", "zset", str(i * 7919 % 10_000_019), f"member:{i}"),
    "list": lambda i: ("RPUSH", "list", f"element:{i * 7919 % 10_000_019}"),
    "stream": lambda i: ("XADD", "stream", f"{i + 1}-0", "field", f"value:{i}"),
    "numbers": lambda i: ("RPUSH", "numbers", str(i * 7919 % 10_000_019)),
    "geo": lambda i: ("GEOADD", "geo", f"{i * 7919 % 3_500_000 / 10_000 - 175:.4f}",
                      f"{i * 104_729 % 1_600_000 / 10_000 - 80:.4f}", f"place:{i}"),
}

# What is filled -> commands, each alone. "victim" is a copy of it. N: elements.
COMMANDS = {
    "set": ["COPY set victim", "DEL victim", "UNLINK victim", "SET victim x", "SUNIONSTORE victim few", "RENAME few2 victim",
            "PEXPIRE victim 1", "RESTORE victim 0 @few REPLACE", "FLUSHDB 1", "SMEMBERS set", "SUNION set victim",
            "SINTER set victim", "SDIFF set victim", "SINTERCARD 2 set victim", "SUNIONSTORE result set victim",
            "SINTERSTORE result set victim", "SDIFFSTORE result set few", "SPOP victim N/2", "SPOP victim N", "SRANDMEMBER set N/2",
            "SRANDMEMBER set -N", "SSCAN set 0 COUNT N", "SORT set ALPHA LIMIT 0 10", "DUMP set", "@RESTORE", "DEBUG DIGEST",
            "DEBUG DIGEST-VALUE set", "DEBUG OBJECT set", "MEMORY USAGE set SAMPLES 0"],
    "hash": ["COPY hash victim", "DEL victim", "UNLINK victim", "SET victim x", "PEXPIRE victim 1", "HGETALL hash", "HKEYS hash",
             "HVALS hash", "HRANDFIELD hash N/2", "HSCAN hash 0 COUNT N", "DUMP hash", "@RESTORE", "FLUSHDB 1"],
    "zset": ["COPY zset victim", "DEL victim", "UNLINK victim", "SET victim x", "PEXPIRE victim 1", "ZRANGE zset 0 -1",
             "ZRANGE zset 0 -1 WITHSCORES", "ZRANGESTORE result zset 0 -1", "ZUNION 2 zset victim", "ZINTER 2 zset victim",
             "ZDIFF 2 zset few", "ZUNIONSTORE result 2 zset victim", "ZINTERSTORE result 2 zset victim",
             "ZDIFFSTORE result 2 zset few", "ZINTERCARD 2 zset victim", "ZREMRANGEBYRANK victim 0 N/2", "ZREMRANGEBYRANK victim 0 -1",
             "ZREMRANGEBYSCORE victim -inf +inf", "ZPOPMIN victim N/2", "ZPOPMAX victim N", "ZRANDMEMBER zset N/2",
             "ZSCAN zset 0 COUNT N", "SORT zset ALPHA LIMIT 0 10", "DUMP zset", "@RESTORE"],
    "list": ["COPY list victim", "DEL victim", "UNLINK victim", "SET victim x", "PEXPIRE victim 1", "LRANGE list 0 -1",
             "LPOS list none", "LPOS list none RANK -1", "LREM victim 0 none", "LREM victim 0 element:5", "LINSERT victim BEFORE none x",
             "LTRIM victim N/4 N/2", "LTRIM victim 1 0", "LPOP victim N/2", "RPOP victim N", "LMPOP 1 victim LEFT COUNT N",
             "SORT list ALPHA LIMIT 0 10", "SORT list ALPHA", "SORT list ALPHA STORE result", "DUMP list", "@RESTORE"],
    "numbers": ["SORT numbers LIMIT 0 10", "SORT numbers", "SORT numbers STORE result", "SORT numbers BY nosort GET # LIMIT 0 N",
                "SORT numbers BY weight:* LIMIT 0 10", "SORT numbers GET value:* LIMIT 0 N",
                "SORT numbers BY weight:* GET value:* STORE result"],
    "stream": ["COPY stream victim", "DEL victim", "UNLINK victim", "SET victim x", "PEXPIRE victim 1", "XRANGE stream - +",
               "XREVRANGE stream + -", "XREAD STREAMS stream 0", "XTRIM victim MAXLEN N/2", "XTRIM victim MAXLEN 0",
               "XTRIM victim MINID N/2", "XADD victim MAXLEN 10 * f v", "XINFO STREAM stream FULL COUNT 0", "DUMP stream", "@RESTORE"],
    "geo": ["GEOSEARCH geo FROMLONLAT 0 0 BYRADIUS 30000 km", "GEOSEARCH geo FROMLONLAT 0 0 BYRADIUS 30000 km ASC COUNT 10",
            "GEOSEARCHSTORE result geo FROMLONLAT 0 0 BYRADIUS 30000 km"],
    "strings": ["BITCOUNT bits", "BITPOS bits 1", "BITOP NOT result bits", "BITOP AND result bits bits", "COPY bits victim", "DEL victim",
                "GET bits", "DUMP bits", "PFMERGE result" + " hll" * 1000, "PFCOUNT" + " hll" * 1000],
}
BIT_STRING_BYTES = 256 << 20

# Beside whom the other client measures.
BESIDE = ["SORT numbers LIMIT 0 10", "SORT numbers STORE result", "SORT numbers BY weight:* LIMIT 0 10",
          "SORT numbers BY weight:* GET value:* STORE result", "LRANGE numbers 0 -1", "DEL victim"]


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word.encode() if isinstance(word, str) else word
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(600)

    def run(self, *words):
        """The reply's bytes; sent with a mark behind it, so that nothing needs to be parsed."""
        self.socket.sendall(encode(words) + encode(["ECHO", MARK]))
        end = b"$%d\r\n%s\r\n" % (len(MARK), MARK)
        pieces, tail = [], b""
        while not tail.endswith(end):
            piece = self.socket.recv(1 << 20)
            assert piece, "the server closed the connection"
            pieces.append(piece)
            tail = (tail + piece)[-len(end):]
        return b"".join(pieces)[:-len(end)]


def fill(port, make, elements):
    """One command an element, pipelined."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        def drain(left=elements):
            while left > 0:
                left -= s.recv(1 << 20).count(b"\n" if not is_bulk else b"$")
        is_bulk = make(0)[0] == "XADD"
        reader = threading.Thread(target=drain)
        reader.start()
        for first in range(0, elements, 5000):
            s.sendall(b"".join(encode(make(i)) for i in range(first, min(first + 5000, elements))))
        reader.join()


def settle(client):
    """Until what was dropped is freed."""
    for _ in range(3000):
        if b"lazyfree_pending_objects:0" in client.run("INFO", "memory"):
            return
        time.sleep(0.02)


def words_of(command, elements, payloads):
    words = command.replace("N/2", str(elements // 2)).replace("N/4", str(elements // 4)).split(" ")
    words = [str(elements) if word == "N" else "-" + str(elements) if word == "-N" else word for word in words]
    return [payloads[word] if word in payloads else word for word in words]


def prepare(client, port, what, elements):
    client.run("FLUSHALL")
    settle(client)
    if what == "strings":
        client.run("SETRANGE", "bits", str(BIT_STRING_BYTES - 1), "x")
        for offset in range(0, BIT_STRING_BYTES, 1 << 20):
            client.run("SETRANGE", "bits", str(offset), b"\x00" * 1000 + b"\x01" * 1047576)
        client.run("PFADD", "hll", *map(str, range(20000)))
    else:
        client.run("CONFIG", "RESETSTAT")
        fill(port, FILLS[what], elements)
        time.sleep(0.2)
    for few in ("few", "few2"):
        client.run("ZADD" if what == "zset" else "SADD", few, *(["1", "a"] if what == "zset" else ["a", "b"]))
    client.run("SADD", "few:other", "a")


def measure(client, port, longest_turns, elements, only):
    payloads = {}
    for what, commands in COMMANDS.items():
        if only and what not in only:
            continue
        prepare(client, port, what, elements)
        if what != "strings":
            print(f"{what:8} {'growth to ' + str(elements):52} {longest_turns()}", flush=True)
        payloads["@few"] = client.run("DUMP", "few").split(b"\r\n", 1)[1][:-2]
        for command in commands:
            if "victim" in command and not command.startswith("COPY"):
                client.run("COPY", "bits" if what == "strings" else what, "victim", "REPLACE")
            if command == "FLUSHDB 1":
                client.run("COPY", what, "victim", "DB", "1")
                command = "FLUSHDB"
                client.run("SELECT", "1")
            words = words_of(command, elements, payloads)
            if command == "@RESTORE":
                words = ["RESTORE", "result", "0", payloads["@dump"], "REPLACE"]
            if command.startswith("RENAME"):
                client.run("SADD", "few2", "a")
            settle(client)
            client.run("CONFIG", "RESETSTAT")
            began = time.monotonic()
            reply = client.run(*words)
            took = time.monotonic() - began
            if command.startswith("DUMP"):
                payloads["@dump"] = reply.split(b"\r\n", 1)[1][:-2]
            time.sleep(0.1 if command != "PEXPIRE victim 1" else 0.5)
            error = reply.split(b"\r\n")[0].decode() if reply.startswith(b"-") else ""
            print(f"{what:8} {command[:52]:52} {longest_turns()}  {took * 1000:9.1f} ms  {error}", flush=True)
            client.run("SELECT", "0")
            client.run("UNLINK", "result")


def quantiles(latencies):
    latencies = sorted(latencies)
    pick = lambda q: latencies[min(len(latencies) - 1, int(q * len(latencies)))] * 1000
    return f"n {len(latencies)} p50 {pick(0.5):.3f} p99 {pick(0.99):.3f} p99.9 {pick(0.999):.3f} max {latencies[-1] * 1000:.3f} ms"


def probe(client, key, until):
    latencies = []
    while not until.is_set():
        began = time.monotonic()
        client.socket.sendall(encode(["GET", key]))
        client.socket.recv(100)
        latencies.append(time.monotonic() - began)
    return latencies


def beside(client, port, longest_turns, elements):
    prepare(client, port, "numbers", elements)
    other = Client(port)  # the next connection goes to the other worker
    for command in [None, *BESIDE]:
        if command == "DEL victim":
            client.run("COPY", "numbers", "victim")
        client.run("CONFIG", "RESETSTAT")
        done = threading.Event()
        took = []

        def run():
            began = time.monotonic()
            client.run(*command.split(" ")) if command else time.sleep(2)
            took.append(time.monotonic() - began)
            done.set()
        thread = threading.Thread(target=run)
        thread.start()
        latencies = probe(other, "elsewhere", done)
        thread.join()
        print(f"beside   {command or 'nothing':52} {quantiles(latencies)}, it took {took[0]:.2f} s, turns {longest_turns()}", flush=True)
