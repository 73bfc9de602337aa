"""A server in front of a Tidegate's admin address that answers some of its pages itself, so that the page for people can be
shown anything: keys full of markup, nodes that are down, answers of another form, no answer at all.
"""

import http.server
import json
import threading
import time
import urllib.error
import urllib.request

# All that could become markup, leave its place, turn the direction of writing or vanish.
HOSTILE = ("<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
           "&lt;b&gt;\\x00\\x1b[31m'\"`${1}\u202egnp.exe\u0000\u2028</td></table>")


def now_ms():
    return int(time.time() * 1000)


def hot_keys():
    at_ms = now_ms()

    def row(key, classes, reads, writes=0.0, share=0.01, **more):
        return {"key": key, "key_base64": "", "cluster": "engine", "db": 0, "classes": classes, "reads": reads, "writes": writes,
                "misses": reads / 50, "reply_bytes": reads * 812.0, "share": share, "since_ms": at_ms - 93000, "actions": [],
                "clients": [{"address": "10.2.0.17:52114", "name": "checkout", "user": "default", "rate": reads * 0.8},
                            {"address": "10.2.0.31:40022", "name": HOSTILE, "user": "app", "rate": reads * 0.1}], **more}

    keys = [row("item:4711:price", ["read-hot", "byte-hot"], 18342.0, 12.5, 0.412), row("session:7f3a", ["write-hot"], 210.0, 3120.0, 0.071),
            row("user:90210:profile", ["miss-hot"], 1520.0, 0.0, 0.034, cluster="cache"), row(HOSTILE, ["read-hot"], 901.0, 3.0, 0.02),
            row("campaign:2026-11:banner:{de}:" + "x" * 90, ["predicted"], 702.0, 0.0, 0.015)]
    return {"at_ms": at_ms, "enabled": True, "reads": 44500.0, "writes": 3912.0, "watched": 512, "top1_share": 0.412,
            "top10_share": 0.55, "top100_share": 0.71, "promotions": 19, "cool_downs": 14, "refused": 0, "keys": keys}


def big_keys():
    at_ms = now_ms()

    def row(key, kind, size, elements, source, big=True):
        return {"key": key, "key_base64": "", "cluster": "engine", "db": 0, "type": kind, "bytes": size, "elements": elements,
                "bytes_per_second": size / 9.0, "source": source, "seen_ms": at_ms - 41000, "big": big}

    return {"at_ms": at_ms, "enabled": True, "big": 3, "listed": 4, "keys": [
        row("feed:everyone", "zset", 734003200, 9120033, "engine"), row("report:2026:q3", "string", 52428800, None, "reply"),
        row(HOSTILE, "hash", 18874368, 120000, "probe"), row("cart:99120", "list", 3145728, 40211, "request", False)]}


def clusters():
    def node(address, requests, **more):
        figures = {name: 0 for name in ("error_replies", "redirections", "script_reloads", "refused", "lost", "timeouts",
                                        "protocol_errors", "connect_failures", "breakers_open", "breaker_opens", "retries",
                                        "private_in_use", "private_idle", "private_waits", "private_exhausted")}
        return {"node": address, "connections": 2, "in_flight": 3, "requests": requests, "connects": 2, **figures,
                "p50_seconds": 0.00021, "p99_seconds": 0.0017, **more}

    rate = int(time.monotonic() * 1000)
    return {"clusters": [{"name": "cache", "kind": "redis_cluster", "nodes": [
        node("10.0.1.1:6379", rate * 9), node("10.0.1.2:6379", rate * 8, in_flight=11, timeouts=3),
        node("10.0.1.3:6379", 412, connections=0, breakers_open=2, connect_failures=18, refused=220),
        node("10.0.1.4:6379", 90)], "topology": {"version": 12, "problem": "", "nodes": [
            {"node": "10.0.1.1:6379", "role": "primary", "usable": True}, {"node": "10.0.1.2:6379", "role": "replica", "usable": True},
            {"node": "10.0.1.3:6379", "role": "primary", "usable": False, "why_not": "it does not answer"},
            {"node": "10.0.1.4:6379", "role": "replica", "usable": True, "drained": True}]}}]}


def slow_log():
    at_ms = now_ms()
    return {"entries": [
        {"id": 7, "time_ms": at_ms - 4000, "duration_us": 182004, "command": ["ZUNIONSTORE", "out", "2", "feed:everyone", "feed:old"],
         "client": "10.2.0.17:52114", "name": "checkout", "node": ""},
        {"id": 6, "time_ms": at_ms - 61000, "duration_us": 20411, "command": ["GET", HOSTILE], "client": "10.2.0.31:40022",
         "name": HOSTILE, "node": "10.0.1.2:6379"}]}


def with_more(stats):
    """/stats of a server that has several routes."""
    requests = stats["requests"]
    stats["routes"] = [
        {"route": "item:*", "cluster": "cache", "requests": requests, "hits": requests * 93 // 100, "misses": requests * 7 // 100},
        {"route": "*", "cluster": "local", "requests": requests // 3, "hits": requests // 9, "misses": requests // 5}]
    return stats


ANSWERS = {"/hotkeys": hot_keys, "/bigkeys": big_keys, "/clusters": clusters, "/slowlog": slow_log}


class Stub:
    """A context manager. `answers`: path -> function giving what is sent as JSON; None: 404; bytes: sent as they are. Others are passed on to the server."""

    def __init__(self, admin_port, answers=None):
        self.admin_port = admin_port
        self.answers = dict(ANSWERS if answers is None else answers)
        self.away = False  # True: connections are closed without an answer

    def __enter__(self):
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                stub.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler):
        if self.away:
            handler.close_connection = True
            return
        status, kept, body = self._fetch(handler.path)
        if handler.path in self.answers:
            made = self.answers[handler.path]
            status = 404 if made is None else 200
            body = b"no" if made is None else made if isinstance(made, bytes) else json.dumps(made()).encode()
        elif handler.path == "/stats" and status == 200:
            body = json.dumps(with_more(json.loads(body))).encode()
        handler.send_response(status)
        for name, value in kept:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _fetch(self, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.admin_port, path), timeout=5) as answer:
                status, headers, body = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        return status, [(n, v) for n, v in headers.items() if n not in ("Content-Length", "Connection")], body
