"""Reads a transcript file into steps. README.md beside this file describes the form of the file.

Nothing is sent here: a mistake in a transcript is found before any server is asked.
"""

import dataclasses
import re
import shlex
import typing

import notation
from support import resp

PAUSE_SECONDS_MAX = 5.0


class TranscriptError(Exception):
    def __init__(self, line, message):
        super().__init__(message)
        self.line = line


@dataclasses.dataclass
class Send:
    line: int
    text: str
    data: bytes


@dataclasses.dataclass
class Receive:
    line: int
    line_count: int
    text: str
    expect: typing.Optional[notation.Expect]  # None: nothing may arrive


@dataclasses.dataclass
class Metric:
    line: int
    name: str
    delta: float


@dataclasses.dataclass
class Directive:
    line: int
    word: str
    argument: str


@dataclasses.dataclass
class Transcript:
    lines: list
    steps: list
    flags: list  # of the server that this transcript wants for itself; None when any will do
    only: typing.Optional[str]  # the one server that the whole file is for

    @property
    def metric_names(self):
        return [step.name for step in self.steps if isinstance(step, Metric)]


_DIRECTIVES = {
    "advance": r"\d+(\.\d+)?(ms|s)",
    "client": r"\w+",
    "close": r"",
    "closed": r"",
    "eventually": r"\d+(\.\d+)?(ms|s)",
    "only": r"(redis|tidegate): .+",
    "resp": r"[23]",
}


def seconds(text):
    value = float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])
    if value > PAUSE_SECONDS_MAX:
        raise ValueError("longer than %g s" % PAUSE_SECONDS_MAX)
    return value


def load(path):
    with open(path, encoding="utf-8") as file:
        return parse(file.read())


def parse(text):
    transcript = Transcript(lines=text.split("\n"), steps=[], flags=None, only=None)
    number = 0
    while number < len(transcript.lines):
        number += 1
        line = transcript.lines[number - 1]
        mark, rest = line[:3], line[4:]
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if mark == ">>>":
                transcript.steps.append(Send(number, rest, parse_request(rest)))
            elif mark == "<<<":
                count = _lines_of_reply(transcript.lines, number - 1)
                transcript.steps.append(_parse_reply(transcript.lines, number, count))
                number += count - 1
            elif mark == "+++":
                transcript.steps.append(_parse_metric(number, rest))
            elif mark == "@@@":
                _add_directive(transcript, number, rest)
            else:
                raise ValueError("a line begins with >>>, <<<, +++, @@@ or #")
        except (ValueError, notation.NotationError) as error:
            raise TranscriptError(number, str(error)) from error
    return transcript


def _lines_of_reply(lines, start):
    """A reply goes on over the next <<< lines while a bracket is open."""
    count = 1
    while _is_open("\n".join(line[4:] for line in lines[start : start + count])):
        if start + count >= len(lines) or not lines[start + count].startswith("<<<"):
            raise ValueError("a bracket is still open")
        count += 1
    return count


def _is_open(text):
    if not text.lstrip().startswith(("[", "{", "(set)", "(push)", "(unordered)", "(attribute)")):
        return False
    depth = 0
    i = 0
    while i < len(text):
        if text[i] == '"':
            _, i = notation.read_quoted(text, i)
            continue
        if text.startswith("~/", i):
            i = re.compile(r"(?:[^/\\]|\\.)*/").match(text, i + 2).end()
            continue
        depth += (text[i] in "[{") - (text[i] in "]}")
        i += 1
    return depth > 0


def _parse_reply(lines, number, count):
    text = "\n".join(line[4:] for line in lines[number - 1 : number - 1 + count])
    expect = None if text.strip() == "(nothing)" else notation.parse(text)
    return Receive(number, count, text, expect)


def _parse_metric(number, text):
    match = re.fullmatch(r"(\S+) ([+-]\d+(?:\.\d+)?)", text.strip())
    if not match:
        raise ValueError("+++ takes a name and a change, as in: +++ keyspace_hits +1")
    return Metric(number, match.group(1), float(match.group(2)))


def _add_directive(transcript, number, text):
    word, _, argument = text.strip().partition(" ")
    if word in ("server", "file"):
        if transcript.steps:
            raise ValueError("@@@ %s stands before everything else" % word)
        if word == "server":
            transcript.flags = shlex.split(argument)
            return
        match = re.fullmatch(r"only (redis|tidegate): .+", argument)
        if not match:
            raise ValueError("@@@ file only redis|tidegate: <reason>")
        transcript.only = match.group(1)
        return
    pattern = _DIRECTIVES.get(word)
    if pattern is None:
        raise ValueError("unknown directive @@@ " + word)
    if not re.fullmatch(pattern, argument):
        raise ValueError("@@@ %s does not take %r" % (word, argument))
    if word in ("advance", "eventually"):
        seconds(argument)
    transcript.steps.append(Directive(number, word, argument))


def parse_request(text):
    """Bytes to send: a command with redis-cli's quoting, or `raw:` and quoted bytes."""
    if text.startswith("raw:"):
        return b"".join(split_arguments(text[4:]))
    args = split_arguments(text)
    if not args:
        raise ValueError(">>> needs a command")
    return resp.encode_command(args)


def split_arguments(text):
    args = []
    i = 0
    while True:
        while i < len(text) and text[i] == " ":
            i += 1
        if i == len(text):
            return args
        if text[i] in "\"'":
            data, i = notation.read_quoted(text, i)
            if i < len(text) and text[i] != " ":
                raise ValueError("a space is needed behind a closing quote")
            args.append(data)
        else:
            end = text.find(" ", i)
            end = len(text) if end < 0 else end
            args.append(text[i:end].encode())
            i = end
