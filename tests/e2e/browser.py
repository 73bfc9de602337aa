"""Debian's Chromium, without a window, driven over its DevTools protocol.

Over a pair of pipes (--remote-debugging-pipe: JSON texts, a NUL behind each), so there is no port to find and no websocket to
speak. It resolves no names, and has a profile of its own that is removed at the end.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

ANSWER_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-quic", "--hide-scrollbars",
         "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe")


def find():
    return shutil.which("chromium")


class Browser:
    """A context manager. `tab()` opens a page."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="tidegate-test-chromium-")
        self.unread = b""
        self.last_id = 0
        self.events = []

    def __enter__(self):
        to_child, self.requests = os.pipe()
        self.answers, from_child = os.pipe()

        def give_pipes():
            # Where it expects them. Both are kept apart first: one may be 3 or 4 itself.
            reads, writes = os.dup(to_child), os.dup(from_child)
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        command = [find(), *FLAGS, "--user-data-dir=" + self.profile, "about:blank"]
        with open(os.path.join(self.profile, "log"), "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False,
                                            preexec_fn=give_pipes)
        os.close(to_child)
        os.close(from_child)
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(STOP_SECONDS_MAX)
        except (OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.requests)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.requests, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            answer = self._next(deadline)
            if answer.get("id") != self.last_id:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
            else:
                return answer["result"]

    def _next(self, deadline):
        while b"\0" not in self.unread:
            if not select.select([self.answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.answers, 1 << 16)
            if not data:
                raise EOFError("the browser has ended")
            self.unread += data
        text, self.unread = self.unread.split(b"\0", 1)
        return json.loads(text)

    def tab(self, url, width=1280, height=1000, scheme="light", headers=None):
        return Tab(self, url, width, height, scheme, headers)


class Tab:
    """One page, from its first request on."""

    def __init__(self, browser, url, width, height, scheme, headers):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        if headers:
            self.call("Network.setExtraHTTPHeaders", headers=headers)
        self.resize(width, height)
        self.prefer(scheme)
        self.call("Page.navigate", url=url)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    def prefer(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression):
        """What a JavaScript expression gives, as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError("%s: %s" % (expression, answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, key):
        code = {"Escape": 27}.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "", windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def picture(self, path, whole=True):
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _events(self, method):
        self.evaluate("0")  # what was on its way has then come
        return [event["params"] for event in self.browser.events
                if event.get("sessionId") == self.session and event.get("method") == method]

    def requested(self):
        return [event["request"]["url"] for event in self._events("Network.requestWillBeSent")]

    def complaints(self):
        """Errors of scripts, of the console and of the content security policy. Answers like 404 are none."""
        found = [str(event["exceptionDetails"]) for event in self._events("Runtime.exceptionThrown")]
        found += [str(event["args"]) for event in self._events("Runtime.consoleAPICalled") if event["type"] in ("error", "assert")]
        found += [event["entry"]["text"] for event in self._events("Log.entryAdded")
                  if event["entry"]["level"] == "error" and event["entry"]["source"] != "network"]
        return found
