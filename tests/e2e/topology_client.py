"""redis-py through Tidegate, whatever is behind it. One line per check, "ok …" or "FAIL …". Argument: the port on 127.0.0.1."""

import sys
import time

import redis
from client_checks import check


def pipeline(client):
    pipe = client.pipeline(transaction=False)
    for i in range(300):
        pipe.set("py:%d" % i, i)
        pipe.get("py:%d" % i)
    return pipe.execute()[1::2] == [b"%d" % i for i in range(300)]


def transaction(client):
    with client.pipeline(transaction=True) as pipe:
        return pipe.set("{py}a", "1").incr("{py}a").incr("{py}b").execute() == [True, 2, 1]


def watch(client):
    client.set("{py}w", 1)
    with client.pipeline() as pipe:
        pipe.watch("{py}w")
        client.set("{py}w", 2)
        pipe.multi()
        pipe.set("{py}w", 3)
        try:
            pipe.execute()
            return False
        except redis.WatchError:
            return client.get("{py}w") == b"2"


def script(client):
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    return [add(keys=["py:s:%d" % i], args=[i]) for i in range(50)] == list(range(50))


def loaded(client):
    """At every node: keys of all of them are served."""
    sha = client.script_load("return {KEYS[1], ARGV[1]}")
    told = client.script_exists(sha) == [True]
    return told and all(client.evalsha(sha, 1, "py:%d" % i, "x") == [b"py:%d" % i, b"x"] for i in range(50))


def unknown_after_flush(client):
    sha = client.script_load("return 7")
    client.script_flush()
    try:
        client.evalsha(sha, 0)
        return False
    except redis.exceptions.NoScriptError:
        return client.eval("return 7", 0) == 7


def function(client):
    client.function_load("#!lua name=py\nredis.register_function('py_get', function(keys) return redis.call('GET', keys[1]) end)",
                         replace=True)
    client.set("py:f", "v")
    good = client.fcall("py_get", 1, "py:f") == b"v" and len(client.function_list()) == 1
    return client.function_delete("py") and good and client.function_list() == []


def pubsub(client):
    listener = client.pubsub()
    listener.subscribe("py:news")
    heard = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and len(heard) < 2:
        message = listener.get_message(timeout=0.1)
        if message is None:
            continue
        heard.append((message["type"], message["channel"]))
        if len(heard) == 1:
            channels = client.pubsub_channels("py:*"), client.pubsub_numsub("py:news", "py:none"), client.pubsub_numpat()
            client.publish("py:news", "x")
    listener.close()
    return heard == [("subscribe", b"py:news"), ("message", b"py:news")] and channels == ([b"py:news"], [(b"py:news", 1), (b"py:none", 0)], 0)


def lock(client):
    mine, other = client.lock("py:lock", timeout=5), client.lock("py:lock", timeout=5)
    return mine.acquire() and not other.acquire(blocking=False) and mine.release() is None and other.acquire(blocking=False)


def main(port):
    client = redis.Redis(port=port, socket_timeout=10)
    client.flushall()
    good = [
        check("a pipeline over all keys", pipeline(client)),
        check("MSET, MGET, DEL of many", client.mset({"m:%d" % i: i for i in range(60)}) and
              client.mget(["m:%d" % i for i in range(60)]) == [b"%d" % i for i in range(60)] and
              client.delete(*["m:%d" % i for i in range(60)]) == 60),
        check("SCAN finds every key", len(set(client.scan_iter())) == client.dbsize() == 300),
        check("a transaction", transaction(client)),
        check("WATCH", watch(client)),
        check("a registered script", script(client)),
        check("SCRIPT LOAD, EXISTS, EVALSHA", loaded(client)),
        check("SCRIPT FLUSH", unknown_after_flush(client)),
        check("functions", function(client)),
        check("BLPOP", client.rpush("py:q", "a") == 1 and client.blpop("py:q", timeout=2) == (b"py:q", b"a")),
        check("streams", len(client.xread({"py:x": 0}) if client.xadd("py:x", {"f": "v"}) else []) == 1),
        check("pub/sub, PUBSUB", pubsub(client)),
        check("a lock, which is a script", lock(client)),
        check("MEMORY USAGE, OBJECT, DUMP and RESTORE", client.memory_usage("py:1") > 0 and client.object("encoding", "py:1") == b"int" and
              client.restore("py:copy", 0, client.dump("py:1"), replace=True) and client.get("py:copy") == b"1"),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
