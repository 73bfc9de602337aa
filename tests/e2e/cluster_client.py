"""python3-redis through Tidegate to a Redis Cluster. Argument: the port on 127.0.0.1."""

import sys

import redis

failed = False


def check(name, good, detail=""):
    global failed
    failed = failed or not good
    print("%s %s%s" % ("ok" if good else "FAIL", name, "" if good else ": %s" % (detail,)))


port = int(sys.argv[1])
cluster = redis.cluster.RedisCluster(host="127.0.0.1", port=port)
check("RedisCluster finds one node", [node.port for node in cluster.get_nodes()] == [port], cluster.get_nodes())
for i in range(100):
    cluster.set("py:%d" % i, i)
check("keys of all slots", [int(cluster.get("py:%d" % i)) for i in range(100)] == list(range(100)))
pipeline = cluster.pipeline()
for i in range(100):
    pipeline.incr("py:%d" % i)
check("a pipeline over all slots", pipeline.execute() == [i + 1 for i in range(100)])
check("keys of one slot at once", cluster.mset_nonatomic({"py:%d" % i: 0 for i in range(10)}) is not None)

plain = redis.Redis(host="127.0.0.1", port=port)
check("without a cluster client: MSET over slots", plain.mset({"pl:%d" % i: i for i in range(50)}) is True)
check("MGET over slots", plain.mget(["pl:%d" % i for i in range(50)] + ["none"]) == [b"%d" % i for i in range(50)] + [None])
check("DEL over slots", plain.delete(*["pl:%d" % i for i in range(50)], "none") == 50)
pipeline = plain.pipeline(transaction=False)
for i in range(500):
    pipeline.set("pp:%d" % i, i)
    pipeline.get("pp:%d" % i)
check("replies of all nodes in order", pipeline.execute()[1::2] == [b"%d" % i for i in range(500)])
check("SCAN over all nodes", sum(1 for _ in plain.scan_iter("pp:*", count=50)) == 500)
check("DBSIZE over all nodes", plain.dbsize() >= 500, plain.dbsize())
try:
    plain.sinter("a", "b")
    check("keys of several slots are refused", False, "no error")
except redis.ResponseError as error:
    check("keys of several slots are refused", "CROSSSLOT" in str(error) or "same slot" in str(error), error)
with plain.pipeline(transaction=True) as transaction:
    transaction.incr("{t}a").incr("{t}b")
    check("a transaction within a slot", transaction.execute() == [1, 1])
sys.exit(failed)
