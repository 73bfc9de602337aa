#!/usr/bin/env python3
"""Checks the rules of the tree that no compiler checks: layers, library doors, sizes, essays, links.

    tests/tidy/tidy.py [ROOT]

Prints each finding as `file:line: rule: text` and ends with `N passed, N failed`, a rule being one test.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rules import RULES  # noqa: E402
from tree import Tree  # noqa: E402


def check(root):
    """All findings of a tree as (rule, path, line, text)."""
    tree = Tree(root)
    return [(name, *finding) for name, rule in RULES for finding in rule(tree)]


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    findings = check(arguments[0] if arguments else os.path.join(here, "..", ".."))
    for name, path, line, text in findings:
        print(f"{path}:{line}: {name}: {text}")
    failed = len({name for name, *_ in findings})
    print(f"{len(RULES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
