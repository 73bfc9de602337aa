"""The notation for replies in transcripts: text of a reply, and expectations that replies are held against.

README.md beside this file says how it reads. `render` gives the one exact text of a reply; `parse` reads an
expectation, which is that same text or one with matchers in it; `matches` compares.
"""

import collections
import re

from support.resp import Reply

# An expectation. kind: a Reply kind, or one of the matchers any, regex, text_regex, range, unordered, rest.
Expect = collections.namedtuple("Expect", "kind value extra", defaults=(None,))

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}
_NAMED = {b"\n": "\\n", b"\r": "\\r", b"\t": "\\t", b"\a": "\\a", b"\b": "\\b", b"\\": "\\\\", b'"': '\\"'}
_TEXT_KINDS = {"simple": "simple", "error": "error", "bulk error": "bulk_error", "bulk": "bulk"}
_BARE_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*")
_PLAIN_LINE = re.compile(r"[A-Za-z](?:[ -~]*[!-~])?")  # a space at the end must be seen, so it is quoted
_RUN_BYTES_MIN = 40  # shorter runs of one byte are easier to read in full


class NotationError(Exception):
    pass


def quote(data):
    if len(data) >= _RUN_BYTES_MIN and data.count(data[:1]) == len(data):
        return "%s*%d" % (quote(data[:1]), len(data))
    out = []
    for value in data:
        byte = bytes([value])
        out.append(_NAMED.get(byte) or (chr(value) if 0x20 <= value < 0x7F else "\\x%02x" % value))
    return '"%s"' % "".join(out)


def render(reply, nested=False):
    kind, value = reply
    if kind == "simple":
        text = value.decode("latin-1")
        if _BARE_WORD.fullmatch(text) or (not nested and _PLAIN_LINE.fullmatch(text)):
            return text
        return "(simple) " + quote(value)
    if kind in ("error", "bulk_error"):
        name = "(error) " if kind == "error" else "(bulk error) "
        text = value.decode("latin-1")
        return name + (text if not nested and _PLAIN_LINE.fullmatch(text) else quote(value))
    if kind == "bulk":
        return quote(value)
    if kind == "verbatim":
        return "(verbatim %s) %s" % (value[0].decode("latin-1"), quote(value[1]))
    if kind == "integer":
        return "(integer) %d" % value
    if kind in ("double", "big"):
        return "(%s) %s" % (kind, value.decode("latin-1"))
    if kind == "bool":
        return "(bool) true" if value else "(bool) false"
    if kind in ("nil", "null"):
        return "(%s)" % kind
    if kind == "nil_array":
        return "(nil array)"
    if kind in ("map", "attribute"):
        body = ", ".join("%s: %s" % (render(k, True), render(v, True)) for k, v in value)
        return ("(attribute) " if kind == "attribute" else "") + "{%s}" % body
    body = "[%s]" % ", ".join(render(item, True) for item in value)
    return body if kind == "array" else "(%s) %s" % (kind, body)


def parse(text):
    """The expectation that `text`, everything behind `<<< `, stands for."""
    text = text.strip()
    if text.startswith("~") and not text.startswith("~/"):
        return Expect("regex", _compile(text[1:]))
    for prefix, kind in (("(error) ", "error"), ("(bulk error) ", "bulk_error")):
        rest = text[len(prefix):]
        if text.startswith(prefix) and not rest.startswith(('"', "~/")):
            if rest.startswith("~"):
                return Expect("text_regex", _compile(rest[1:]), kind)
            return Expect(kind, rest.encode())
    if re.match(r"[A-Za-z]", text):
        return Expect("simple", text.encode())
    reader = _Reader(text)
    expect = reader.value()
    reader.skip_space()
    if reader.position != len(text):
        raise NotationError("left over: %r" % text[reader.position:])
    return expect


def matches(expect, reply):
    kind = expect.kind
    if kind == "any":
        return True
    if kind == "regex":
        return expect.value.fullmatch(render(reply)) is not None
    if kind == "text_regex":
        if reply.kind != expect.extra:
            return False
        text = reply.value[1] if reply.kind == "verbatim" else reply.value
        return expect.value.fullmatch(text.decode("latin-1")) is not None
    if kind == "range":
        return reply.kind == expect.extra and expect.value[0] <= float(reply.value) <= expect.value[1]
    if kind == "unordered":
        return reply.kind == expect.extra and _match_unordered(expect.value, reply.value, matches)
    if kind != reply.kind:
        return False
    if kind in ("array", "set", "push"):
        if kind == "set":
            return _match_unordered(expect.value, reply.value, matches)
        return _match_list(expect.value, reply.value)
    if kind in ("map", "attribute"):
        return _match_unordered(expect.value, reply.value, _match_pair)
    return expect.value == reply.value


def _match_list(expected, got):
    if expected and expected[-1].kind == "rest":
        expected = expected[:-1]
        got = got[: len(expected)]
    return len(expected) == len(got) and all(matches(e, g) for e, g in zip(expected, got))


def _match_pair(expect, pair):
    return matches(expect[0], pair[0]) and matches(expect[1], pair[1])


def _match_unordered(expected, got, match):
    open_end = any(isinstance(e, Expect) and e.kind == "rest" or e == "rest" for e in expected)
    expected = [e for e in expected if not (isinstance(e, Expect) and e.kind == "rest" or e == "rest")]
    if len(expected) > len(got) or (len(expected) < len(got) and not open_end):
        return False
    # Exact expectations take their partner first, so that a matcher cannot take it from them.
    left = list(got)
    for expect in sorted(expected, key=_looseness):
        for index, reply in enumerate(left):
            if match(expect, reply):
                del left[index]
                break
        else:
            return False
    return True


def _looseness(expect):
    head = expect[0] if not isinstance(expect, Expect) else expect
    return {"any": 2, "regex": 1, "text_regex": 1, "range": 1}.get(head.kind, 0)


def _compile(text):
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise NotationError("bad regex %r: %s" % (text, error)) from error


def read_quoted(text, position):
    """(bytes, end) of the "quoted" (escapes) or 'quoted' (only \\') text at `position`, with its *N behind it."""
    mark = text[position]
    out = bytearray()
    i = position + 1
    while True:
        if i >= len(text):
            raise NotationError("unbalanced quotes: %r" % text[position:])
        c = text[i]
        if c == mark:
            break
        if c == "\\" and i + 1 < len(text):
            follow = text[i + 1]
            if mark == '"' and follow == "x" and re.fullmatch(r"[0-9a-fA-F]{2}", text[i + 2 : i + 4]):
                out.append(int(text[i + 2 : i + 4], 16))
                i += 4
                continue
            if mark == '"':
                out += _ESCAPES.get(follow, follow.encode())
                i += 2
                continue
            if follow == "'":
                out += b"'"
                i += 2
                continue
        out += c.encode()
        i += 1
    times = re.compile(r"\*(\d+)").match(text, i + 1)
    if times:
        return bytes(out) * int(times.group(1)), times.end()
    return bytes(out), i + 1


class _Reader:
    """Reads one value with everything nested in it."""

    def __init__(self, text):
        self.text = text
        self.position = 0

    def skip_space(self):
        while self.position < len(self.text) and self.text[self.position] in " \t\n":
            self.position += 1

    def take(self, literal):
        self.skip_space()
        if self.text.startswith(literal, self.position):
            self.position += len(literal)
            return True
        return False

    def take_match(self, pattern):
        self.skip_space()
        match = re.compile(pattern).match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def fail(self, what):
        raise NotationError("%s at %r" % (what, self.text[self.position : self.position + 40]))

    def quoted(self):
        self.skip_space()
        if self.text[self.position : self.position + 1] != '"':
            self.fail("a quoted text is needed")
        data, self.position = read_quoted(self.text, self.position)
        return data

    def value(self):
        if self.take("..."):
            return Expect("rest", None)
        if self.take("["):
            return Expect("array", self.items("]", self.value))
        if self.take("{"):
            return Expect("map", self.items("}", self.pair))
        if self.take("~/"):
            return Expect("regex", self.regex())
        if self.take("("):
            return self.named()
        word = self.take_match(_BARE_WORD.pattern)
        if word:
            return Expect("simple", word.group().encode())
        return Expect("bulk", self.quoted())

    def regex(self):
        match = re.compile(r"((?:[^/\\]|\\.)*)/").match(self.text, self.position)
        if not match:
            self.fail("a regex must end with /")
        self.position = match.end()
        return _compile(match.group(1).replace("\\/", "/"))

    def items(self, end, read):
        items = []
        while not self.take(end):
            if items and not self.take(","):
                self.fail("',' or %r is needed" % end)
            if items and self.take(end):  # a comma may stand behind the last item
                break
            items.append(read())
        return items

    def pair(self):
        if self.take("..."):
            return "rest"
        key = self.value()
        if not self.take(":"):
            self.fail("':' is needed behind a key")
        return key, self.value()

    def named(self):
        name = self.take_match(r"([a-z ]+)\)")
        if not name:
            self.fail("a type name is needed behind '('")
        name = name.group(1)
        if name in ("nil", "null"):
            return Expect(name, None)
        if name == "nil array":
            return Expect("nil_array", None)
        if name == "any":
            return Expect("any", None)
        if name in ("integer", "double"):
            return self.number(name)
        if name == "big":
            return Expect("big", self.take_match(r"-?\d+").group().encode())
        if name == "bool":
            return Expect("bool", self.take_match(r"true|false").group() == "true")
        if name == "attribute":
            return Expect("attribute", self.value().value)
        if name in ("set", "push"):
            return Expect(name, self.value().value)
        if name == "unordered":
            inner = self.value()
            return Expect("unordered", inner.value, inner.kind)
        if name in _TEXT_KINDS:
            return self.text_value(_TEXT_KINDS[name])
        if re.fullmatch("verbatim [a-z]{3}", name):
            if self.take("~/"):
                return Expect("text_regex", self.regex(), "verbatim")
            return Expect("verbatim", (name[9:].encode(), self.quoted()))
        return self.fail("unknown type (%s)" % name)

    def text_value(self, kind):
        if self.take("~/"):
            return Expect("text_regex", self.regex(), kind)
        return Expect(kind, self.quoted())

    def number(self, name):
        span = self.take_match(r"(-?[0-9.]+?)\.\.(-?[0-9.]+)")
        if span:
            return Expect("range", (float(span.group(1)), float(span.group(2))), name)
        word = self.take_match(r"[^\s,\]}:]+")
        if not word:
            self.fail("a number is needed")
        if name == "double":
            return Expect("double", word.group().encode())
        return Expect("integer", int(word.group()))
