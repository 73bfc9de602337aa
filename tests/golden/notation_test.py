#!/usr/bin/env python3
"""The transcript notation itself: every reply type goes to text and back, and wrong replies do not pass."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import notation  # noqa: E402
import transcript  # noqa: E402
from support import resp  # noqa: E402


def reply_of(data):
    reply, end = resp.parse(data, 0)
    assert end == len(data)
    return reply


def fits(text, data):
    return notation.matches(notation.parse(text), reply_of(data))


WIRE_AND_TEXT = [
    (b"+OK\r\n", "OK"),
    (b"+Background saving started\r\n", "Background saving started"),
    (b"+1 odd\r\n", '(simple) "1 odd"'),
    (b"-ERR no\r\n", "(error) ERR no"),
    (b":-7\r\n", "(integer) -7"),
    (b"$2\r\nOK\r\n", '"OK"'),
    (b'$6\r\n\r\n\x00\xff"\\\r\n', '"\\r\\n\\x00\\xff\\"\\\\"'),
    (b"$50\r\n" + b"x" * 50 + b"\r\n", '"x"*50'),
    (b"$-1\r\n", "(nil)"),
    (b"*-1\r\n", "(nil array)"),
    (b"_\r\n", "(null)"),
    (b"*0\r\n", "[]"),
    (b"*3\r\n:1\r\n$1\r\na\r\n*2\r\n+OK\r\n-ERR x\r\n", '[(integer) 1, "a", [OK, (error) "ERR x"]]'),
    (b"~1\r\n$1\r\na\r\n", '(set) ["a"]'),
    (b">1\r\n$1\r\na\r\n", '(push) ["a"]'),
    (b"%1\r\n$1\r\na\r\n:1\r\n", '{"a": (integer) 1}'),
    (b"|1\r\n$1\r\na\r\n:1\r\n", '(attribute) {"a": (integer) 1}'),
    (b",3.5\r\n", "(double) 3.5"),
    (b",inf\r\n", "(double) inf"),
    (b"(123\r\n", "(big) 123"),
    (b"#t\r\n", "(bool) true"),
    (b"=7\r\ntxt:abc\r\n", '(verbatim txt) "abc"'),
    (b"!6\r\nERR no\r\n", "(bulk error) ERR no"),
]


class Notation(unittest.TestCase):
    def test_every_reply_has_one_text_that_fits_it_alone(self):
        for wire, text in WIRE_AND_TEXT:
            self.assertEqual(notation.render(reply_of(wire)), text)
            for other_wire, _ in WIRE_AND_TEXT:
                self.assertEqual(fits(text, other_wire), wire == other_wire, (text, other_wire))

    def test_nested_texts_read_back(self):
        for wire, _ in WIRE_AND_TEXT:
            array = b"*2\r\n" + wire + b":1\r\n"
            text = notation.render(reply_of(array))
            self.assertTrue(fits(text, array), text)

    def test_arrays_are_ordered_and_sets_and_maps_are_not(self):
        self.assertFalse(fits("[(integer) 2, (integer) 1]", b"*2\r\n:1\r\n:2\r\n"))
        self.assertTrue(fits("(unordered) [(integer) 2, (integer) 1]", b"*2\r\n:1\r\n:2\r\n"))
        self.assertTrue(fits("(set) [(integer) 2, (integer) 1]", b"~2\r\n:1\r\n:2\r\n"))
        self.assertTrue(fits('{"b": "2", "a": "1"}', b"%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"))
        self.assertFalse(fits('{"b": "1", "a": "2"}', b"%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"))

    def test_matchers(self):
        self.assertTrue(fits("(integer) 95..100", b":100\r\n"))
        self.assertFalse(fits("(integer) 95..100", b":101\r\n"))
        self.assertFalse(fits("(integer) 95..100", b"$2\r\n96\r\n"))
        self.assertTrue(fits('~"[ab]+"', b"$2\r\nab\r\n"))
        self.assertFalse(fits('~"[ab]+"', b"$3\r\nabc\r\n"))
        self.assertTrue(fits("(bulk) ~/a\\/.*/", b"$4\r\na/\r\n\r\n"))
        self.assertFalse(fits("(bulk) ~/a/", b"+a\r\n"))
        self.assertTrue(fits("(error) ~ERR .*", b"-ERR x\r\n"))
        self.assertFalse(fits("(error) ~ERR .*", b"-WRONGTYPE x\r\n"))
        self.assertTrue(fits('["a", ...]', b"*2\r\n$1\r\na\r\n:1\r\n"))
        self.assertFalse(fits('["a", "b", ...]', b"*1\r\n$1\r\na\r\n"))
        self.assertTrue(fits('{"a": (any), ...}', b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n:1\r\n"))
        # The exact element takes its partner before the loose one may.
        self.assertTrue(fits("(unordered) [(any), (integer) 1]", b"*2\r\n:1\r\n:2\r\n"))

    def test_mistakes_in_a_transcript_are_found(self):
        for line in ("<<< [1", '<<< "a', "<<< (number) 1", "@@@ sometimes", "@@@ advance 6s", '>>> GET "a"b', "PING",
                     "+++ hits 1", ">>> ", "@@@ only redis", "@@@ resp 4"):
            with self.assertRaises(transcript.TranscriptError, msg=line):
                transcript.parse(line)

    def test_a_reply_may_take_several_lines(self):
        steps = transcript.parse('>>> X\n<<< ["[",\n<<<  "b"]\n<<< OK').steps
        self.assertEqual(len(steps), 3)
        self.assertEqual(steps[1].expect.value[1].value, b"b")

    def test_requests(self):
        self.assertEqual(transcript.parse_request("SET a 'b c'"), b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nb c\r\n")
        self.assertEqual(transcript.parse_request('raw: "a\\r\\n" "b"*3'), b"a\r\nbbb")


class Parser(unittest.TestCase):
    def test_bytes_that_are_not_resp(self):
        for data in (b"?1\r\n", b":x\r\n", b"$1\r\nab\r\n", b"#x\r\n", b"_x\r\n"):
            with self.assertRaises(resp.ProtocolError, msg=data):
                resp.parse(data, 0)


if __name__ == "__main__":
    unittest.main()
