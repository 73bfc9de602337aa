"""redis-py as an application uses it. One line per check, "ok …" or "FAIL …". Argument: the port on 127.0.0.1."""

import sys
import threading

import redis
from client_checks import check


def main(port):
    client = redis.Redis(port=port, socket_timeout=5)
    good = [
        check("PING", client.ping()),
        check("SET and GET", client.set("a", "1") and client.get("a") == b"1"),
        check("SET with EX and NX", client.set("nx", "1", ex=100, nx=True) and client.set("nx", "2", nx=True) is None),
        check("TTL", 0 < client.ttl("nx") <= 100),
        check("MSET and MGET", client.mset({"x": 1, "y": 2}) and client.mget("x", "y", "z") == [b"1", b"2", None]),
        check("INCRBYFLOAT", client.incrbyfloat("f", 1.5) == 1.5),
        check("GETEX and GETDEL", client.getex("x", ex=10) == b"1" and client.getdel("x") == b"1" and client.get("x") is None),
        check("SETBIT and BITCOUNT", client.setbit("bits", 7, 1) == 0 and client.bitcount("bits") == 1),
        check("BITFIELD", client.bitfield("field").set("u8", 0, 7).incrby("u8", 0, 3).execute() == [0, 10]),
        check("COPY, RENAME, TYPE", client.copy("y", "y2") and client.rename("y2", "y3") and client.type("y3") == b"string"),
        check("OBJECT ENCODING", client.object("encoding", "y") == b"int"),
        check("CONFIG GET", client.config_get("databases") == {"databases": "16"}),
        check("INFO is parsed", client.info()["redis_mode"] == "standalone"),
        check("CLIENT LIST is parsed", any(entry["db"] == "0" for entry in client.client_list())),
        check("DBSIZE", client.dbsize() == len(client.keys())),
        check("an error becomes an exception", raises(redis.ResponseError, lambda: client.execute_command("NOSUCH"))),
        check("COMMAND is parsed", client.command()["get"]["arity"] == 2),
        check("another database", other_database(port)),
        check("a pipeline without a transaction", pipeline(client)),
        check("SCAN finds every key", scan(client)),
        check("20 threads over one pool lose no INCR", threads(client)),
        check("a lock has one owner", lock(client)),
        check("a registered script, also in a pipeline", registered_script(client)),
        check("decode_responses", redis.Redis(port=port, decode_responses=True).get("a") == "1"),
    ]
    return 0 if all(good) else 1


def raises(kind, call):
    try:
        call()
    except kind:
        return True
    return False


def other_database(port):
    client = redis.Redis(port=port, db=3)
    return client.get("a") is None and client.set("a", "three") and client.get("a") == b"three" and client.move("a", 4)


def pipeline(client):
    pipe = client.pipeline(transaction=False)
    for i in range(500):
        pipe.set("p:%d" % i, i).get("p:%d" % i)
    return pipe.execute()[1::2] == [b"%d" % i for i in range(500)]


def lock(client):
    first, second = client.lock("lock", timeout=10), client.lock("lock", timeout=10)
    taken = first.acquire(blocking=False) and not second.acquire(blocking=False)
    extended = first.extend(20) and 10 < client.ttl("lock") <= 30
    first.release()
    return taken and extended and second.acquire(blocking=False) and second.owned()


def registered_script(client):
    script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    once = script(keys=["scripted"], args=[2])
    client.script_flush()
    again = script(keys=["scripted"], args=[3])
    client.script_flush()
    pipe = client.pipeline()
    script(keys=["scripted"], args=[5], client=pipe)
    pipe.get("scripted")
    return (once, again, pipe.execute()) == (2, 5, [10, b"10"])


def scan(client):
    found = list(client.scan_iter(match="p:*", count=17))
    return len(found) == len(set(found)) == 500


def threads(client):
    def work():
        for _ in range(100):
            client.incr("shared")

    workers = [threading.Thread(target=work) for _ in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return client.get("shared") == b"2000"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
