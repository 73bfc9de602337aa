"""The rules of the tree that a compiler does not check. Each is a function from a Tree to its findings, and a row in RULES.

A finding is (path, line, text). The text says what to do, not only what is wrong. To add a rule: write the function, add
its row, and make a bad tree for it in test_tidy.py.
"""

import posixpath
import re
import types

# Who may include whom: a folder sees only folders of a lower rank. hotkey and storage share one and so do not see each
# other. Tests stand above everything.
RANKS = {"base": 0, "config": 1, "hotkey": 2, "storage": 2, "policy": 3, "proxy": 4}

# Folders inside one of these that are libraries of their own, and what they may include beside themselves: a rank below
# the rest of their folder.
INNER = {"proxy/topology/": ("base/",)}

# Each third-party library has one door. (what is included, the only place that may, the library's name)
DOORS = (
    (re.compile(r"^uv\.h$"), "proxy/event/", "libuv"),
    (re.compile(r"^rocksdb/"), "storage/persist/", "RocksDB"),
    (re.compile(r"^(liblzf/)?lzf\.h$"), "storage/rdb/lzf.cc", "liblzf"),
    (re.compile(r"^yaml-cpp/"), "config/loader.cc", "yaml-cpp"),
    (re.compile(r"^(lua|luajit|lauxlib|lualib|luajit-2\.1/.*|lua5\.1/.*)(\.hpp|\.h)?$"), "storage/script/", "Lua"),
    (re.compile(r"^(prometheus/|civetweb\.h$|CivetServer\.h$)"), "proxy/admin/", "prometheus-cpp and civetweb"),
    (re.compile(r"^openssl/"), "proxy/event/tls", "OpenSSL"),
    (re.compile(r"^hiredis/"), "proxy/upstream/control", "hiredis"),
)

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
ESSAY_LINES_MIN = 2
MAIN_ESSAY_LINES_MIN = 5
# A header directly in a folder and at least so long is one of its main ones.
MAIN_HEADER_LINES_MIN = 100
# Letters in an essay below which it says nothing ("// Header file for the foo class.").
ESSAY_LETTERS_MIN = 60

# Written from the code's rows; their length says nothing about anybody's writing.
GENERATED = ("docs/reference/", "config/tidegate.yaml")


def layering(tree):
    for file in tree.cpp:
        if file.folder not in RANKS:
            continue
        for include in file.includes():
            target = include.path.split("/")[0]
            if include.system or target == file.folder:
                continue
            if target in RANKS and RANKS[target] >= RANKS[file.folder]:
                yield file.path, include.line, f"{file.folder} may not include {include.path}: {target} is not below it"
            elif target == "tests":
                yield file.path, include.line, f"{include.path}: the product does not know its tests"


def inner_layering(tree):
    for file in tree.cpp:
        for folder, below in INNER.items():
            if not file.path.startswith(folder):
                continue
            for include in file.includes():
                if not include.system and not include.path.startswith((folder, *below)):
                    allowed = " and ".join(below)
                    yield file.path, include.line, f"{folder} is a library below {include.path}; it may include {allowed} alone"


def one_slash(tree):
    for file in tree.cpp:
        if file.folder not in RANKS:
            continue
        for include in file.includes():
            target = include.path.split("/")[0]
            if not include.system and target in RANKS and target not in (file.folder, "base"):
                if include.path.count("/") > 1:
                    yield file.path, include.line, f"{include.path} is inside {target}; include a header directly in {target}/"


def include_paths(tree):
    for file in tree.cpp:
        for include in file.includes():
            if include.system:
                if include.path.split("/")[0] in RANKS:
                    yield file.path, include.line, f'<{include.path}> is ours: write "{include.path}"'
            elif not include.path.startswith(("gtest/", "gmock/")) and not tree.exists(include.path):
                yield file.path, include.line, f'"{include.path}" is not a path from the root of the tree'


def doors(tree):
    for file in tree.cpp:
        # A unit test stands where its subject stands; hiredis is also the tests' client.
        place = re.sub(r"^tests/unit/", "", file.path)
        for include in file.includes():
            for pattern, door, library in DOORS:
                if not pattern.match(include.path) or place.startswith(door):
                    continue
                if library == "hiredis" and file.folder == "tests":
                    continue
                yield file.path, include.line, f"{include.path}: {library} is used in {door} only"


def file_size(tree):
    for file in tree.files:
        if file.path.endswith((".json", ".yaml", ".yml")) or file.path.startswith(GENERATED):
            continue
        if len(file.lines) > FILE_LINES_MAX:
            yield file.path, FILE_LINES_MAX + 1, f"{len(file.lines)} lines; split it, {FILE_LINES_MAX} is the limit"


def line_size(tree):
    """What clang-format leaves alone: pictures in comments, and what cannot be broken."""
    for file in tree.cpp:
        for number, line in enumerate(file.lines, 1):
            if len(line) <= LINE_COLUMNS_MAX or re.search(r"^#include|://", line):
                continue
            if number not in file.raw_string_lines:
                yield file.path, number, f"{len(line)} columns; {LINE_COLUMNS_MAX} is the limit"


def function_size(tree):
    for file in tree.files:
        for function in file.functions():
            if function.lines > FUNCTION_LINES_MAX:
                text = f"{function.name} has {function.lines} lines; split it, {FUNCTION_LINES_MAX} is the limit"
                yield file.path, function.line, text


def header_essay(tree):
    for file in tree.cpp:
        if not file.is_header:
            continue
        comment = []
        for line in file.lines:
            if not line.startswith("//"):
                break
            comment.append(line[2:])
        direct = file.folder in RANKS and file.folder != "base" and file.path.count("/") == 1
        main = direct and len(file.lines) >= MAIN_HEADER_LINES_MIN
        lines_min = MAIN_ESSAY_LINES_MIN if main else ESSAY_LINES_MIN
        spoken = [line for line in comment if line.strip()]
        letters = sum(c.isalpha() for c in "".join(comment))
        if len(spoken) < lines_min:
            kind = "a folder's main header" if main else "a header"
            yield file.path, 1, f"{kind} opens with a comment of at least {lines_min} lines: what it is, why this way, who owns it"
        elif letters < ESSAY_LETTERS_MIN:
            yield file.path, 1, "the comment at the top says too little: what it is, why this way, who owns it"


def pragma_once(tree):
    for file in tree.cpp:
        if file.is_header and not re.search(r"^#pragma once$", file.text, re.MULTILINE):
            yield file.path, 1, "a header has #pragma once"


def no_leftovers(tree):
    pattern = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    for file in tree.code:
        for number, line in enumerate(file.lines, 1):
            match = pattern.search(line)
            if match:
                yield file.path, number, f"{match.group(1)}: finish it, or leave it out and say so in the docs"


def no_trailing_space(tree):
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            if line != line.rstrip():
                yield file.path, number, "space at the end of the line"
        if file.text and not file.text.endswith("\n"):
            yield file.path, len(file.lines), "no newline at the end of the file"


def no_machine_paths(tree):
    """Where somebody's checkout or home lies says nothing to others, and a script that knows it works for one."""
    pattern = re.compile(r"(?<![\w.$}/-])/(?:work|root|home|Users|mnt)/[\w.]")
    for file in tree.files:
        for number, line in enumerate(file.lines, 1):
            match = pattern.search(line)
            if match:
                yield file.path, number, f"{match.group(0)}…: a path of one machine; say where it lies in the tree"


def no_endl(tree):
    yield from _in_code(tree, r"\bstd::endl\b", "std::endl flushes; write '\\n'")


def no_throw(tree):
    yield from _in_code(tree, r"\bthrow\b", "our code does not throw; return a Result or TG_CHECK")


def _in_code(tree, pattern, text):
    for file in tree.cpp:
        for match in re.finditer(pattern, file.code):
            yield file.path, file.line_of(match.start()), text


def links(tree):
    """Relative links of the docs, and their anchors."""
    for file in tree.markdown:
        fenced = False
        for number, line in enumerate(file.lines, 1):
            if line.startswith("```"):
                fenced = not fenced
            if fenced:
                continue
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                problem = _link_problem(tree, file, target)
                if problem:
                    yield file.path, number, problem


def _link_problem(tree, file, target):
    if re.match(r"^[a-z][a-z0-9+.-]*:", target):
        return None
    path, _, anchor = target.partition("#")
    full = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), path)) if path else file.path
    if full.startswith("..") or not tree.exists(full):
        return f"{target}: no such file"
    if anchor and full.endswith(".md"):
        page = next(f for f in tree.files if f.path == full)
        if anchor not in _anchors(page.text):
            return f"{target}: no such heading"
    return None


def _anchors(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def metric_names(tree):
    """Metrics that docs, dashboards and alerts speak of are metrics that the code exports."""
    exported = _exported_metrics(tree)
    pattern = re.compile(r"\b(tidegate_[a-z0-9_]+_(?:total|seconds|bytes|info|bucket|sum|count))\b")
    for file in tree.files:
        if not file.path.endswith((".md", ".yaml", ".yml", ".json")):
            continue
        for number, line in enumerate(file.lines, 1):
            for name in pattern.findall(line):
                if name not in exported and re.sub(r"_(bucket|sum|count)$", "", name) not in exported:
                    yield file.path, number, f"{name}: no code exports it"


def _exported_metrics(tree):
    exported = set()
    for file in tree.cpp:
        if file.folder != "tests":
            exported.update(re.findall(r'"(tidegate_[a-z0-9_]+)"', file.text))
    return exported


def dashboard_metrics(tree):
    """In dashboards and alerts every such word is a metric, whatever it ends with."""
    exported = _exported_metrics(tree)
    for file in tree.files:
        if not (file.path.startswith("grafana/") and file.path.endswith((".json", ".yml"))):
            continue
        for number, line in enumerate(file.lines, 1):
            for name in re.findall(r"\btidegate_[a-z0-9_]+\b", line):
                if name not in exported and re.sub(r"_(bucket|sum|count)$", "", name) not in exported:
                    yield file.path, number, f"{name}: no code exports it"


def runbooks(tree):
    """Each alert says what to do about it, on a page that is there."""
    for file in tree.files:
        if not file.path.startswith("grafana/alerts/"):
            continue
        alert = None
        for number, line in enumerate([*file.lines, "- alert: end"], 1):
            if match := re.match(r"\s*- alert: (\w+)", line):
                if alert:
                    yield file.path, alert[0], f"{alert[1]} has no runbook"
                alert = (number, match.group(1))
            elif match := re.match(r"\s*runbook: (\S+)", line):
                alert = None
                if problem := _link_problem(tree, _AT_THE_ROOT, match.group(1)):
                    yield file.path, number, problem


# Whose links begin at the root of the tree.
_AT_THE_ROOT = types.SimpleNamespace(path="README.md")


RULES = (
    ("layering", layering),
    ("inner-layering", inner_layering),
    ("one-slash", one_slash),
    ("include-path", include_paths),
    ("door", doors),
    ("file-size", file_size),
    ("line-size", line_size),
    ("function-size", function_size),
    ("header-essay", header_essay),
    ("pragma-once", pragma_once),
    ("leftover", no_leftovers),
    ("trailing-space", no_trailing_space),
    ("machine-path", no_machine_paths),
    ("endl", no_endl),
    ("throw", no_throw),
    ("link", links),
    ("metric-name", metric_names),
    ("dashboard-metric", dashboard_metrics),
    ("runbook", runbooks),
)
