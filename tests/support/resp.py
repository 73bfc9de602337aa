"""RESP2 and RESP3 on a plain socket, for tests that must see exactly what the server sent.

A reply is a Reply(kind, value): client libraries fold types together (a null bulk string and a null array both become
None, a map becomes a list), and a test that uses them cannot tell a right reply from a nearly right one.

kinds   simple, error, bulk_error, bulk, verbatim      value: bytes (verbatim: (format, bytes))
        integer                                        value: int
        double, big, bool                              value: bytes as sent ("3.5"), bytes, bool
        nil, nil_array, null                           $-1, *-1, _
        array, set, push                               value: list of Reply
        map, attribute                                 value: list of (Reply, Reply)
"""

import collections
import socket
import time

Reply = collections.namedtuple("Reply", "kind value")


class Closed(Exception):
    """The server closed the connection."""


class Timeout(Exception):
    """No complete reply within the time given."""


class ProtocolError(Exception):
    """The server sent something that is not RESP."""


def encode_command(args):
    """The request as RESP: an array of bulk strings. `args` are bytes or str."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Connection:
    """One client connection; replies are read one by one, in order, push messages among them."""

    def __init__(self, port=None, host="127.0.0.1", path=None, timeout=20.0):
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.position = 0
        self.closed = False

    def send(self, data):
        try:
            self.socket.settimeout(self.timeout)
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed() from error

    def command(self, *args, timeout=None):
        self.send(encode_command(args))
        return self.read(timeout)

    def read(self, timeout=None):
        """The next reply. Raises Timeout, Closed or ProtocolError."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            try:
                reply, end = parse(self.buffer, self.position)
            except _Incomplete:
                self._fill(deadline)
                continue
            self.position = end
            if self.position == len(self.buffer):
                self.buffer = bytearray()
                self.position = 0
            return reply

    def has_unread(self, timeout=0.0):
        """Are there bytes that no read() has taken yet? Waits up to `timeout` seconds for the first."""
        if self.position < len(self.buffer):
            return True
        try:
            self._fill(time.monotonic() + timeout)
        except (Timeout, Closed):
            return False
        return True

    def wait_closed(self, timeout):
        """True when the server closes within `timeout` seconds. Bytes that arrive before stay readable."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._fill(deadline)
            except Closed:
                return True
            except Timeout:
                return False

    def close(self):
        self.socket.close()

    def _fill(self, deadline):
        if self.closed:
            raise Closed()
        self.socket.settimeout(max(0.0005, deadline - time.monotonic()))
        try:
            data = self.socket.recv(1 << 18)
        except (socket.timeout, BlockingIOError) as error:
            raise Timeout() from error
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            raise Closed()
        self.buffer += data


class _Incomplete(Exception):
    pass


_WORDS = {b"+": "simple", b"-": "error", b":": "integer", b",": "double", b"(": "big", b"#": "bool", b"_": "null"}
_BULKS = {b"$": "bulk", b"=": "verbatim", b"!": "bulk_error"}
_LISTS = {b"*": "array", b"~": "set", b">": "push"}
_MAPS = {b"%": "map", b"|": "attribute"}


def parse(data, position):
    """(reply, end) of the reply that starts at data[position]."""
    line_end = data.find(b"\r\n", position)
    if line_end < 0:
        raise _Incomplete()
    mark = bytes(data[position : position + 1])
    word = bytes(data[position + 1 : line_end])
    after = line_end + 2
    if mark in _WORDS:
        return Reply(_WORDS[mark], _word_value(mark, word)), after
    if mark in _BULKS:
        return _parse_bulk(mark, _length(word), data, after)
    if mark in _LISTS:
        count = _length(word)
        if count < 0:
            return Reply("nil_array", None), after
        items = []
        for _ in range(count):
            item, after = parse(data, after)
            items.append(item)
        return Reply(_LISTS[mark], items), after
    if mark in _MAPS:
        pairs = []
        for _ in range(_length(word)):
            key, after = parse(data, after)
            value, after = parse(data, after)
            pairs.append((key, value))
        return Reply(_MAPS[mark], pairs), after
    raise ProtocolError("not a RESP type: %r" % bytes(data[position : position + 40]))


def _word_value(mark, word):
    if mark == b":":
        return _length(word)
    if mark == b"#":
        if word not in (b"t", b"f"):
            raise ProtocolError("not a boolean: %r" % word)
        return word == b"t"
    if mark == b"_":
        if word:
            raise ProtocolError("a null with a text: %r" % word)
        return None
    return word


def _parse_bulk(mark, length, data, start):
    if length < 0:
        return Reply("nil", None), start
    if len(data) < start + length + 2:
        raise _Incomplete()
    text = bytes(data[start : start + length])
    end = start + length
    if data[end : end + 2] != b"\r\n":
        raise ProtocolError("no CRLF behind a bulk string of %d bytes" % length)
    if mark == b"=":
        return Reply("verbatim", (text[:3], text[4:])), end + 2
    return Reply(_BULKS[mark], text), end + 2


def _length(word):
    try:
        return int(word)
    except ValueError as error:
        raise ProtocolError("not a number: %r" % word) from error
