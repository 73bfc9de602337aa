"""redis-py through Tidegate to a redis-server. One line per check, "ok …" or "FAIL …". Argument: the port on 127.0.0.1."""

import sys
import threading

import redis
from client_checks import check


def pipeline(client):
    pipe = client.pipeline(transaction=False)
    for i in range(1000):
        pipe.set("p:%d" % i, i)
        pipe.get("p:%d" % i)
    return pipe.execute()[1::2] == [b"%d" % i for i in range(1000)]


def threads(client):
    def work():
        for _ in range(100):
            client.incr("counter")
    all_of_them = [threading.Thread(target=work) for _ in range(20)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    return client.get("counter") == b"2000"


def main(port):
    client = redis.Redis(port=port, socket_timeout=5)
    other = redis.Redis(port=port, db=4)
    good = [
        check("PING", client.ping()),
        check("SET with EX", client.set("a", "1", ex=100) and 0 < client.ttl("a") <= 100),
        check("hashes", client.hset("h", mapping={"a": 1, "b": 2}) == 2 and client.hgetall("h") == {b"a": b"1", b"b": b"2"}),
        check("sorted sets", client.zadd("z", {"m": 1.5}) == 1 and client.zscore("z", "m") == 1.5),
        check("streams", len(client.xread({"x": 0}) if client.xadd("x", {"f": "v"}) else []) == 1),
        check("another database", other.set("d", "4") and client.get("d") is None and other.get("d") == b"4"),
        check("a pipeline", pipeline(client)),
        check("SCAN finds every key", len(set(client.scan_iter())) == client.dbsize()),
        check("20 threads over one pool lose no INCR", threads(client)),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
