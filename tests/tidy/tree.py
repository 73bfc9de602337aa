"""The source tree as the tidy rules see it: files, code without comments and strings, includes, function extents.

The C++ reading here is a scanner, not a parser. It is right for code in our clang-format style, which is what
`scripts/dev fmt --check` makes sure of; that is why it may rely on such things as a function's head ending in ')' before
its brace. Cost: one pass over each file, under a second for the whole tree.
"""

import ast
import os
import re
from dataclasses import dataclass
from functools import cached_property

SKIPPED_FOLDERS = {".git", "build", "data", "node_modules", "__pycache__", ".cache"}
CODE_SUFFIXES = (".cc", ".h", ".py", ".sh", ".cmake", ".js", ".mjs")
TEXT_SUFFIXES = CODE_SUFFIXES + (".md", ".yaml", ".yml", ".json", "CMakeLists.txt")

# Comments, raw strings, strings and characters, in the order in which they must be tried. A quote after a digit or a
# letter is a digit separator (1'000), not a character.
_OPAQUE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\s\\"]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Za-z])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.MULTILINE)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
_SCOPE_HEAD = re.compile(r"^(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b", re.DOTALL)
_FUNCTION_TAIL = re.compile(
    r"\)\s*(?:const\b|noexcept\b|override\b|final\b|mutable\b|&&?|->\s*[\w:<>,&*\s]+|TG_\w+\s*\([^()]*\)|TG_\w+|\s)*$"
)
_ACCESS = re.compile(r"^(?:\s*(?:public|private|protected)\s*:)+")


@dataclass(frozen=True)
class Include:
    line: int
    path: str
    system: bool


@dataclass(frozen=True)
class Function:
    line: int  # where its head starts
    lines: int  # head and body
    name: str


def _blank(match):
    """Spaces of the same length, newlines kept, quotes kept so that a string still looks like a value."""
    text = match.group(0)
    blank = re.sub(r"[^\n]", " ", text)
    if text[0] in "\"'R":
        blank = '"' + blank[1:-1] + '"'
    return blank


class SourceFile:
    """One file. `path` is relative to the root, with slashes."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()

    @cached_property
    def lines(self):
        return self.text.splitlines()

    @cached_property
    def code(self):
        """C++ with comments and literals blanked; offsets and lines stay as they were."""
        return _OPAQUE.sub(_blank, self.text)

    @cached_property
    def raw_string_lines(self):
        """Numbers of the lines that raw strings cover: pages and scripts in another language."""
        covered = set()
        for match in _OPAQUE.finditer(self.text):
            if match.group(0).startswith("R"):
                covered.update(range(self.line_of(match.start()), self.line_of(match.end()) + 1))
        return covered

    @property
    def is_cpp(self):
        return self.path.endswith((".cc", ".h"))

    @property
    def is_header(self):
        return self.path.endswith(".h")

    @property
    def folder(self):
        """The top-level folder, or "" for a file in the root."""
        return self.path.split("/")[0] if "/" in self.path else ""

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def includes(self):
        # Read from the text with comments blanked, but with the quoted paths still there.
        text = re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.text, flags=re.DOTALL)
        return [
            Include(text.count("\n", 0, m.start(1)) + 1, m.group(2), m.group(1) == "<") for m in _INCLUDE.finditer(text)
        ]

    def functions(self):
        if self.path.endswith(".py"):
            return self._python_functions()
        return self._cpp_functions() if self.is_cpp else []

    def _python_functions(self):
        found = []
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append(Function(node.lineno, node.end_lineno - node.lineno + 1, node.name))
        return found

    def _cpp_functions(self):
        """Walks the braces at namespace and class scope; whatever is inside a function belongs to it."""
        code = _DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), self.code)
        found = []
        head = ""
        position = 0
        for match in re.finditer(r"[{};]", code):
            if match.start() < position:
                continue
            head += code[position : match.start()]
            position = match.end()
            if match.group(0) != "{":
                head = ""
                continue
            kind = _brace_kind(head)
            if kind == "scope":
                head = ""
                continue
            end = _matching_brace(code, match.start())
            position = end + 1
            if kind == "value":  # an initializer: part of the head, read as if it were a call
                head += "()"
                continue
            first = self._head_line(head, match.start())
            found.append(Function(first, self.line_of(end) - first + 1, _function_name(head)))
            head = ""
        return found

    def _head_line(self, head, brace):
        stripped = _ACCESS.sub("", head).lstrip()
        return self.line_of(brace) - stripped.count("\n")


def _brace_kind(head):
    head = _ACCESS.sub("", head).strip()
    if head == "":
        return "scope"
    if _FUNCTION_TAIL.search(head) and not re.search(r"=\s*$", head):
        # `Foo() : member_(1)` and `int Foo()` alike; `const Row kRows[] = Make()` never meets a brace here.
        return "function"
    if _SCOPE_HEAD.match(head):
        return "scope"
    return "value"


def _matching_brace(code, start):
    depth = 0
    for match in re.finditer(r"[{}]", code[start:]):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return start + match.start()
    return len(code) - 1


def _function_name(head):
    match = re.search(r"([~\w:]+|operator\s*\S+)\s*\(", head)
    return match.group(1) if match else "function"


class Tree:
    """All text files of a checkout, or of one that a test made."""

    def __init__(self, root):
        self.root = root
        self.files = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")
                if path.endswith(TEXT_SUFFIXES) or self._is_script(path):
                    self.files.append(SourceFile(root, path))

    def _is_script(self, path):
        """Shell and python programs without a suffix, by their first line."""
        if "." in os.path.basename(path):
            return False
        with open(os.path.join(self.root, path), "rb") as file:
            return file.read(2) == b"#!"

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))

    @property
    def cpp(self):
        return [file for file in self.files if file.is_cpp]

    @property
    def code(self):
        """Programs of any language: everything but prose and data."""
        return [f for f in self.files if f.path.endswith(CODE_SUFFIXES + ("CMakeLists.txt",)) or "." not in f.path.split("/")[-1]]

    @property
    def markdown(self):
        return [file for file in self.files if file.path.endswith(".md")]
