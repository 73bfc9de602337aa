"""Scripts, functions and PUBSUB over the nodes of a real Redis Cluster: one server for its clients here too."""

from cluster_slots import OK, ask_all, bulk, cluster_of_six
from report import eventually
from support import resp

KEYS = ["script:%d" % i for i in range(60)]


def integer(value):
    return resp.Reply("integer", value)


def cluster_scripts(report, start):
    with cluster_of_six(start, ", read-from: prefer-replica") as (nodes, server):
        primaries = nodes[:3]
        client = server.connect(timeout=10)
        scripts(report, client, nodes)
        functions(report, client, primaries)
        moving(report, client, primaries)
        transactions(report, client, primaries)
        pubsub(report, server, nodes)
        kill(report, server, client, primaries)


def scripts(report, client, nodes):
    primaries = nodes[:3]
    script = "return {KEYS[1], redis.call('INCR', KEYS[1])}"
    sha = client.command("SCRIPT", "LOAD", script).value.decode()
    report.equal("SCRIPT LOAD: every primary has it", [node.talk.command("SCRIPT", "EXISTS", sha).value for node in primaries], [[integer(1)]] * 3)
    report.equal("EVALSHA at every node", [client.command("EVALSHA", sha, 1, key).value[1] for key in KEYS], [integer(1)] * len(KEYS))
    report.equal("SCRIPT EXISTS", client.command("SCRIPT", "EXISTS", sha, "0" * 40).value, [integer(1), integer(0)])
    nodes[1].talk.command("SCRIPT", "FLUSH")
    report.equal("one has lost it: it does not exist", client.command("SCRIPT", "EXISTS", sha).value, [integer(0)])
    report.equal("and is called all the same", [client.command("EVALSHA", sha, 1, key).value[1] for key in KEYS], [integer(2)] * len(KEYS))
    report.equal("which brought it back", client.command("SCRIPT", "EXISTS", sha).value, [integer(1)])
    reads = client.command("SCRIPT", "LOAD", "return redis.call('EXISTS', KEYS[1])").value.decode()
    report.equal("EVALSHA_RO: replicas learn it", {client.command("EVALSHA_RO", reads, 1, key).kind for key in KEYS}, {"integer"})
    report.check("they have it", eventually(lambda: nodes[3].talk.command("SCRIPT", "EXISTS", reads).value == [integer(1)], 2))
    report.equal("without keys", client.command("EVAL", "return ARGV[1]", 0, "x"), bulk("x"))
    for command in (("EVALSHA", "0" * 40, 0), ("EVAL", "return nope(", 0),
                    ("SCRIPT", "LOAD", "return nope("), ("SCRIPT", "KILL"), ("FUNCTION", "KILL"), ("SCRIPT", "EXISTS")):
        mine, theirs = client.command(*command), nodes[0].talk.command(*command)
        report.equal("as a node: %s" % " ".join(map(str, command))[:40], mine.value[:20], theirs.value[:20])
    mixed = ask_all(client, [part for key in KEYS for part in (("EVALSHA", sha, 1, key), ("GET", key))])
    report.check("in a pipeline", all(got.value[1] == integer(3) for got in mixed[::2]), mixed[:2])
    report.equal("SCRIPT FLUSH", client.command("SCRIPT", "FLUSH"), OK)
    report.equal("everywhere", [node.talk.command("SCRIPT", "EXISTS", sha).value for node in primaries], [[integer(0)]] * 3)
    report.check("it is forgotten here too", client.command("EVALSHA", sha, 1, "k").value.startswith(b"NOSCRIPT"))


def moving(report, client, primaries):
    """The key's slot, 12182, is on its way from the third node to the first, which has not got the script."""
    source, target = primaries[2].talk, primaries[0].talk
    names = [node.command("CLUSTER", "MYID").value for node in (source, target)]
    target.command("CLUSTER", "SETSLOT", 12182, "IMPORTING", names[0])
    source.command("CLUSTER", "SETSLOT", 12182, "MIGRATING", names[1])
    sha = client.command("SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])").value.decode()
    target.command("SCRIPT", "FLUSH")
    report.equal("a script whose key is at the target", client.command("EVALSHA", sha, 1, "foo"), integer(1))
    report.equal("it is there", target.command("SCRIPT", "EXISTS", sha).value, [integer(1)])
    report.equal("and again", client.command("EVALSHA", sha, 1, "foo"), integer(2))
    for node in primaries:
        node.talk.command("CLUSTER", "SETSLOT", 12182, "NODE", names[1])
    target.command("SCRIPT", "FLUSH")
    report.equal("the slot has moved", client.command("EVALSHA", sha, 1, "foo"), integer(3))


def functions(report, client, primaries):
    library = "#!lua name=lib\nredis.register_function('get', function(keys) return redis.call('GET', keys[1]) end)"
    report.equal("FUNCTION LOAD", client.command("FUNCTION", "LOAD", library), bulk("lib"))
    report.equal("again: Redis' error", client.command("FUNCTION", "LOAD", library), primaries[0].talk.command("FUNCTION", "LOAD", library))
    report.equal("FCALL at every node", {client.command("FCALL", "get", 1, key).value for key in KEYS}, {b"3"})
    report.equal("FUNCTION LIST: once", len(client.command("FUNCTION", "LIST").value), 1)
    dump = client.command("FUNCTION", "DUMP").value
    report.equal("FUNCTION DELETE", client.command("FUNCTION", "DELETE", "lib"), OK)
    report.equal("FUNCTION RESTORE", client.command("FUNCTION", "RESTORE", dump), OK)
    report.equal("everywhere", [len(node.talk.command("FUNCTION", "LIST").value) for node in primaries], [1, 1, 1])
    report.equal("FUNCTION STATS", client.command("FUNCTION", "STATS").kind, "array")
    report.equal("FUNCTION FLUSH", client.command("FUNCTION", "FLUSH"), OK)
    report.equal("everywhere too", [len(node.talk.command("FUNCTION", "LIST").value) for node in primaries], [0, 0, 0])


def transactions(report, client, primaries):
    replies = ask_all(client, [("MULTI",), ("EVAL", "return 1", 0), ("PUBLISH", "c", "m"), ("INCR", "counter"), ("EXEC",)])
    report.equal("a transaction with what has no keys", replies[4].value, [integer(1), integer(0), integer(1)])
    replies = ask_all(client, [("MULTI",), ("SCRIPT", "LOAD", "return 1"), ("EXEC",)])
    report.check("what every node is asked is refused there", b"several nodes" in replies[1].value and replies[2].value.startswith(b"EXECABORT"), replies)
    script = "return {KEYS[1], ARGV[1]}"
    sha = client.command("SCRIPT", "LOAD", script).value.decode()
    for node in primaries:
        node.talk.command("SCRIPT", "FLUSH")
    for key in KEYS[:5]:
        calls = [("MULTI",), ("EVALSHA", sha, 1, key, "1"), ("EVALSHA", sha.upper(), 1, key, "2"), ("EXEC",)]
        report.equal("a script that the node has not got, twice", [reply.value for reply in ask_all(client, calls)[3].value],
                     [[bulk(key), bulk("1")], [bulk(key), bulk("2")]])
    replies = ask_all(client, [("MULTI",), ("EVALSHA", "0" * 40, 1, "k"), ("EXEC",)])
    report.check("an unknown script is EXEC's matter", replies[2].value[0].value.startswith(b"NOSCRIPT"), replies)


def pubsub(report, server, nodes):
    client, listeners = server.connect(), [node.connect() for node in nodes[:3]]
    for i, listener in enumerate(listeners):
        listener.command("SUBSCRIBE", "everywhere", "only:%d" % i)
        listener.read()
    listeners[0].command("PSUBSCRIBE", "only:*")
    report.equal("PUBSUB CHANNELS", sorted(c.value for c in client.command("PUBSUB", "CHANNELS").value),
                 [b"everywhere", b"only:0", b"only:1", b"only:2"])
    report.equal("with a pattern", [c.value for c in client.command("PUBSUB", "CHANNELS", "only:1").value], [b"only:1"])
    report.equal("NUMSUB", [part.value for part in client.command("PUBSUB", "NUMSUB", "everywhere", "only:1", "none").value],
                 [b"everywhere", 3, b"only:1", 1, b"none", 0])
    report.equal("NUMPAT", client.command("PUBSUB", "NUMPAT"), integer(1))
    shard = server.connect()
    shard.command("SSUBSCRIBE", "shard")
    report.equal("SHARDCHANNELS", [c.value for c in client.command("PUBSUB", "SHARDCHANNELS").value], [b"shard"])
    report.equal("SHARDNUMSUB", [part.value for part in client.command("PUBSUB", "SHARDNUMSUB", "shard").value], [b"shard", 1])


def kill(report, server, client, primaries):
    for node in primaries:
        node.talk.command("CONFIG", "SET", "busy-reply-threshold", 50)
    for keys in ((0,), (1, "key")):
        client.send(resp.encode_command(("EVAL", "while true do end", *keys)))
        killer = server.connect()
        report.check("SCRIPT KILL ends it wherever it runs", eventually(lambda k=killer: k.command("SCRIPT", "KILL") == OK, 1.5))
        report.check("and its client hears of it", b"killed by user" in client.read(5.0).value)
