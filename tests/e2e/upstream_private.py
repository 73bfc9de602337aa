"""What a client has at an upstream for itself, through Tidegate to a real redis-server: transactions, blocking commands,
subscriptions. Nothing may be popped for a client that is gone, and none of it may be mixed up between clients."""

import json
import pathlib
import sys
import threading
import time
import urllib.request

import cluster_slots
from clients import take_over
from report import eventually
from support import resp, servers
from tools import run_tool
from upstreams import OK, ask_all, bulk, in_front_of

HERE = pathlib.Path(__file__).resolve().parent


def blocked_clients(redis):
    return int(redis.info()["blocked_clients"])


def cluster_page(server):
    with urllib.request.urlopen("http://127.0.0.1:%d/clusters" % server.admin_port, timeout=5) as answer:
        return json.load(answer)["clusters"][0]["nodes"][0]


def private_transactions(report, start):
    with servers.redis_server() as redis, in_front_of(start, redis.port) as server:
        connection, direct = server.connect(), redis.connect()
        replies = ask_all(connection, [("MULTI",), ("SET", "a", "1"), ("INCR", "a"), ("PING",), ("LPUSH", "a", "x"), ("EXEC",), ("GET", "a")])
        report.equal("MULTI … EXEC", [r.kind for r in replies], ["simple"] + 4 * ["simple"] + ["array", "bulk"])
        report.equal("its replies", [e.kind for e in replies[5].value], ["simple", "integer", "simple", "error"])
        direct.command("CONFIG", "SET", "maxmemory", "1")
        replies = ask_all(connection, [("MULTI",), ("SET", "b", "1"), ("EXEC",)])
        report.check("what the node refuses when it is queued there aborts it", replies[2].value.startswith(b"EXECABORT"), replies[2])
        direct.command("CONFIG", "SET", "maxmemory", "0")
        report.equal("nothing of it was executed", direct.command("EXISTS", "b").value, 0)
        report.equal("WATCH", connection.command("WATCH", "a"), OK)
        report.check("has a connection of its own", cluster_page(server)["private_in_use"] == 1, cluster_page(server))
        direct.command("SET", "a", "other")
        report.equal("a changed key", [r.kind for r in ask_all(connection, [("MULTI",), ("SET", "a", "mine"), ("EXEC",)])][2], "nil_array")
        report.equal("was not written", direct.command("GET", "a"), bulk("other"))
        report.check("the connection is given back", eventually(lambda: cluster_page(server)["private_idle"] == 1, 2.0))
        connection.command("WATCH", "a")
        redis.crash()
        redis.restart()
        report.check("the node was restarted under a WATCH", eventually(lambda: cluster_page(server)["private_in_use"] == 0, 3.0))
        replies = ask_all(connection, [("MULTI",), ("SET", "a", "mine"), ("EXEC",)])
        report.equal("EXEC is nil: again, please", replies[2].kind, "nil_array")
        report.check("and then it works", eventually(
            lambda: ask_all(connection, [("WATCH", "a"), ("MULTI",), ("SET", "a", "mine"), ("EXEC",)])[3].kind == "array", 3.0))
        # Transactions of many among requests of others, in pipelines.
        wrong = []

        def one_client(number):
            own = server.connect(timeout=20.0)
            for turn in range(60):
                key, text = "k:%d" % number, "%d.%d" % (number, turn)
                got = ask_all(own, [("SET", key, text), ("MULTI",), ("GET", key), ("APPEND", key, "!"), ("GET", key), ("EXEC",), ("GET", key)])
                if [e.value for e in got[5].value] != [text.encode(), len(text) + 1, (text + "!").encode()] or got[6] != bulk(text + "!"):
                    wrong.append(got)
            own.close()

        threads = [threading.Thread(target=one_client, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.equal("960 transactions of 16 clients", wrong[:2], [])


def private_blocking(report, start):
    settings = ", request-timeout: 1s"
    with servers.redis_server() as redis, in_front_of(start, redis.port, settings) as server:
        direct, connection = redis.connect(), server.connect(timeout=20.0)
        for command, feed in ((("BLPOP", "l", "0"), ("RPUSH", "l", "v")), (("BRPOP", "l", "0"), ("RPUSH", "l", "v")),
                              (("BLMOVE", "l", "m", "LEFT", "LEFT", "0"), ("RPUSH", "l", "v")), (("BRPOPLPUSH", "l", "m", "0"), ("RPUSH", "l", "v")),
                              (("BLMPOP", "0", "1", "l", "LEFT"), ("RPUSH", "l", "v")), (("BZPOPMIN", "z", "0"), ("ZADD", "z", "1", "v")),
                              (("BZPOPMAX", "z", "0"), ("ZADD", "z", "1", "v")), (("BZMPOP", "0", "1", "z", "MIN"), ("ZADD", "z", "1", "v")),
                              (("XREAD", "BLOCK", "0", "STREAMS", "s", "$"), ("XADD", "s", "*", "f", "v"))):
            connection.send(resp.encode_command(command))
            waits = eventually(lambda: blocked_clients(redis) == 1, 3.0)
            direct.command(*feed)
            reply = connection.read(3.0)
            report.check("%s waits and is served" % command[0], waits and b"v" in str(reply).encode() and reply.kind != "error", reply)
        began = time.monotonic()
        report.equal("its own timeout is longer than a request may take", connection.command("BLPOP", "none", "1.5", timeout=10).kind, "nil_array")
        report.check("and is kept", 1.4 < time.monotonic() - began < 2.2)
        lost = 0
        for turn in range(60):
            leaving = server.connect()
            leaving.send(resp.encode_command(("BLPOP", "queue", "0")))
            if not eventually(lambda: blocked_clients(redis) == 1, 3.0):
                lost += 1
            if turn % 2:
                leaving.close()
            else:
                connection.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            if not eventually(lambda: blocked_clients(redis) == 0, 3.0):
                lost += 1
            direct.command("RPUSH", "queue", turn)
            lost += direct.command("LPOP", "queue").kind != "bulk"
        report.equal("nothing is popped for 60 clients that are gone", lost, 0)
        waiting = server.connect(timeout=5.0)
        client_id = waiting.command("CLIENT", "ID").value
        for how, kind, text in (((), "nil_array", None), (("TIMEOUT",), "nil_array", None), (("ERROR",), "error", b"UNBLOCKED client unblocked via CLIENT UNBLOCK")):
            waiting.send(resp.encode_command(("BLPOP", "none", "0")))
            eventually(lambda: blocked_clients(redis) == 1, 3.0)
            flags = connection.command("CLIENT", "LIST", "ID", client_id).value
            report.check("CLIENT LIST: flag b", b"flags=b" in flags, flags)
            report.equal("CLIENT UNBLOCK %s" % (how,), connection.command("CLIENT", "UNBLOCK", client_id, *how).value, 1)
            reply = waiting.read(3.0)
            report.check("what it answers", reply.kind == kind and (text is None or reply.value == text), reply)
        report.equal("the connection goes on", waiting.command("SET", "a", "1"), OK)
        # 100 workers take 3,000 jobs; those that give up now and then lose none.
        done, lock = [], threading.Lock()

        def worker(number):
            own = server.connect(timeout=30.0)
            while True:
                reply = own.command("BLPOP", "jobs", "0", timeout=30)
                if reply.kind != "array" or reply.value[1].value == b"end":
                    break
                with lock:
                    done.append(int(reply.value[1].value))
            own.close()

        workers = [threading.Thread(target=worker, args=(n,)) for n in range(100)]
        for thread in workers:
            thread.start()
        for i in range(3000):
            (direct if i % 2 else connection).command("RPUSH", "jobs", i)
        for _ in workers:
            direct.command("RPUSH", "jobs", "end")
        for thread in workers:
            thread.join(30)
        report.equal("100 workers: each job once", sorted(done), list(range(3000)))


def private_wait(report, start):
    with servers.redis_server() as redis, servers.redis_server("--replicaof", "127.0.0.1 %d" % redis.port) as replica, \
            in_front_of(start, redis.port) as server:
        direct, connection = redis.connect(), server.connect(timeout=10.0)
        report.check("the replica is there", eventually(lambda: redis.info().get("connected_slaves") == "1" and "online" in redis.info()["slave0"], 15.0))
        connection.command("SET", "a", "1")
        report.equal("WAIT", connection.command("WAIT", "1", "2000", timeout=5).value, 1)
        replica_connection = replica.connect()
        replica_connection.command("CLIENT", "KILL", "TYPE", "master")
        replica_connection.command("REPLICAOF", "NO", "ONE")
        report.check("the replica is gone", eventually(lambda: redis.info()["connected_slaves"] == "0", 10.0))
        connection.command("SET", "a", "2")
        began = time.monotonic()
        connection.send(resp.encode_command(("WAIT", "1", "700")))
        other = server.connect()
        report.equal("WAIT holds up nobody else", other.command("GET", "a"), bulk("2"))
        report.check("who was answered before it was over", time.monotonic() - began < 0.6)
        report.equal("nobody has the write", connection.read(3.0).value, 0)


def private_subscriptions(report, start):
    with servers.redis_server() as redis, in_front_of(start, redis.port) as server:
        direct, subscriber = redis.connect(), server.connect(timeout=10.0)
        subscriber.send(b"".join(resp.encode_command(c) for c in (("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s"))))
        report.equal("confirmations", [(r.value[1].value, r.value[2].value) for r in (subscriber.read() for _ in range(4))],
                     [(b"a", 1), (b"b", 2), (b"p*", 3), (b"s", 1)])
        listed = ask_all(server.connect(), [("CLIENT", "LIST", "TYPE", "pubsub")])[0].value
        report.check("CLIENT LIST", b"sub=2 psub=1 ssub=1" in listed, listed)
        for channel, command in ((b"a", ("PUBLISH", "a", "1")), (b"p9", ("PUBLISH", "p9", "2")), (b"s", ("SPUBLISH", "s", "3"))):
            report.equal("%s through Tidegate" % command[0], ask_all(server.connect(), [command])[0].value, 1)
            report.check("is heard", channel in [e.value for e in subscriber.read().value])
        report.equal("PING", [e.value for e in subscriber.command("PING").value], [b"pong", b""])
        report.check("GET is refused", b"Can't execute 'get'" in subscriber.command("GET", "k").value)
        for turn in range(3):
            redis.crash()
            time.sleep(0.05 * turn)
            redis.restart()
            direct = redis.connect()
            again = eventually(lambda: direct.command("PUBSUB", "NUMPAT").value == 1 and direct.command("PUBSUB", "NUMSUB", "b").value[1].value == 1, 5.0)
            direct.command("PUBLISH", "b", turn)
            direct.command("SPUBLISH", "s", turn)
            report.check("restart %d: subscribed again, and only messages are heard" % turn,
                         again and [e.value for e in subscriber.read().value] == [b"message", b"b", b"%d" % turn]
                         and [e.value for e in subscriber.read().value] == [b"smessage", b"s", b"%d" % turn])
        left = ask_all(subscriber, [("UNSUBSCRIBE",), ("PUNSUBSCRIBE", "p*"), ("SUNSUBSCRIBE",)])
        left.append(subscriber.read())
        report.equal("what is left", [r.value[2].value for r in left], [2, 1, 0, 0])
        report.equal("and then all is as before", subscriber.command("SET", "k", "v"), OK)
        report.check("the connection is given back", eventually(lambda: cluster_page(server)["private_in_use"] == 0, 2.0))
        # A subscriber that does not read is cut off, and its connection with it.
        server.connect().command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1")
        slow = server.connect()
        slow.command("SUBSCRIBE", "flood")
        payload = "x" * 100_000
        cut = False
        for _ in range(400):
            cut = direct.command("PUBLISH", "flood", payload).value == 0
            if cut:
                break
        report.check("a slow subscriber is cut off", cut or eventually(lambda: direct.command("PUBLISH", "flood", "x").value == 0, 3.0))
        many = []
        for n in range(200):
            many.append(server.connect())
            many[-1].send(resp.encode_command(("SUBSCRIBE", "all", "own:%d" % n)))
        for connection in many:
            connection.read(), connection.read()
        report.equal("200 subscribers", direct.command("PUBLISH", "all", "x").value, 200)
        report.check("each hears it once", all(c.read().value[2].value == b"x" and not c.has_unread() for c in many))
        for connection in many:
            connection.close()
        report.check("all of them gone", eventually(lambda: direct.command("PUBLISH", "all", "x").value == 0, 3.0))


def private_cluster(report, start):
    """The same at a real Redis Cluster, whose slots move without the topology being told."""
    with cluster_slots.cluster_of_six(start) as (nodes, server):
        client, primaries = server.connect(timeout=10), nodes[:3]
        tag = "foo"
        slot = nodes[0].talk.command("CLUSTER", "KEYSLOT", tag).value
        owner = next(i for i in range(3) if cluster_slots.owns(nodes[i], slot))

        def move():
            nonlocal owner
            target = (owner + 1) % 3
            cluster_slots.move_slot(primaries, slot, owner, target)
            owner = target

        transaction = [("MULTI",), ("SET", "{foo}a", "1"), ("PING",), ("INCR", "{foo}a"), ("EXEC",)]
        for turn in range(3):
            report.check("a transaction, move %d" % turn, str(ask_all(client, transaction)[4]).count("integer") == 1)
            move()
        replies = ask_all(client, [("MULTI",), ("SET", "{foo}a", "1"), ("SET", "{bar}a", "1"), ("EXEC",)])
        report.check("CROSSSLOT", replies[2].value.startswith(b"CROSSSLOT") and replies[3].value.startswith(b"EXECABORT"), replies)
        move()
        replies = ask_all(client, [("WATCH", "{foo}a"), ("GET", "{foo}a"), ("GET", "{bar}a"), ("MGET", "{foo}a", "{bar}a"),
                                   ("MULTI",), ("SET", "{foo}a", "9"), ("EXEC",), ("MGET", "{foo}a", "{bar}a")])
        report.check("WATCH", replies[6].kind == "array" and replies[7].value[0] == bulk("9"), replies)
        client.command("WATCH", "{foo}a")
        server.connect().command("SET", "{foo}a", "5")
        report.equal("a changed key", ask_all(client, [("MULTI",), ("SET", "{foo}a", "6"), ("EXEC",)])[2].kind, "nil_array")
        move()
        client.send(resp.encode_command(("BLPOP", "{foo}list", "0")))
        report.check("BLPOP waits at the node of its key", eventually(lambda: blocked_clients(nodes[owner]) == 1, 5.0))
        server.connect().command("RPUSH", "{foo}list", "v")
        report.equal("and is served", client.read(5.0).value[1], bulk("v"))
        listener = server.connect(timeout=10)
        listener.command("SUBSCRIBE", "news")
        for node in primaries:
            node.talk.command("PUBLISH", "news", "x")
        report.equal("messages of every node", [listener.read().value[2].value for _ in primaries], [b"x"] * 3)


def private_transcripts(report, start):
    with start() as server:
        binary = server.command[0]
    for kind in ("redis", "replicas", "ring"):
        status, output = run_tool([sys.executable, HERE.parent / "golden" / "run.py", "--target", "upstream", "--kind", kind,
                                   "--binary", binary], seconds=300)
        report.check("transcripts through an upstream of kind %s" % kind, status == 0 and output.rstrip().endswith(" 0 failed"), output[-1500:])


def private_clients(report, start):
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run_tool([p, "-c", "import redis"])[0] == 0), None)
    with servers.redis_server() as redis, in_front_of(start, redis.port) as server:
        if report.check("python3-redis: is installed", python is not None):
            status, output = run_tool([python, HERE / "upstream_private_client.py", server.port])
            take_over(report, status, output, "python3-redis")
        report.equal("nothing is left over", cluster_page(server)["private_exhausted"], 0)
