"""Connections that behave badly, or arrive in unusual ways: what the server does to them, and not to anybody else."""

import os
import socket
import struct
import time

from report import eventually
from support import resp

MIB = 1 << 20


def is_served(server):
    """A client that behaves is answered, and soon."""
    connection = server.connect(timeout=2.0)
    try:
        started = time.monotonic()
        return connection.command("PING").value == b"PONG" and time.monotonic() - started < 1.0
    finally:
        connection.close()


def resident_bytes(server):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def push(connection, data, seconds=5.0):
    """Sends without ever reading, until all is sent, the server closes, or nothing goes on for a while."""
    connection.socket.settimeout(seconds)
    try:
        connection.socket.sendall(data)
        return True
    except (socket.timeout, BrokenPipeError, ConnectionResetError):
        return False


def is_cut_off(connection, seconds):
    """The server drops the connection, whether or not it still has bytes for us."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection.socket.settimeout(deadline - time.monotonic())
            if not connection.socket.recv(1 << 20):
                return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False
    return False


def killed(report, start):
    with start() as server:
        victim, other = server.connect(), server.connect()
        number = victim.command("CLIENT", "ID").value
        report.equal("CLIENT KILL ID", other.command("CLIENT", "KILL", "ID", number), resp.Reply("integer", 1))
        report.check("the victim is closed", victim.wait_closed(2))
        report.equal("the other one lives", other.command("PING").value, b"PONG")
        report.check("and the victim is out of CLIENT LIST",
                     eventually(lambda: b"id=%d " % number not in other.command("CLIENT", "LIST").value, 2))


def maxclients(report, start):
    with start("--maxclients", "3") as server:
        eventually(lambda: server.connect().command("PING").kind == "simple", 2)
        clients = []

        def fill():
            while len(clients) < 3:
                client = server.connect()
                if client.command("PING").kind == "error":
                    return False
                clients.append(client)
            return True

        report.check("three clients fit", eventually(fill, 3), len(clients))
        extra = server.connect()
        reply = extra.read()
        report.equal("the fourth is told", reply, resp.Reply("error", b"ERR max number of clients reached"))
        report.check("and closed", extra.wait_closed(2))
        report.check("the three still work", all(c.command("PING").value == b"PONG" for c in clients))
        clients.pop().close()
        report.check("when one leaves the next may come", eventually(fill, 3))
        report.check("rejected_connections counts", int(info_on(clients[0])["rejected_connections"]) >= 1)


def info_on(connection):
    text = connection.command("INFO", "stats").value.decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def idle_timeout(report, start):
    with start("--timeout", "1") as server:
        idle, busy = server.connect(), server.connect()
        idle.command("PING")
        started = time.monotonic()
        closed = False
        while time.monotonic() - started < 4 and not closed:
            busy.command("PING")
            closed = idle.wait_closed(0.1)
        report.check("an idle client is closed after its time", closed and time.monotonic() - started >= 0.9,
                     time.monotonic() - started)
        report.equal("a busy one is not", busy.command("PING").value, b"PONG")


def slow_reader(report, start):
    with start("--client-output-buffer-limit", "normal 1mb 0 0") as server:
        writer = server.connect()
        writer.command("SET", "big", b"x" * 100000)
        before = resident_bytes(server)
        slow = server.connect()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        push(slow, resp.encode_command(["GET", "big"]) * 2000, seconds=1.0)
        report.check("others are served meanwhile", is_served(server))
        cut = eventually(lambda: count_clients(writer) == 1, 3)
        report.check("a client that never reads is cut off at the hard limit", cut, count_clients(writer))
        report.check("its memory was bounded", resident_bytes(server) - before < 40 * MIB, resident_bytes(server) - before)
    with start("--client-output-buffer-limit", "normal 0 200kb 1") as server:
        writer = server.connect()
        writer.command("SET", "big", b"x" * 100000)
        slow = server.connect()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        report.check("both are known", eventually(lambda: count_clients(writer) == 2, 5), count_clients(writer))
        started = time.monotonic()
        push(slow, resp.encode_command(["GET", "big"]) * 100, seconds=1.0)
        cut = eventually(lambda: count_clients(writer) == 1, 5)
        report.check("and at the soft limit after its time", cut and time.monotonic() - started > 0.5,
                     time.monotonic() - started)


def count_clients(connection):
    return len(connection.command("CLIENT", "LIST").value.splitlines())


def query_buffer(report, start):
    with start("--client-query-buffer-limit", "1mb") as server:
        before = resident_bytes(server)
        promise = server.connect()
        push(promise, b"*2\r\n$4\r\nECHO\r\n$500000000\r\n")
        report.check("a promised argument costs nothing", resident_bytes(server) - before < 16 * MIB)
        push(promise, b"x" * (3 * MIB), seconds=2.0)
        report.check("more than the query buffer limit is cut off", is_cut_off(promise, 3))
        if server.kind == "tidegate":  # Redis 7.0 counts only what it has not parsed yet
            many = server.connect()
            push(many, b"*1000000\r\n" + b"$1\r\nx\r\n" * 600000, seconds=2.0)
            report.check("also in many small arguments", is_cut_off(many, 3))
        report.check("others are served", is_served(server))
    with start() as server:
        halves = [server.connect() for _ in range(200)]
        for connection in halves:
            connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nhalf a val")
        report.check("200 clients with half a frame harm nobody", is_served(server))
        for connection in halves:
            connection.send(b"x" * 90 + b"\r\n")
        report.check("and are answered when the rest comes", all(c.read().value == b"OK" for c in halves))


def pipelines(report, start):
    with start("--workers", "2") as server:
        connection = server.connect(timeout=20)
        count = 20000
        data = b"".join(resp.encode_command(["INCR", "n"]) + resp.encode_command(["ECHO", str(i)]) for i in range(count))
        reader = server.connect()
        connection.send(data[: len(data) // 2])
        connection.send(data[len(data) // 2 :])
        wrong = 0
        for i in range(count):
            wrong += connection.read().value != i + 1
            wrong += connection.read().value != b"%d" % i
        report.equal("%d commands in one pipeline are answered in order" % (2 * count), wrong, 0)
        value = os.urandom(1 << 16) * 1024  # 64 MiB
        connection.send(resp.encode_command(["SET", "huge", value]))
        report.equal("a value of 64 MiB is taken", connection.read(20).value, b"OK")
        connection.send(resp.encode_command(["GET", "huge"]))
        slowest = 0.0
        for _ in range(20):
            started = time.monotonic()
            reader.command("PING")
            slowest = max(slowest, time.monotonic() - started)
        report.check("others are served while it goes out", slowest < 0.5, slowest)
        report.check("and comes back as it was", connection.read(20).value == value)


def unix_socket(report, start):
    path = "/tmp/tidegate-e2e-%d.sock" % os.getpid()
    try:
        with start("--unixsocket", path, "--unixsocketperm", "700") as server:
            connection = resp.Connection(path=path)
            report.equal("SET over a unix socket", connection.command("SET", "a", "1").value, b"OK")
            report.equal("one keyspace for both", server.connect().command("GET", "a").value, b"1")
            report.equal("its mode is as set", os.stat(path).st_mode & 0o777, 0o700)
            report.check("CLIENT INFO tells the path", path.encode() + b":0" in connection.command("CLIENT", "INFO").value)
        report.check("the socket is gone after the server", not os.path.exists(path))
    finally:
        if os.path.exists(path):
            os.unlink(path)


def ipv6(report, start):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        report.skip("::1", "no IPv6 here: %s" % error)
        return
    with start("--bind", "127.0.0.1 ::1") as server:
        connection = server.connect(host="::1")
        report.equal("SET over ::1", connection.command("SET", "a", "1").value, b"OK")
        report.equal("and 127.0.0.1 beside it", server.connect().command("GET", "a").value, b"1")
        report.check("the address is in brackets", b" addr=[::1]:" in connection.command("CLIENT", "INFO").value)


def protected_mode(report, start):
    address = own_address()
    if address is None:
        report.skip("a client from outside", "this machine has no address but loopback")
        return
    with start("--bind", "127.0.0.1 " + address) as server:
        outside = server.connect(host=address)
        reply = outside.read()
        report.check("a client from outside is told why", reply.kind == "error" and reply.value.startswith(b"DENIED ")
                     and b"protected mode" in reply.value, reply)
        report.check("and closed", outside.wait_closed(2))
        report.check("loopback is served", is_served(server))
    with start("--bind", "127.0.0.1 " + address, "--requirepass", "secret") as server:
        outside = server.connect(host=address)
        report.equal("with a password it may come in", outside.command("AUTH", "secret").value, b"OK")
    with start("--bind", "127.0.0.1 " + address, "--protected-mode", "no") as server:
        report.equal("and with protected-mode no", server.connect(host=address).command("PING").value, b"PONG")


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: only asks which address would be used
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


PROXY_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_header(command, family, addresses, extra=b""):
    body = addresses + extra
    return PROXY_SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def proxy_protocol(report, start):
    ipv4 = proxy_header(1, 0x11, socket.inet_aton("203.0.113.7") + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4242, 6379))
    with start("--proxy-protocol", "yes", "--requirepass", "secret", bare_ping=False) as server:
        def info_with(*pieces):
            connection = server.connect()
            for piece in pieces:
                connection.send(piece)
                time.sleep(0.02)
            connection.command("AUTH", "secret")
            return connection.command("CLIENT", "INFO").value

        report.check("an IPv4 client keeps its address", b" addr=203.0.113.7:4242 " in info_with(ipv4))
        report.check("also when the header comes in pieces", b" addr=203.0.113.7:4242 " in info_with(ipv4[:5], ipv4[5:17], ipv4[17:]))
        ipv6_addresses = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack("!HH", 4343, 6379)
        report.check("an IPv6 client too", b" addr=[2001:db8::7]:4343 " in info_with(proxy_header(1, 0x21, ipv6_addresses)))
        with_tlv = proxy_header(1, 0x11, ipv4[16:], extra=b"\x04\x00\x03abc")
        report.check("what follows the addresses is passed over", b" addr=203.0.113.7:4242 " in info_with(with_tlv))
        report.check("a health check (LOCAL) shows its own address", b" addr=127.0.0.1:" in info_with(proxy_header(0, 0, b"")))
        for name, data in (("no header", b"PING\r\nPING\r\nPING\r\n"), ("version 1", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
                           ("a wrong version", ipv4[:12] + b"\x31" + ipv4[13:]), ("too short for its family", proxy_header(1, 0x11, b"abc"))):
            connection = server.connect()
            connection.send(data)
            report.check("%s: the connection is closed" % name, is_cut_off(connection, 3))


def connection_age(report, start):
    with start("--max-connection-age", "1s") as server:
        connection = server.connect()
        started = time.monotonic()
        wrong = 0
        try:
            while time.monotonic() - started < 5:
                wrong += connection.command("PING").value != b"PONG"
                time.sleep(0.005)
        except resp.Closed:
            pass
        age = time.monotonic() - started
        report.check("a busy connection ends at its age, between two requests", 0.8 < age < 3 and wrong == 0, (age, wrong))
        report.check("and a new one is welcome", is_served(server))


def blocked(report, start):
    """Clients that wait for an element, on more than one worker: who is served, who is told that its wait is over."""
    with start("--workers", "2") as server:
        waiters = [server.connect(timeout=5.0) for _ in range(8)]
        ids = [waiter.command("CLIENT", "ID").value for waiter in waiters]
        pusher = server.connect(timeout=5.0)

        def waits(n):
            return eventually(lambda: ("blocked_clients:%d\r\n" % n).encode() in pusher.command("INFO", "clients").value, 5.0)

        for waiter in waiters:
            waiter.send(resp.encode_command(["BLPOP", "queue", "0"]))
            waits(waiters.index(waiter) + 1)
        report.check("all of them wait", waits(8))
        report.check("unblocked as by time", pusher.command("CLIENT", "UNBLOCK", ids[0]).value == 1)
        report.check("the answer of a timeout", waiters[0].read().value is None)
        report.check("unblocked with an error", pusher.command("CLIENT", "UNBLOCK", ids[1], "ERROR").value == 1)
        report.check("the error", waiters[1].read().value.startswith(b"UNBLOCKED "))
        report.check("it does not wait any more", pusher.command("CLIENT", "UNBLOCK", ids[1]).value == 0)
        waiters[2].close()
        report.check("one that left is noticed", waits(5))
        for number in range(5):
            pusher.command("RPUSH", "queue", "element:%d" % number)
        answers = [waiter.read().value for waiter in waiters[3:]]
        report.check("served in the order of arrival",
                     [answer[1].value for answer in answers] == [b"element:%d" % n for n in range(5)])
        report.check("nobody waits", waits(0))
        started = time.monotonic()
        report.check("a wait ends by time", waiters[3].command("BLPOP", "queue", "0.2").value is None)
        report.check("and not before it", 0.2 <= time.monotonic() - started < 2.0)
        for connection in waiters[3:] + [pusher]:
            connection.close()
