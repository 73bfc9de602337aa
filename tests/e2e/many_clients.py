"""Very many clients over few connections to the node: each gets its own replies, in its order."""

import resource
import socket

from support import resp, servers
from upstreams import in_front_of

CLIENTS_MAX = 10_000


def exchange(number, turn):
    """What a client asks, and what it is answered: its own key, and two others' to tell replies apart."""
    key, value = "mine:%d" % number, "%d:%d" % (number, turn)
    asked = b"".join(resp.encode_command(one) for one in (("SET", key, value), ("GET", key), ("ECHO", value), ("STRLEN", key)))
    length = len(value)
    return asked, ("+OK\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n" % (length, value, length, value, length)).encode()


def take(client, size):
    data = b""
    while len(data) < size:
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    return data


def many_clients(report, start):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = CLIENTS_MAX + 500 if hard == resource.RLIM_INFINITY else hard
    count = min(CLIENTS_MAX, limit - 500)  # this process has the other ends
    with servers.redis_server() as redis, in_front_of(start, redis.port, flags=("--workers", "2", "--maxclients", str(count + 100))) as server:
        clients = []
        try:
            for _ in range(count):
                client = socket.create_connection(("127.0.0.1", server.port), 30)
                client.settimeout(30)
                clients.append(client)
            wrong = 0
            for turn in range(2):
                for number, client in enumerate(clients):
                    client.sendall(exchange(number, turn)[0])
                for number, client in enumerate(clients):
                    expected = exchange(number, turn)[1]
                    wrong += take(client, len(expected)) != expected
            report.equal("%d clients, each with its own replies" % count, wrong, 0)
            report.check("few connections to the node", len(redis.connect().command("CLIENT", "LIST").value.splitlines()) <= 10)
        finally:
            for client in clients:
                client.close()
