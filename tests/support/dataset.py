"""Random data of every type and encoding that Redis has, as commands; the same for the same seed."""

import functools
import random

BINARY_KEY = b"bin\x00\xff\r\nary"
FAR_FUTURE_MS = 4102444800000


@functools.lru_cache
def commands(seed, keys):
    """Lists of words. Databases 0, 1 and 9; the last command leaves the connection in database 0."""
    rng = random.Random(seed)
    made = []
    for db in (0, 1, 9):
        made.append([b"SELECT", str(db).encode()])
        for i in range(keys if db == 0 else min(keys, 20)):
            name = b"%s:%d" % (rng.choice((b"key", b"{tag}", b"k\x00\xfe", b"long" * 70)), i)
            made.extend(rng.choice(MAKERS)(rng, name))
            if rng.random() < 0.3:
                made.append([b"PEXPIREAT", name, b"%d" % (FAR_FUTURE_MS + rng.randrange(10**6))])
        made.extend(fixed())
    made.append([b"SELECT", b"0"])
    return made


def fixed():
    """What chance may miss: the edges."""
    made = [
        [b"SET", BINARY_KEY, bytes(range(256))],
        [b"SET", b"empty", b""],
        [b"SET", b"compressible", b"abc" * 50000],
        [b"SET", b"big", random.Random(1).randbytes(200000)],
        [b"ZADD", b"infinite", b"inf", b"a", b"-inf", b"b", b"1e300", b"c", b"-0.1", b"d", b"3", b"e"],
        [b"RPUSH", b"bigelements", b"x" * 70000, b"small", b"y" * 9000, b"-7"],
        [b"HSET", b"bigfield", b"f", b"v" * 100000, b"g", b"1"],
    ]
    for number in (0, -1, 127, -128, 128, 32767, -32769, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63)):
        made.append([b"SET", b"int:%d" % number, b"%d" % number])
    for text in (b"007", b"+1", b"1.0", b"9223372036854775808", b" 1"):
        made.append([b"SET", b"text:" + text, text])
    made.extend(edge_streams())
    return made


def edge_streams():
    made = []
    for i in range(1, 500):
        fields = [b"a", b"%d" % i] if i % 7 else [b"other", b"x" * i, b"b", b"-5"]
        made.append([b"XADD", b"log", b"%d-%d" % (1000 + i // 3, i), *fields])
    made += [
        [b"XGROUP", b"CREATE", b"log", b"readers", b"0"],
        [b"XGROUP", b"CREATE", b"log", b"idle", b"$", b"ENTRIESREAD", b"3"],
        [b"XGROUP", b"CREATECONSUMER", b"log", b"idle", b"nobody"],
        [b"XREADGROUP", b"GROUP", b"readers", b"one", b"COUNT", b"20", b"STREAMS", b"log", b">"],
        [b"XREADGROUP", b"GROUP", b"readers", b"two", b"COUNT", b"20", b"STREAMS", b"log", b">"],
        [b"XACK", b"log", b"readers", b"1001-3", b"1001-4"],
        [b"XDEL", b"log", b"1050-151", b"1060-180", b"1166-499"],
        [b"XADD", b"emptied", b"5-5", b"f", b"v"],
        [b"XDEL", b"emptied", b"5-5"],
        [b"XGROUP", b"CREATE", b"made", b"g", b"$", b"MKSTREAM"],
        [b"XADD", b"trimmed", b"1-1", b"f", b"v"],
        [b"XADD", b"trimmed", b"MAXLEN", b"1", b"2-1", b"f", b"v"],
        [b"XSETID", b"trimmed", b"9-9", b"ENTRIESADDED", b"77", b"MAXDELETEDID", b"3-0"],
    ]
    return made


def text(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return b"%d" % rng.choice((rng.randrange(100), -rng.randrange(10**5), rng.randrange(2**62)))
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 30))
    if kind == 2:
        return b"abcdef" * rng.randrange(1, 30)
    return b"word%d" % rng.randrange(1000)


def string(rng, name):
    return [[b"SET", name, rng.choice((text(rng), text(rng) * rng.randrange(1, 200)))]]


def size(rng):
    return rng.choice((1, 3, 20, 100, 130, 600))


def many(rng, command, name, elements):
    return [[command, name, *elements[at : at + 50]] for at in range(0, len(elements), 50)]


def a_list(rng, name):
    return many(rng, b"RPUSH", name, [text(rng) for _ in range(size(rng))])


def a_set(rng, name):
    if rng.random() < 0.5:
        span = rng.choice((100, 10**5, 2**40))
        return many(rng, b"SADD", name, [b"%d" % rng.randrange(-span, span) for _ in range(size(rng))])
    return many(rng, b"SADD", name, [text(rng) for _ in range(size(rng))])


def sorted_set(rng, name):
    elements = []
    for _ in range(size(rng) // 2 + 1):
        elements += [rng.choice((b"%d" % rng.randrange(-50, 50), b"%r" % rng.uniform(-1e6, 1e6))), text(rng)]
    return many(rng, b"ZADD", name, elements)


def a_hash(rng, name):
    elements = []
    for _ in range(size(rng)):
        elements += [text(rng), text(rng)]
    return many(rng, b"HSET", name, elements)


def stream(rng, name):
    return [[b"XADD", name, b"%d-1" % (i + 1), text(rng), text(rng)] for i in range(rng.choice((1, 5, 120)))]


MAKERS = (string, string, a_list, a_set, sorted_set, a_hash, stream)
