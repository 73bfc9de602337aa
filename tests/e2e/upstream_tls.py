"""TLS to upstreams: real servers that speak it, with certificates that the openssl program makes on the spot.

The servers have a plain port too, over which the tests themselves talk to them; Tidegate is told of the other one alone.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from discovery import Writer, check_ping, in_front_of, metric, owner_of_slot, primary_of, topology_of, usable
from report import eventually
from support import resp, servers
from tools import run_tool
from topology import RANGES, field, start_sentinel

OK = resp.Reply("simple", b"OK")


def openssl(*words):
    subprocess.run(("openssl",) + words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Certificates:
    """An authority, and what it signed, as files in a directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority("ca")
        self.signed("node", "IP:127.0.0.1,DNS:localhost")

    def path(self, name):
        return str(self.directory / name)

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"))

    def signed(self, name, names, *more, by="ca"):
        extensions = self.directory / (name + ".ext")
        extensions.write_text("subjectAltName=%s\n" % names)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
                self.path(name + ".key"), "-out", self.path(name + ".csr"))
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(by + ".pem"), "-CAkey", self.path(by + ".key"),
                "-CAcreateserial", "-extfile", str(extensions), "-out", self.path(name + ".pem"), *(more or ("-days", "2")))

    def trusting(self, more=""):
        return ", tls: {ca-file: %s%s}" % (self.path("ca.pem"), more)


@contextlib.contextmanager
def certificates():
    directory = tempfile.mkdtemp(prefix="tidegate-test-tls-")
    try:
        yield Certificates(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def flags_of(made, tls_port, name="node", clients="no"):
    return ["--tls-port", str(tls_port), "--tls-cert-file", made.path(name + ".pem"), "--tls-key-file", made.path(name + ".key"),
            "--tls-ca-cert-file", made.path("ca.pem"), "--tls-auth-clients", clients]


def start_node(stack, made, *flags, name="node", clients="no"):
    """A redis-server whose `tls_port` speaks TLS."""
    tls_port = servers.free_port()
    node = stack.enter_context(servers.redis_server(*flags_of(made, tls_port, name, clients), *flags))
    node.tls_port = tls_port
    return node


def in_front_of_one(start, port, more):
    return in_front_of(start, "redis", [port], more, settings="connect-timeout: 1s")


def error_of(start, port, more):
    with in_front_of_one(start, port, more) as server:
        return server.connect().command("GET", "k").value.decode()


def tls_node(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        node = start_node(stack, made, clients="yes")
        made.signed("proxy", "DNS:proxy")
        shown = made.trusting(", cert-file: %s, key-file: %s" % (made.path("proxy.pem"), made.path("proxy.key")))
        server = stack.enter_context(in_front_of_one(start, node.tls_port, shown))
        client = server.connect(timeout=20.0)
        report.equal("SET", client.command("SET", "k", "v"), OK)
        report.equal("it is there", node.connect().command("GET", "k").value, b"v")
        for size in (100, 16384, 300_000, 20 << 20):
            value = os.urandom(size)
            report.check("%d bytes there and back" % size, client.command("SET", "large", value) == OK
                         and client.command("GET", "large").value == value)
        client.send(b"".join(resp.encode_command(("INCR", "n")) for _ in range(5000)))
        report.equal("a pipeline of 5000", [client.read().value for _ in range(5000)], list(range(1, 5001)))
        report.equal("a transaction", [client.command(*words).kind for words in (("MULTI",), ("INCR", "n"), ("EXEC",))],
                     ["simple", "simple", "array"])
        subscriber = server.connect()
        subscriber.command("SUBSCRIBE", "c")
        client.command("PUBLISH", "c", "m")
        report.equal("SUBSCRIBE, over a private connection", subscriber.read().value[2].value, b"m")
        report.equal("BLPOP too", (client.command("RPUSH", "l", "x").value, client.command("BLPOP", "l", 1).value[1].value), (1, b"x"))
        check_ping(report, server, [type("Node", (), {"port": node.tls_port})])
        # The certificate is renewed: a signal has it read again, and connections that are there stay.
        made.signed("proxy", "DNS:proxy.renewed")
        connected = metric(server, "tidegate_upstream_connects_total")
        server.process.send_signal(signal.SIGHUP)
        report.check("after SIGHUP all goes on", all(client.command("INCR", "n").kind == "integer" for _ in range(50)))
        report.equal("over the same connection", metric(server, "tidegate_upstream_connects_total"), connected)
        node.crash()
        node.restart()
        report.check("a node that comes back is connected to again",
                     eventually(lambda: client.command("SET", "k", "w") == OK, 10))


def tls_errors(report, start):
    failed = "TLS: certificate verify failed: "
    with certificates() as made, contextlib.ExitStack() as stack:
        made.authority("other")
        node = start_node(stack, made)
        trusted = made.trusting()
        begin = "ERR upstream cluster 'shop', 127.0.0.1:%d: " % node.tls_port
        report.equal("an authority that we do not trust",
                     error_of(start, node.tls_port, ", tls: {ca-file: %s}" % made.path("other.pem")),
                     begin + failed + "self-signed certificate in certificate chain")
        report.equal("nor does the system", error_of(start, node.tls_port, ", tls: true"),
                     begin + failed + "self-signed certificate in certificate chain")
        report.equal("another name", error_of(start, node.tls_port, made.trusting(", server-name: cache.internal")),
                     begin + failed + "hostname mismatch")
        made.signed("named", "DNS:cache.internal")
        named = start_node(stack, made, name="named")
        report.equal("no such address", error_of(start, named.tls_port, trusted),
                     begin.replace(str(node.tls_port), str(named.tls_port)) + failed + "IP address mismatch")
        with in_front_of_one(start, named.tls_port, made.trusting(", server-name: cache.internal")) as server:
            report.equal("which server-name sets right", server.connect().command("SET", "k", "v"), OK)
        with in_front_of_one(start, named.tls_port, ", tls: {verify: false}") as server:
            report.equal("nothing is verified when that is wanted", server.connect().command("SET", "k", "v"), OK)
        made.signed("expired", "IP:127.0.0.1", "-days", "-1")
        old = start_node(stack, made, name="expired")
        report.check("an expired certificate", error_of(start, old.tls_port, trusted).endswith(failed + "certificate has expired"))
        choosy = start_node(stack, made, clients="yes")
        refused = error_of(start, choosy.tls_port, trusted)
        report.check("a node that wants a certificate of ours", "TLS: " in refused and "certificate required" in refused, refused)
        plain = error_of(start, node.port, trusted)
        report.check("a node that does not speak TLS", "TLS: " in plain, plain)
        report.check("a node that speaks nothing else", "it closed the connection" in error_of(start, node.tls_port, ""))
        bad_files(report, made, node)


def bad_files(report, made, node):
    binary = servers.find_binary()
    for text, expected in (("ca-file: /nowhere/ca.pem", "ca-file '/nowhere/ca.pem': No such file or directory"),
                           ("cert-file: %s, key-file: %s" % (made.path("node.pem"), made.path("ca.key")), "key values mismatch"),
                           ("cert-file: a.pem", "needs both of cert-file and key-file")):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write('clusters:\n  - {name: shop, kind: redis, nodes: ["127.0.0.1:%d"], tls: {%s}}\n' % (node.tls_port, text))
            config.flush()
            for command in ([binary, "--check-config", config.name], [binary, config.name, "--port", str(servers.free_port()), "--admin-address", "off"]):
                status, output = run_tool(command)
                report.check("no start with %s" % text.split(":")[0], status == 1 and expected in output, output)


def tls_replicas(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        fast = ("--repl-diskless-sync-delay", "0", "--tls-replication", "yes")
        first = start_node(stack, made, *fast)
        second = start_node(stack, made, "--replicaof", "127.0.0.1 %d" % first.tls_port, *fast)
        server = stack.enter_context(in_front_of(start, "replicas", [first.tls_port], made.trusting()))
        report.equal("the primary", primary_of(server), first.tls_port)
        writer = Writer(server)
        report.check("a write", writer.works())
        report.check("its replica is found, at its TLS port",
                     eventually(lambda: usable(server) == {first.tls_port: True, second.tls_port: True}, 10), usable(server))
        second.connect().command("REPLICAOF", "NO", "ONE")
        first.connect().command("REPLICAOF", "127.0.0.1", second.tls_port)
        report.check("a swap of roles is followed", eventually(writer.works, 5) and primary_of(server) == second.tls_port)


def tls_sentinel(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        fast = ("--repl-diskless-sync-delay", "0", "--tls-replication", "yes")
        old = start_node(stack, made, *fast)
        new = start_node(stack, made, "--replicaof", "127.0.0.1 %d" % old.tls_port, *fast)
        eventually(lambda: new.info()["master_link_status"] == "up", 10)
        watchers = []
        for _ in range(3):
            tls_port = servers.free_port()
            pairs = flags_of(made, tls_port)
            more = "".join("%s %s\n" % (pairs[i][2:], pairs[i + 1]) for i in range(0, len(pairs), 2)) + "tls-replication yes\n"
            watchers.append(start_sentinel(stack, old.tls_port, more))
            watchers[-1].tls_port = tls_port
        eventually(lambda: all(len(s.connect().command("SENTINEL", "SENTINELS", "db").value) == 2 and
                               len(s.connect().command("SENTINEL", "REPLICAS", "db").value) == 1 for s in watchers), 15)
        server = stack.enter_context(in_front_of(start, "sentinel", [watchers[0].tls_port], ", primary-name: db" + made.trusting()))
        report.equal("the primary by its sentinels", primary_of(server), old.tls_port)
        writer = Writer(server)
        report.check("a write", writer.works())
        old.crash()
        report.check("and writes after a failover", eventually(lambda: writer.works() and primary_of(server) == new.tls_port, 25))


def tls_sentinel_apart(report, start):
    """Sentinels that have TLS and a password, though the nodes have neither; and nodes that have it, though the sentinels do not."""
    with certificates() as made, contextlib.ExitStack() as stack:
        fast = ("--repl-diskless-sync-delay", "0")
        node = start_node(stack, made, *fast)
        tls_port = servers.free_port()
        pairs = flags_of(made, tls_port)
        more = "".join("%s %s\n" % (pairs[i][2:], pairs[i + 1]) for i in range(0, len(pairs), 2))
        watcher = start_sentinel(stack, node.port, more + "requirepass watching\n")
        trusting = made.trusting().replace("tls:", "sentinel-tls:")
        with in_front_of(start, "sentinel", [tls_port], ", primary-name: db, sentinel-password: watching" + trusting) as server:
            report.equal("the primary by its sentinel", primary_of(server), node.port)
            report.equal("a write", server.connect().command("SET", "k", "v"), OK)
            report.equal("it is there", node.connect().command("GET", "k").value, b"v")
            report.equal("over TLS, for nobody else is let in", watcher.connect().command("PING").value.split()[0], b"NOAUTH")
        for settings, said in ((", primary-name: db" + trusting, "NOAUTH"),
                               (", primary-name: db, sentinel-password: wrong" + trusting, "WRONGPASS"),
                               (", primary-name: db, sentinel-password: watching, sentinel-tls: true", "certificate verify failed")):
            with in_front_of(start, "sentinel", [tls_port], settings) as server:
                problem = lambda: json.dumps(topology_of(server))  # noqa: E731
                report.check("not without the right ones: " + said, eventually(lambda: said in problem(), 10), problem())
        secure = start_sentinel(stack, node.tls_port, more.replace("tls-port %d" % tls_port, "tls-port 0") + "tls-replication yes\n")
        with in_front_of(start, "sentinel", [secure.port], ", primary-name: db, sentinel-tls: false" + made.trusting()) as server:
            report.equal("the other way round", primary_of(server), node.tls_port)
            report.equal("a write", server.connect().command("SET", "k", "w"), OK)
        bad = 'clusters:\n  - {name: shop, kind: sentinel, nodes: ["a:1"], primary-name: db, sentinel-tls: {ca-file: /nowhere/ca.pem}}\n'
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(bad)
            config.flush()
            status, output = run_tool([servers.find_binary(), "--check-config", config.name])
            report.check("a file that is not there", status == 1 and "sentinel-tls of the upstream cluster 'shop'" in output, output)


def tls_ca_directory(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        node = start_node(stack, made)
        trusted, empty = made.directory / "trusted", made.directory / "empty"
        for directory in (trusted, empty):
            directory.mkdir()
        made.authority("other")
        for name in ("ca.pem", "other.pem"):
            shutil.copy(made.path(name), trusted)
        openssl("rehash", str(trusted))
        with in_front_of_one(start, node.tls_port, ", tls: {ca-dir: %s}" % trusted) as server:
            report.equal("an authority of the directory", server.connect().command("SET", "k", "v"), OK)
        refused = error_of(start, node.tls_port, ", tls: {ca-dir: %s}" % empty)
        report.check("which an empty one does not have", "TLS: certificate verify failed" in refused, refused)


def tls_cluster(report, start):
    with certificates() as made, contextlib.ExitStack() as stack:
        nodes = []
        for (first, last), epoch in zip(RANGES, range(1, 4)):
            bus = servers.free_port()
            node = start_node(stack, made, "--cluster-enabled", "yes", "--cluster-port", str(bus), "--tls-cluster", "yes",
                              "--cluster-node-timeout", "1500")
            node.bus, node.talk = bus, node.connect()
            node.talk.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            node.talk.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            nodes.append(node)
        for node in nodes[1:]:
            nodes[0].talk.command("CLUSTER", "MEET", "127.0.0.1", node.tls_port, node.bus)
        eventually(lambda: all(field(node, "cluster_known_nodes") == "3" and field(node, "cluster_state") == "ok" for node in nodes), 20)
        server = stack.enter_context(in_front_of(start, "redis_cluster", [nodes[0].tls_port], made.trusting()))
        ports = [node.tls_port for node in nodes]
        report.check("all three from one, at their TLS ports",
                     eventually(lambda: usable(server) == dict.fromkeys(ports, True), 10), usable(server))
        report.equal("slots", [owner_of_slot(server, first) for first, _ in RANGES], ports)
        client = server.connect()
        keys = ["k%d" % i for i in range(200)]
        report.check("keys of all nodes", all(client.command("SET", key, key) == OK for key in keys))
        report.equal("and back, in one command", [one.value.decode() for one in client.command("MGET", *keys).value], keys)
        # A slot changes hands while the server has the old view: MOVED names the TLS port.
        slot = client.command("CLUSTER", "KEYSLOT", "k1").value
        owner = next(i for i, (first, last) in enumerate(RANGES) if first <= slot <= last)
        target = nodes[(owner + 1) % 3]
        name = target.talk.command("CLUSTER", "MYID").value
        client.command("DEL", *keys)
        for node in (target, nodes[owner], nodes[(owner + 2) % 3]):
            node.talk.command("CLUSTER", "SETSLOT", slot, "NODE", name)
        target.talk.command("CLUSTER", "BUMPEPOCH")
        report.equal("after MOVED", client.command("SET", "k1", "moved"), OK)
        report.equal("it is there", target.talk.command("GET", "k1").value, b"moved")
