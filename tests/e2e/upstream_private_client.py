"""redis-py's transactions, locks, queues and subscriptions through Tidegate to a redis-server. Argument: the port on 127.0.0.1."""

import random
import sys
import threading
import time

import redis
from client_checks import check

ACCOUNTS = 8
START = 1000


def run_all(work, count):
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def bank(client):
    """Optimistic transfers between accounts: WATCH, read, MULTI, write, EXEC, again when it failed."""
    client.mset({"account:%d" % i: START for i in range(ACCOUNTS)})

    def transfer(number):
        chance = random.Random(number)
        for _ in range(25):
            source, target = ("account:%d" % i for i in chance.sample(range(ACCOUNTS), 2))
            amount = chance.randrange(1, 50)
            with client.pipeline() as pipe:
                while True:
                    try:
                        pipe.watch(source, target)
                        have, other = int(pipe.get(source)), int(pipe.get(target))
                        pipe.multi()
                        pipe.set(source, have - amount)
                        pipe.set(target, other + amount)
                        pipe.execute()
                        break
                    except redis.WatchError:
                        continue

    run_all(transfer, 10)
    return sum(map(int, client.mget("account:%d" % i for i in range(ACCOUNTS)))) == ACCOUNTS * START


def counter(client):
    def add(_):
        for _ in range(20):
            client.transaction(lambda pipe: (lambda value: (pipe.multi(), pipe.set("n", value + 1)))(int(pipe.get("n") or 0)), "n")

    run_all(add, 10)
    return client.get("n") == b"200"


def transaction(client):
    with client.pipeline(transaction=True) as pipe:
        return pipe.set("t", "1").incr("t").get("t").execute() == [True, 2, b"2"]


def failing(client):
    with client.pipeline(transaction=True) as pipe:
        result = pipe.set("f", "x").incr("f").get("f").execute(raise_on_error=False)
    return result[0] is True and isinstance(result[1], redis.ResponseError) and result[2] == b"x"


def pubsub(client):
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    heard = []
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and len(heard) < 4:
        message = listener.get_message(timeout=0.1)
        if message is None:
            continue
        heard.append((message["type"], message["channel"]))
        if len(heard) == 2:
            client.publish("news", "x")
    listener.close()
    return heard == [("subscribe", b"news"), ("psubscribe", b"n*"), ("message", b"news"), ("pmessage", b"news")]


def queue(client):
    got = []

    def take(_):
        own = redis.Redis(port=client.connection_pool.connection_kwargs["port"])
        while True:
            item = own.blpop("queue", timeout=2)
            if item is None:
                return
            got.append(int(item[1]))

    threads = [threading.Thread(target=take, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for i in range(500):
        client.rpush("queue", i)
    for thread in threads:
        thread.join()
    return sorted(got) == list(range(500))


def main(port):
    client = redis.Redis(port=port, socket_timeout=20)
    good = [
        check("a transaction", transaction(client)),
        check("one whose command fails", failing(client)),
        check("the bank: 250 transfers by WATCH, no coin lost", bank(client)),
        check("client.transaction()", counter(client)),
        check("pub/sub", pubsub(client)),
        check("a queue with 20 workers", queue(client)),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
