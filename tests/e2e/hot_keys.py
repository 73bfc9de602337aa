"""Hot keys: what real clients make hot is found, told everywhere, and cools down; in front of the engine and of redis-servers."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request

from report import eventually
from routes import configured
from support import resp, servers
from upstreams import OK, bulk

# A key becomes hot within this time of real traffic, and a busy machine's patience on top.
FOUND_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
FLAGS = ("--workers", "2", "--hot-key-rate", "200", "--hot-key-cool-time", "1s")
CHANNEL = "__tidegate__:hotkeys"


def hotkeys_page(server):
    with urllib.request.urlopen("http://127.0.0.1:%d/hotkeys" % server.admin_port, timeout=5) as answer:
        return json.load(answer)


def find(server, key):
    return next((one for one in hotkeys_page(server)["keys"] if one["key"] == key), None)


@contextlib.contextmanager
def traffic(server, name, commands, per_turn=20):
    """A client with that name that asks these again and again, until the end."""
    stop = threading.Event()
    ready = threading.Event()
    wrong = []

    def run():
        client = server.connect()
        client.command("CLIENT", "SETNAME", name)
        request = b"".join(resp.encode_command(command) for command in commands) * per_turn
        while not stop.is_set():
            client.send(request)
            for _ in range(per_turn * len(commands)):
                reply = client.read(5.0)
                if reply.kind == "error":
                    wrong.append(reply)
            ready.set()
            time.sleep(0.005)
        client.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(PATIENCE_SECONDS)
    try:
        yield wrong
    finally:
        stop.set()
        thread.join()


def watch_life(report, server, cluster, label):
    """A key gets hot, everybody says so, and it cools down."""
    listener = server.connect()
    listener.command("SUBSCRIBE", CHANNEL)
    client = server.connect()
    client.command("SET", "item:1", "x" * 100)
    began = time.monotonic()
    with traffic(server, "shop", [("GET", "item:1")]) as wrong:
        report.check(label + ": /hotkeys has it", eventually(lambda: find(server, "item:1") is not None, PATIENCE_SECONDS))
        took = time.monotonic() - began
        report.check(label + ": soon (%.2f s)" % took, took < FOUND_SECONDS + PATIENCE_SECONDS)

        def is_described():
            row = find(server, "item:1")
            return row is not None and row["clients"] and row["clients"][0]["name"] == "shop" and row["reads"] > 200
        report.check(label + ": with its client's name", eventually(is_described, PATIENCE_SECONDS))
        row = find(server, "item:1")
        report.equal(label + ": where it is", (row["cluster"], row["db"], row["key_base64"]), (cluster, 0, "aXRlbTox"))
        report.equal(label + ": its class", row["classes"], ["read-hot"])
        report.equal(label + ": its user", row["clients"][0]["user"], "default")
        report.check(label + ": most of the traffic", row["share"] > 0.5)
        listed = client.command("HOTKEYS", "GET").value
        report.equal(label + ": HOTKEYS GET", [listed[0].value[i] for i in (0, 1, 2)], [bulk("key"), bulk("item:1"), bulk("db")])
        own = client.command("TIDEGATE", "HOTKEYS").value[0].value
        report.equal(label + ": TIDEGATE HOTKEYS", own[1:4:2], [bulk("item:1"), bulk(cluster)])
        explained = client.command("TIDEGATE", "EXPLAIN", "item:1").value
        fields = {explained[i].value: explained[i + 1] for i in range(0, len(explained), 2)}
        report.equal(label + ": TIDEGATE EXPLAIN", [part.value for part in fields[b"classes"].value], [b"read-hot"])
        report.equal(label + ": no error meanwhile", wrong, [])
        metrics = server.metrics_text()
        report.check(label + ": metrics", 'tidegate_hot_keys{class="read-hot"} 1' in metrics)
        report.check(label + ": metrics name no key", "item:1" not in metrics)
    message = listener.read(PATIENCE_SECONDS)
    event = json.loads(message.value[2].value)
    report.equal(label + ": the channel tells of it", (message.value[1], event["event"], event["key"]), (bulk(CHANNEL), "hot", "item:1"))
    message = listener.read(10.0)
    event = json.loads(message.value[2].value)
    report.equal(label + ": and that it has cooled down", (event["event"], event["key"]), ("cool", "item:1"))
    report.check(label + ": then it is gone", eventually(lambda: find(server, "item:1") is None, PATIENCE_SECONDS))


def hot_keys_engine(report, start):
    with start(*FLAGS) as server:
        watch_life(report, server, "engine", "engine")
        client = server.connect()
        with traffic(server, "\x01<b>", [("INCR", "n\xff".encode("latin-1"))]):
            report.check("a key of any bytes", eventually(lambda: find(server, "n\\xff") is not None, PATIENCE_SECONDS))
            row = find(server, "n\\xff")
            report.equal("its bytes", (row["key_base64"], row["classes"]), ("bv8=", ["write-hot"]))
        report.equal("off", client.command("CONFIG", "SET", "hot-keys", "no"), OK)
        report.check("nothing is known then", eventually(
            lambda: not hotkeys_page(server)["enabled"] and not hotkeys_page(server)["keys"], PATIENCE_SECONDS))


def hot_keys_redis(report, start):
    with servers.redis_server() as redis, \
            configured(start, {"cache": redis.port}, '{match: "*", cluster: cache}', flags=FLAGS) as server:
        watch_life(report, server, "cache", "redis")


def hot_keys_ring(report, start):
    with servers.redis_server() as a, servers.redis_server() as b:
        clusters = ("clusters:\n  - {name: nodes, kind: ring, nodes: [\"127.0.0.1:%d\", \"127.0.0.1:%d\"]}\n"
                    "routes: [{match: \"*\", cluster: nodes}]\n" % (a.port, b.port))
        with written(clusters) as path, start(*FLAGS, files=[path]) as server:
            watch_life(report, server, "nodes", "ring")


@contextlib.contextmanager
def written(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text)
        config.flush()
        yield config.name


def hot_keys_predicted(report, start):
    now = int(time.time())
    text = ('clusters: [{name: local, kind: engine}]\nhot-keys-predicted:\n  - {key: always}\n'
            '  - {key: over, until: %d}\n  - {key: later, from: %d}\n' % (now - 60, now + 3600))
    with written(text) as path, start("--workers", "1", files=[path]) as server:
        report.check("a predicted key is hot", eventually(lambda: find(server, "always") is not None, PATIENCE_SECONDS))
        report.equal("and no other", [(one["key"], one["classes"]) for one in hotkeys_page(server)["keys"]],
                     [("always", ["predicted"])])


def hot_keys_costs(report, start):
    """HOTKEYS START … GET, and redis-cli --hotkeys."""
    with start("--workers", "2") as server:
        client = server.connect()
        report.equal("START", client.command("HOTKEYS", "START", "METRICS", "2", "CPU", "NET", "COUNT", "2"), OK)
        report.equal("a second one", client.command("HOTKEYS", "START", "METRICS", "1", "CPU").value,
                     b"ERR hotkey tracking session already in progress")
        others = [server.connect() for _ in range(3)]
        for i in range(300):
            others[i % 3].command("SET", "big", "x" * 2000)
            others[i % 3].command("GET", "small%d" % (i % 7))
        report.equal("STOP", client.command("HOTKEYS", "STOP"), OK)
        pairs = client.command("HOTKEYS", "GET").value[0].value
        fields = {pairs[i].value.decode(): pairs[i + 1] for i in range(0, len(pairs), 2)}
        net = fields["by-net-bytes"].value
        report.equal("the dearest key", net[0], bulk("big"))
        report.check("its bytes", 600000 < net[1].value < 620000)
        report.equal("two of them", len(net), 4)
        report.check("time", fields["all-commands-all-slots-us"].value > 0)
        report.equal("it has ended", fields["tracking-active"].value, 0)
        report.equal("RESET", client.command("HOTKEYS", "RESET"), OK)
        report.equal("GET after it", client.command("HOTKEYS", "GET").kind, "array")
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        for _ in range(200):
            client.command("GET", "big")
        if shutil.which("redis-cli"):
            done = subprocess.run(["redis-cli", "-p", str(server.port), "--hotkeys", "-i", "0"], capture_output=True, timeout=30, text=True)
            report.check("redis-cli --hotkeys", "keyname: \"big\"" in done.stdout)
