"""The page for people, in a real browser: under load, shown what could hurt it, on a phone, while the server is away, with a token.

Pictures of it are left in build/artifacts/.
"""

import base64
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request

import browser
import page_stub
from report import eventually
from support import resp, servers

ARTIFACTS = servers.ROOT / "build" / "artifacts"
SHOWN_SECONDS_MAX = 15.0
HOT_KEY_SECONDS_MAX = 2.0
TOKEN = "a-token-of-the-tests"

# Text of the cells of one column of a panel, by its number.
COLUMN = "[...document.querySelectorAll('#%s tbody tr:not(.detail)')].map((tr) => tr.children[%d].textContent)"
NOTE = "document.querySelector('#%s .note').textContent"


def admin_url(server, path=""):
    return "http://127.0.0.1:%d/%s" % (server.admin_port, path)


def status_of(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


@contextlib.contextmanager
def load(server, key="item:hot"):
    """Most reads go to one key."""
    stop = threading.Event()

    def ask():
        connection = resp.Connection(server.port, timeout=5.0)
        connection.command("SET", key, "v" * 800)
        batch = b"".join(resp.encode_command(["GET", key if i % 5 else "item:%d" % i]) for i in range(50))
        while not stop.is_set():
            connection.send(batch)
            for _ in range(50):
                connection.read(5)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def shows(tab, condition, seconds=SHOWN_SECONDS_MAX):
    """Whether it comes true; what is not there yet has not."""
    return eventually(lambda: tab.evaluate("(() => { try { return %s; } catch { return false; } })()" % condition), seconds)


def page_live(report, start):
    """The server's own answers."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with start("--workers", "2") as server, browser.Browser() as chromium, load(server):
        tab = chromium.tab(admin_url(server))
        report.check("requests are counted", shows(tab, "parseFloat(document.querySelector('#tiles dd')?.textContent) > 0"))
        report.check("and drawn", shows(tab, "document.querySelectorAll('.chart path.series-0').length > 0"))
        report.check("commands are listed", shows(tab, COLUMN % ("commands", 0) + ".includes('get')"))
        report.check("the hot key is shown", shows(tab, COLUMN % ("hot", 0) + ".includes('item:hot')"))
        tab.picture(ARTIFACTS / "page-live.png")
        report.equal("nothing complains", tab.complaints(), [])
        elsewhere = [url for url in tab.requested() if not url.startswith(admin_url(server))]
        report.equal("nothing is asked of anybody else", elsewhere, [])
        headers = status_of(admin_url(server))[1]
        report.check("the policy of the page is strict", "default-src 'none'" in headers["Content-Security-Policy"] and
                     "unsafe" not in headers["Content-Security-Policy"], headers["Content-Security-Policy"])
        with load(server, "item:new"):
            report.check("another hot key is shown within %d s" % HOT_KEY_SECONDS_MAX,
                         shows(tab, COLUMN % ("hot", 0) + ".includes('item:new')", HOT_KEY_SECONDS_MAX))


def page_content(report, start):
    """Everything at once, with keys that would like to be markup."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with start() as server, page_stub.Stub(server.admin_port) as stub, browser.Browser() as chromium, load(server):
        tab = chromium.tab(stub.url)
        shown = shows(tab, COLUMN % ("hot", 0) + ".length === 5 && document.querySelectorAll('#nodes tbody tr').length === 4")
        report.check("every panel has rows", shown and shows(tab, "!document.querySelector('.note:not([hidden])')"))
        report.check("the hostile key is text", tab.evaluate(COLUMN % ("hot", 0) + "[3].startsWith('<img src=x')"))
        report.check("it has become no markup", not tab.evaluate("document.querySelector('main img, main script')"))
        report.equal("it has run nothing", tab.evaluate("document.title"), "Tidegate")
        report.check("what turns or hides writing is written out", tab.evaluate(COLUMN % ("hot", 0) + "[3].includes('\\\\u202e')"))
        report.equal("health of nodes", tab.evaluate(COLUMN % ("nodes", 3)), ["ok", "ok", "it does not answer", "drained"])
        report.check("quantiles are drawn", shows(tab, "document.querySelectorAll('.chart path.series-1').length > 0"))
        report.check("hit ratio of a route", shows(tab, COLUMN % ("routes", 4) + "[0] === '93.0 %'"))
        tab.evaluate("[...document.querySelectorAll('#hot tbody button')].find((b) => b.textContent === 'Who').click()")
        report.check("who asks is shown", shows(tab, "document.querySelector('.who')?.textContent.includes('10.2.0.17:52114')"))
        tab.evaluate("document.activeElement.blur()")
        check_functions(report, tab)
        check_pictures(report, tab)
        check_keyboard(report, tab)
        report.equal("nothing complains", tab.complaints(), [])
        check_away(report, tab, stub)


def check_functions(report, tab):
    """The page's own functions, as it loads them."""
    for raw, copied in ((b"item:1", "item:1"), ("schl\u00fcssel".encode(), "schl\u00fcssel"), (b"a b", '"a b"'), (b'a"\\', '"a\\"\\\\"'),
                        (b"\x00\xff\n", '"\\x00\\xff\\n"'), (b"", '""'), ("\u202e".encode(), '"\\xe2\\x80\\xae"')):
        got = tab.evaluate("import('/page/format.js').then((m) => m.copyableKey('shown', %s))" % json.dumps(base64.b64encode(raw).decode()))
        report.equal("%r is copied so that redis-cli takes it" % raw, got, copied)
    for expression, expected in (("duration(0.0000042)", "4.2 \u00b5s"), ("duration(0.25)", "250.00 ms"), ("bytes(1536)", "1.5 KiB"),
                                 ("rate(0.25)", "0.25"), ("rate(12345.6)", "12,346"), ("rate(null)", "\u2013"), ("span(3725)", "1 h 2 min"),
                                 ("ratio(1, 0)", "\u2013"), ("percent(0.126)", "12.6 %")):
        report.equal(expression, tab.evaluate("import('/page/format.js').then((m) => m.%s)" % expression), expected)
    for counts, q, expected in (([10, 0, 0], 0.5, 0.5), ([0, 10, 0], 0.5, 1.5), ([0, 0, 4], 0.99, 2), ([0, 0, 0], 0.5, None), ([99, 0, 1], 0.99, 1)):
        got = tab.evaluate("import('/page/history.js').then((m) => m.quantile(%s, [1, 2], %s))" % (q, counts))
        report.equal("quantile %s of %s" % (q, counts), got, expected)


def check_pictures(report, tab):
    for name, scheme, width, height in (("light", "light", 1280, 1000), ("dark", "dark", 1280, 1000), ("phone", "light", 360, 740),
                                        ("phone-dark", "dark", 360, 740)):
        tab.resize(width, height)
        tab.prefer(scheme)
        wide = "document.documentElement.scrollWidth <= window.innerWidth"
        report.check("%s: nothing is wider than the screen" % name, shows(tab, wide), tab.evaluate("document.documentElement.scrollWidth"))
        tab.picture(ARTIFACTS / ("page-%s.png" % name))
    report.equal("texts that are hard to read", tab.evaluate(CONTRAST), [])
    tab.prefer("light")
    report.equal("texts that are hard to read, in the light", tab.evaluate(CONTRAST), [])
    tab.resize(1280, 1000)


def check_keyboard(report, tab):
    tab.press("p")
    report.check("p pauses", shows(tab, "document.querySelector('#banner').textContent.startsWith('Paused')"))
    frozen = tab.evaluate("document.querySelector('#hot tbody').textContent")
    time.sleep(1.5)  # what must not happen has no event to wait for
    report.equal("and nothing moves", tab.evaluate("document.querySelector('#hot tbody').textContent"), frozen)
    tab.press("p")
    report.check("p goes on", shows(tab, "document.querySelector('#banner').hidden"))
    tab.press("/")
    report.equal("/ goes to the filter", tab.evaluate("document.activeElement.id"), "filter")
    tab.call("Input.insertText", text="session:")
    report.check("it filters", shows(tab, COLUMN % ("hot", 0) + ".join() === 'session:7f3a'"))
    report.check("and says where nothing is left", shows(tab, NOTE % "big" + " === 'None of 4 rows matches the filter.'"))
    tab.press("Escape")
    report.check("Escape clears it", shows(tab, COLUMN % ("hot", 0) + ".length === 5"))
    tab.press("2")
    report.equal("2 goes to the big keys", tab.evaluate("document.activeElement.id"), "big")
    tab.press("t")
    report.equal("t changes the theme", tab.evaluate("document.documentElement.dataset.theme"), "light")
    tab.press("?")
    report.check("? lists the keys", tab.evaluate("document.querySelector('#shortcuts').open"))
    tab.press("Escape")
    tab.evaluate("document.querySelector('#hot tbody button').focus()")
    report.check("focus is to be seen", tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid")
    shows(tab, "false", 1.5)
    report.equal("and stays while figures change", tab.evaluate("document.activeElement.textContent"), "Copy")


def check_away(report, tab, stub):
    stub.answers["/bigkeys"] = lambda: {"at_ms": 0, "keys": "nonsense"}
    report.check("an answer of another form spoils its own panel alone",
                 shows(tab, NOTE % "big" + ".includes('not understood')") and tab.evaluate(COLUMN % ("hot", 0) + ".length") == 5)
    stub.answers["/bigkeys"] = b"<html>"
    stub.away = True
    report.check("a server that is away is told", shows(tab, "document.querySelector('#banner').textContent.startsWith('Stale')"))
    tab.picture(ARTIFACTS / "page-stale.png", whole=False)
    stub.away = False
    report.check("and when it is back", shows(tab, "document.querySelector('#banner').hidden"))


def page_token(report, start):
    basic = {"Authorization": "Basic " + base64.b64encode(("me:" + TOKEN).encode()).decode()}
    with start("--admin-token", TOKEN) as server:
        report.equal("without the token", [status_of(admin_url(server, path))[0] for path in ("", "metrics", "hotkeys", "healthz", "readyz")],
                     [401, 401, 401, 200, 200])
        report.check("a browser is told to ask", status_of(admin_url(server))[1]["WWW-Authenticate"].startswith("Basic "))
        for headers in (basic, {"Authorization": "Bearer " + TOKEN}):
            report.equal("with it", [status_of(admin_url(server, path), headers)[0] for path in ("", "metrics", "stats")], [200, 200, 200])
        report.equal("with a wrong one", status_of(admin_url(server), {"Authorization": "Bearer " + TOKEN + "x"})[0], 401)
        report.equal("in the URL it is not taken", status_of(admin_url(server, "?token=" + TOKEN))[0], 401)
        with urllib.request.urlopen(urllib.request.Request(admin_url(server, "config"), headers=basic), timeout=5) as answer:
            text = answer.read().decode()
        report.check("/config does not show it", TOKEN not in text and json.loads(text)["options"]["admin-token"] == "(redacted)")
        with browser.Browser() as chromium, load(server):
            tab = chromium.tab(admin_url(server), headers=basic)
            report.check("the page works with it", shows(tab, "document.querySelector('#state').textContent === 'ready'"))
            report.equal("and nothing complains", tab.complaints(), [])


# Texts whose contrast to what is behind them is below 4.5 (WCAG AA), with the contrast.
CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const text = rgba(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(text), light(behind(node))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.add(node.tagName + '.' + node.getAttribute('class') + ' ' + contrast.toFixed(2));
  }
  return [...found];
})()"""
