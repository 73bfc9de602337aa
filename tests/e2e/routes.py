"""Routes that do more than to name a cluster: other names on the way, mirrors, keys moved out of an old Redis."""

import contextlib
import signal
import tempfile
import threading

import cluster_slots
from report import eventually
from support import resp, servers
from topology import field, start_cluster
from upstreams import OK, ask_all, bulk


@contextlib.contextmanager
def configured(start, clusters, routes, settings="", flags=("--workers", "2")):
    """A Tidegate in front of redis-servers: {name: port}, with an engine `local` beside them."""
    text = "clusters:\n  - {name: local, kind: engine%s}\n" % settings
    for name, port in clusters.items():
        text += '  - {name: %s, kind: redis, nodes: ["127.0.0.1:%d"]}\n' % (name, port)
    text += "routes: [%s]\n" % routes
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        with start(*flags, files=[config.name]) as server:
            yield server


def integer(value):
    return resp.Reply("integer", value)


def array(*items):
    return resp.Reply("array", [bulk(item) for item in items])


def route_prefixes(report, start):
    routes = ('{match: "app1:*", cluster: cache, strip-prefix: "app1:", add-prefix: "t7:"}, '
              '{match: "*", cluster: cache, add-prefix: "rest:"}')
    with servers.redis_server() as redis, configured(start, {"cache": redis.port}, routes) as server:
        client, direct = server.connect(), redis.connect()
        report.equal("MSET", client.command("MSET", "app1:a", "1", "b", "2"), OK)
        report.equal("the names there", direct.command("MGET", "t7:a", "rest:b"), array("1", "2"))
        report.equal("MGET", client.command("MGET", "app1:a", "b"), array("1", "2"))
        script = "return {KEYS[1], redis.call('GET', KEYS[1])}"
        report.equal("a script has the names there", client.command("EVAL", script, "1", "app1:a"), array("t7:a", "1"))
        client.command("RPUSH", "app1:l", "3", "1", "2")
        report.equal("SORT", client.command("SORT", "app1:l", "STORE", "app1:sorted"), integer(3))
        report.equal("its target", direct.command("LRANGE", "t7:sorted", 0, -1), array("1", "2", "3"))
        report.equal("SORT with a pattern", client.command("SORT", "app1:l", "BY", "w_*").kind, "error")
        report.equal("BLPOP", client.command("BLPOP", "app1:none", "app1:l", "0"), array("app1:l", "3"))
        client.command("XADD", "app1:s", "1-1", "f", "v")
        client.command("XGROUP", "CREATE", "app1:s", "g", "0")
        mine = client.command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "app1:s", ">")
        report.equal("XREADGROUP", mine.value[0].value[0], bulk("app1:s"))
        report.equal("KEYS of the catch-all", client.command("KEYS", "*"), array("b"))
        report.equal("SCAN", client.command("SCAN", "0", "COUNT", "1000").value[1], array("b"))
        for command in ("DBSIZE", "RANDOMKEY", "FLUSHALL"):
            report.equal(command, client.command(command).kind, "error")
        replies = ask_all(client, [("MULTI",), ("RPUSH", "app1:t", "x"), ("LMPOP", "1", "app1:t", "LEFT"), ("EXEC",)])
        report.equal("a transaction", replies[3].value[1].value[0], bulk("app1:t"))
        client.send(resp.encode_command(("BLMOVE", "app1:from", "app1:to", "LEFT", "RIGHT", "0")))
        report.check("a client waits", eventually(lambda: direct.command("CLIENT", "LIST").value.count(b"cmd=blmove") == 1, 5.0))
        direct.command("RPUSH", "t7:from", "v")
        report.equal("and is served", client.read(5.0), bulk("v"))
        report.equal("where it belongs", direct.command("LRANGE", "t7:to", 0, -1), array("v"))


def route_listeners(report, start):
    """A listener may say where everything goes that no other route has."""
    with servers.redis_server() as one, servers.redis_server() as two, tempfile.TemporaryDirectory() as directory:
        ports = [servers.free_port() for _ in range(3)]
        socket = directory + "/socket"
        text = ('listeners:\n  - {name: a, address: "127.0.0.1:%d"}\n  - {name: b, address: "127.0.0.1:%d", cluster: two}\n'
                '  - {name: c, address: "127.0.0.1:%d", cluster: local}\n  - {name: d, unixsocket: %s, cluster: two}\n'
                'clusters:\n  - {name: local, kind: engine}\n  - {name: one, kind: redis, nodes: ["127.0.0.1:%d"]}\n'
                '  - {name: two, kind: redis, nodes: ["127.0.0.1:%d"]}\n'
                'routes: [{match: "shared:*", cluster: local}, {match: "*", cluster: one, add-prefix: "p:"}]\n'
                % (*ports, socket, one.port, two.port))
        path = directory + "/listeners.yaml"
        with open(path, "w", encoding="utf-8") as config:
            config.write(text)
        with start("--workers", "2", files=[path]) as server:
            clients = [resp.Connection(server.port), *(resp.Connection(port) for port in ports[1:]), resp.Connection(path=socket)]
            for i, client in enumerate(clients):
                report.equal("SET %d" % i, client.command("SET", "k", str(i)), OK)
                client.command("SADD", "shared:s", str(i))
            report.equal("as the routes say", one.connect().command("GET", "p:k"), bulk("0"))
            report.equal("as the listeners say", two.connect().command("GET", "k"), bulk("3"))
            report.equal("the engine for one of them", clients[2].command("GET", "k"), bulk("2"))
            report.equal("other routes are for all", [client.command("SCARD", "shared:s").value for client in clients], [4] * 4)
            report.equal("DBSIZE is of one's own", [client.command("DBSIZE").value for client in clients[1:]], [1, 2, 1])
            subscriber = resp.Connection(ports[1])
            subscriber.command("SUBSCRIBE", "c")
            report.equal("another listener's PUBLISH", clients[2].command("PUBLISH", "c", "x"), integer(0))
            report.equal("the same one's", clients[3].command("PUBLISH", "c", "x"), integer(1))
            with open(path, "w", encoding="utf-8") as config:
                config.write(text.replace('"127.0.0.1:%d"]}' % two.port, '"127.0.0.1:%d"], request-timeout: 4s}' % two.port))
            server.process.send_signal(signal.SIGHUP)
            report.check("a reload replaces the cluster", eventually(
                lambda: "cluster 'two' has new settings" in server.log_text() and clients[1].command("GET", "k") == bulk("3"), 10))
            report.equal("and subscribers follow", clients[3].command("SET", "k", "4"), OK)
            report.check("to hear what is published", eventually(
                lambda: clients[3].command("PUBLISH", "c", "x") == integer(1), 10))
            with open(path, "w", encoding="utf-8") as config:
                config.write(text.replace("cluster: two}", "cluster: one}").replace("{name: two,", "{name: three,"))
            server.process.send_signal(signal.SIGHUP)
            report.check("a listener has another cluster, and its own goes", eventually(
                lambda: "cluster 'two' is removed" in server.log_text() and clients[1].command("SET", "own", "1") == OK
                and one.connect().command("GET", "own") == bulk("1"), 10))
            report.equal("its clients are where they were, with another cluster", clients[3].command("GET", "own"), bulk("1"))
            report.equal("and the others see no change", clients[0].command("GET", "k"), bulk("0"))


def route_mirror(report, start):
    for cluster in ("old", "local"):
        routes = '{match: "*", cluster: %s, mirror: {cluster: new}}' % cluster
        with servers.redis_server() as old, servers.redis_server() as new, \
                configured(start, {"old": old.port, "new": new.port}, routes) as server:
            client, direct = server.connect(), new.connect()
            for i in range(500):
                client.command("INCRBY", "n%d" % (i % 7), i)
                client.command("RPUSH", "l%d" % (i % 5), i)
            replies = ask_all(client, [("MULTI",), ("SET", "t", "1"), ("INCR", "t"), ("EXEC",)])
            report.equal(cluster + ": EXEC", replies[3].value[1], integer(2))
            report.check(cluster + ": the last write arrives", eventually(lambda: direct.command("GET", "t") == bulk("2"), 5.0))
            report.equal(cluster + ": numbers", [direct.command("GET", "n%d" % i) for i in range(7)],
                         [client.command("GET", "n%d" % i) for i in range(7)])
            report.equal(cluster + ": lists", [direct.command("LRANGE", "l%d" % i, 0, -1) for i in range(5)],
                         [client.command("LRANGE", "l%d" % i, 0, -1) for i in range(5)])
            report.equal(cluster + ": nothing was left out", int(direct.command("INFO", "commandstats").value.count(b"cmdstat_incrby")), 1)
            if cluster == "old":
                report.equal("EVAL", client.command("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "e", "v"), OK)
                report.check("EVAL is mirrored", eventually(lambda: direct.command("GET", "e") == bulk("v"), 5.0))
            new.stop()
            report.equal(cluster + ": without the mirror", client.command("SET", "after", "1"), OK)


def route_cluster(report, start):
    """The same with a real Redis Cluster: the new names decide about slots, also while slots move."""
    with contextlib.ExitStack() as stack:
        nodes = start_cluster(stack)
        eventually(lambda: all(field(node, "cluster_state") == "ok" for node in nodes), 20)
        single = stack.enter_context(servers.redis_server())
        apart = servers.free_port()
        text = ('listeners:\n  - {name: a, address: "127.0.0.1:1"}\n  - {name: b, address: "127.0.0.1:%d", cluster: single}\n'
                'clusters:\n  - {name: local, kind: engine}\n  - {name: single, kind: redis, nodes: ["127.0.0.1:%d"]}\n'
                '  - {name: shop, kind: redis_cluster, nodes: ["127.0.0.1:%d"]}\n'
                'routes:\n  - {match: "p:*", cluster: shop, strip-prefix: "p:", add-prefix: "t7:"}\n'
                '  - {match: "m:*", cluster: local, mirror: {cluster: shop}}\n'
                '  - {match: "in:*", cluster: shop, move-from: single}\n'
                '  - {match: "out:*", cluster: local, move-from: shop}\n'
                '  - {match: "*", cluster: shop}\n' % (apart, single.port, nodes[0].port))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(text)
            config.flush()
            server = stack.enter_context(start("--workers", "2", files=[config.name]))
        client = server.connect(timeout=10)
        report.check("the cluster is known", eventually(lambda: client.command("GET", "x").kind == "nil", 15))
        enabled = [b"cluster_enabled:1" in one.command("INFO", "cluster").value for one in (client, resp.Connection(apart))]
        report.equal("INFO is about the cluster of the client's listener", enabled, [True, False])
        keys = range(100)
        report.equal("MSET with other names", client.command("MSET", *[word for key in keys for word in ("p:%d" % key, key)]), OK)
        report.equal("they are there", client.command("EXISTS", *["t7:%d" % key for key in keys]), integer(100))
        report.equal("MGET with other names", client.command("MGET", *["p:%d" % key for key in keys]), array(*map(str, keys)))
        slot = nodes[0].talk.command("CLUSTER", "KEYSLOT", "t7:5").value
        owner = next(i for i in range(3) if cluster_slots.owns(nodes[i], slot))
        cluster_slots.move_slot(nodes[:3], slot, owner, (owner + 1) % 3)
        report.equal("a slot that was moved", client.command("INCR", "p:5"), integer(6))
        replies = ask_all(client, [("MULTI",), ("SET", "p:{a}1", "1"), ("INCR", "p:{a}1"), ("EXEC",), ("GET", "t7:{a}1")])
        report.equal("a transaction", replies[4], bulk("2"))
        for key in keys:
            client.command("SET", "m:%d" % key, key)
        report.check("mirrored to all nodes", eventually(
            lambda: sum(len(node.talk.command("KEYS", "m:*").value) for node in nodes[:3]) == 100, 5))
        direct = single.connect()
        direct.command("MSET", *[word for key in keys for word in ("in:%d" % key, key)])
        report.equal("moved in", client.command("MGET", *["in:%d" % key for key in keys]), array(*map(str, keys)))
        report.check("and gone", eventually(lambda: direct.command("DBSIZE") == integer(0), 5))
        for key in keys:
            target = next(node for node in nodes[:3] if cluster_slots.owns(node, node.talk.command("CLUSTER", "KEYSLOT", "out:%d" % key).value))
            target.talk.command("SET", "out:%d" % key, key)
        report.equal("moved out", client.command("MGET", *["out:%d" % key for key in keys]), array(*map(str, keys)))
        report.check("and gone from there", eventually(
            lambda: sum(len(node.talk.command("KEYS", "out:*").value) for node in nodes[:3]) == 0, 5))


def fill(connection):
    """Values of all types, in each of their forms; returns how to ask for each."""
    reads = []
    for size in (3, 700):
        values = ["v%d" % i for i in range(size)]
        connection.command("SET", "string%d" % size, "x" * size)
        connection.command("RPUSH", "list%d" % size, *values)
        connection.command("SADD", "set%d" % size, *values)
        connection.command("SADD", "ints%d" % size, *range(size))
        connection.command("HSET", "hash%d" % size, *[word for v in values for word in (v, v)])
        connection.command("ZADD", "zset%d" % size, *[word for i, v in enumerate(values) for word in (i, v)])
        for i in range(1, size):
            connection.command("XADD", "stream%d" % size, "%d-1" % i, "f", "v")
        reads += [("GET", "string%d" % size), ("LRANGE", "list%d" % size, "0", "-1"), ("SMEMBERS", "set%d" % size),
                  ("SMEMBERS", "ints%d" % size), ("HGETALL", "hash%d" % size), ("ZRANGE", "zset%d" % size, "0", "-1", "WITHSCORES"),
                  ("XRANGE", "stream%d" % size, "-", "+")]
    connection.command("SET", "number", "41")
    connection.command("PFADD", "hll", "a", "b", "c")
    reads += [("GET", "number"), ("PFCOUNT", "hll")]
    return reads


def flat(reply):
    """Comparable where the order of elements is nobody's business."""
    return sorted(str(item) for item in reply.value) if reply.kind == "array" else reply


def route_move(report, start):
    """Every key of an old redis-server, of every type, is what it was, in the engine and in another redis-server."""
    for to in ("local", "new"):
        with servers.redis_server() as old, servers.redis_server() as new, \
                configured(start, {"old": old.port, "new": new.port}, '{match: "*", cluster: %s, move-from: old}' % to) as server:
            client, direct = server.connect(), old.connect()
            reads = fill(direct)
            direct.command("SET", "short", "v", "PX", "600000")
            before = [flat(direct.command(*command)) for command in reads]
            report.equal(to + ": all types are what they were", [flat(client.command(*command)) for command in reads], before)
            report.check(to + ": with their time to live", 590_000 < client.command("PTTL", "short").value <= 600_000)
            report.equal(to + ": INCR counts on", client.command("INCR", "number"), integer(42))
            report.equal(to + ": what is not there", client.command("GET", "nothing").kind, "nil")
            report.equal(to + ": DEL", client.command("DEL", "list3"), integer(1))
            report.equal(to + ": it does not come back", client.command("EXISTS", "list3"), integer(0))
            report.check(to + ": the old one is empty", eventually(lambda: direct.command("DBSIZE") == integer(0), 10.0))
            report.equal(to + ": FLUSHALL", client.command("FLUSHALL").kind, "error")
            old.stop()
            report.equal(to + ": what is moved needs the old one no more", client.command("GET", "number"), bulk("42"))
            report.check(to + ": what is not known does", client.command("GET", "unknown").value.startswith(b"ERR moving the key"))


def route_move_under_load(report, start):
    """Clients that never stop, on keys that are moved meanwhile: every increment is there, once."""
    keys, clients, rounds = 200, 4, 3
    with servers.redis_server() as old, \
            configured(start, {"old": old.port}, '{match: "*", cluster: local, move-from: old}', settings=', appendonly: "yes"') as server:
        direct = old.connect()
        for key in range(keys):
            direct.command("SET", "n%d" % key, 1000)
        wrong = []

        def work(number):
            connection = server.connect()
            for turn in range(rounds):
                order = [(key * 7 + number * 13 + turn) % keys for key in range(keys)]
                replies = ask_all(connection, [("INCR", "n%d" % key) for key in order])
                wrong.extend(reply for reply in replies if reply.kind != "integer" or reply.value <= 1000)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report.equal("no wrong reply", wrong[:3], [])
        client = server.connect()
        values = {client.command("GET", "n%d" % key).value for key in range(keys)}
        report.equal("every increment counts once", values, {str(1000 + clients * rounds).encode()})
        report.check("the old one is empty in the end", eventually(lambda: direct.command("DBSIZE") == integer(0), 15.0))
