"""Values of many megabytes at a real upstream, beside small ones."""

import os
import threading

from report import eventually
from support import resp, servers
from upstreams import OK, ask, in_front_of

LARGE = 60 << 20


def upstream_large(report, start):
    with servers.redis_server() as redis, in_front_of(start, redis.port, ", request-timeout: 60s") as server:
        value = os.urandom(LARGE)
        client = server.connect(timeout=60.0)
        report.equal("60 MiB go", client.command("SET", "large", value), OK)
        report.equal("they are there", redis.connect().command("STRLEN", "large").value, LARGE)
        stop, answered, wrong = threading.Event(), [0], []

        def small():
            connection = server.connect(timeout=60.0)
            while not stop.is_set():
                answered[0] += 1
                if connection.command("GET", "none").kind != "nil":
                    wrong.append("a small one")

        beside = threading.Thread(target=small)
        beside.start()
        for words in (("GET", "large"), ("MGET", "large", "none"), ("GETRANGE", "large", "0", "-1")):
            reply = client.command(*words)
            report.check("%s comes whole" % words[0], (reply.value[0].value if words[0] == "MGET" else reply.value) == value)
        client.send(b"".join(resp.encode_command(words) for words in
                             (("GET", "none"), ("GET", "large"), ("ECHO", "x"), ("SET", "k", value[:100000]), ("GET", "k"), ("GET", "large"))))
        replies = [client.read() for _ in range(6)]
        report.equal("in order among small ones", [one.value for one in replies], [None, value, b"x", b"OK", value[:100000], value])
        ask(redis, "RPUSH", "list", *range(100000))
        report.equal("an array of many", client.command("LRANGE", "list", 0, -1), redis.connect().command("LRANGE", "list", 0, -1))
        stop.set()
        beside.join()
        report.check("small ones were answered meanwhile", answered[0] > 20 and not wrong, (answered, wrong))
        ask(server, "CONFIG", "SET", "client-output-buffer-limit", "normal 10mb 0 0")
        deaf = server.connect()
        deaf.send(resp.encode_command(("GET", "large")))
        report.check("a client that does not read is closed at its limit",
                     eventually(lambda: server.info()["client_output_buffer_limit_disconnections"] != "0", 20))
        report.equal("others go on", ask(server, "GET", "none").kind, "nil")
