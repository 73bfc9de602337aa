#!/usr/bin/env python3
"""Shows that every tidy rule fires: each test makes a small tree with one fault and expects exactly that finding.

Beside the faults there are near misses that must stay silent, because a rule that cries wolf is soon switched off.
"""

import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import tidy  # noqa: E402
from rules import RULES  # noqa: E402
from tree import SourceFile  # noqa: E402

ESSAY = "// What this is, in words that a newcomer understands.\n" * 5
HEADER = ESSAY + "#pragma once\n"
LEFTOVER = "TO" + "DO"


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, path, text):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def findings(self, files):
        for path, text in files.items():
            self.write(path, text)
        return [(rule, path, line) for rule, path, line, _ in tidy.check(self.folder.name)]

    def assert_only(self, files, *expected):
        self.assertEqual(self.findings(files), list(expected))

    def functions(self, text):
        self.write("storage/x.cc", text)
        return [(f.name, f.line, f.lines) for f in SourceFile(self.folder.name, "storage/x.cc").functions()]


class RuleTest(TidyTest):
    def test_a_good_tree_is_silent(self):
        self.assert_only(
            {
                "base/result.h": HEADER,
                "base/deep/inner.h": HEADER,
                "storage/engine.h": HEADER + '#include "base/deep/inner.h"\n',
                "storage/keyspace/dict.h": HEADER,
                "storage/engine.cc": '#include "storage/engine.h"\n\n#include "storage/keyspace/dict.h"\n',
                "proxy/main.cc": '#include "storage/engine.h"\n',
                "README.md": "# T\n\n[engine](storage/engine.h) [here](#t) [out](https://example.org/x)\n",
            }
        )

    def test_layering_upwards(self):
        files = {"proxy/server.h": HEADER, "storage/a.cc": '\n#include "proxy/server.h"\n'}
        self.assert_only(files, ("layering", "storage/a.cc", 2))

    def test_layering_between_siblings(self):
        files = {"hotkey/sketch.h": HEADER, "storage/a.cc": '#include "hotkey/sketch.h"\n'}
        self.assert_only(files, ("layering", "storage/a.cc", 1))

    def test_layering_tests_from_product(self):
        files = {"tests/support/fake.h": HEADER, "storage/a.cc": '#include "tests/support/fake.h"\n'}
        self.assert_only(files, ("layering", "storage/a.cc", 1))

    def test_layering_inside_a_folder(self):
        files = {
            "base/text.h": HEADER,
            "config/options.h": HEADER,
            "proxy/topology/reply.h": HEADER,
            "proxy/event/address.h": HEADER + '#include "proxy/topology/reply.h"\n',
            "proxy/topology/a.cc": '#include "proxy/topology/reply.h"\n#include "base/text.h"\n#include "proxy/event/address.h"\n'
            '#include "config/options.h"\n',
        }
        self.assert_only(files, ("inner-layering", "proxy/topology/a.cc", 3), ("inner-layering", "proxy/topology/a.cc", 4))

    def test_one_slash(self):
        files = {"storage/keyspace/dict.h": HEADER, "proxy/a.cc": '#include "storage/keyspace/dict.h"\n'}
        self.assert_only(files, ("one-slash", "proxy/a.cc", 1))

    def test_tests_may_look_inside(self):
        files = {"storage/keyspace/dict.h": HEADER, "tests/unit/storage/a.cc": '#include "storage/keyspace/dict.h"\n'}
        self.assert_only(files)

    def test_include_path_relative(self):
        files = {"storage/b.h": HEADER, "storage/a.cc": '#include "b.h"\n'}
        self.assert_only(files, ("include-path", "storage/a.cc", 1))

    def test_include_path_in_angles(self):
        files = {"storage/b.h": HEADER, "storage/a.cc": "#include <storage/b.h>\n"}
        self.assert_only(files, ("include-path", "storage/a.cc", 1))

    def test_include_path_of_googletest(self):
        self.assert_only({"tests/unit/a.cc": '#include "gtest/gtest.h"\n#include <gmock/gmock.h>\n'})

    def test_commented_include_does_not_count(self):
        self.assert_only({"storage/a.cc": '// #include "proxy/server.h"\n/*\n#include <uv.h>\n*/\n'})

    def test_doors(self):
        doors = {
            "uv.h": "proxy/event/loop.cc",
            "rocksdb/db.h": "storage/persist/store.cc",
            "yaml-cpp/yaml.h": "config/loader.cc",
            "lua.hpp": "storage/script/script.cc",
            "prometheus/counter.h": "proxy/admin/metrics.cc",
            "civetweb.h": "proxy/admin/http.cc",
            "openssl/ssl.h": "proxy/event/tls.cc",
            "hiredis/hiredis.h": "proxy/upstream/control.cc",
        }
        for header, door in doors.items():
            with self.subTest(header=header):
                self.write(door, f"#include <{header}>\n")
                self.write("proxy/session/a.cc", f"\n#include <{header}>\n")
                self.assertEqual(self.findings({}), [("door", "proxy/session/a.cc", 2)])
                os.unlink(os.path.join(self.folder.name, door))

    def test_door_of_a_mirrored_test(self):
        self.assert_only({"tests/unit/proxy/event/loop_test.cc": "#include <uv.h>\n"})
        self.assert_only({"tests/unit/storage/a_test.cc": "#include <uv.h>\n"}, ("door", "tests/unit/storage/a_test.cc", 1))

    def test_file_size(self):
        self.assert_only({"storage/a.cc": "\n" * 800})
        self.assert_only({"storage/a.cc": "\n" * 801}, ("file-size", "storage/a.cc", 801))

    def test_line_size(self):
        self.assert_only({"storage/a.cc": "//" + "x" * 98 + "\n// https://" + "x" * 98 + "\n"})
        self.assert_only({"storage/a.cc": "//" + "x" * 99 + "\n"}, ("line-size", "storage/a.cc", 1))

    def test_line_size_in_raw_strings(self):
        self.assert_only({"storage/a.cc": 'f(R"(\n' + "x" * 101 + '\n)");\n'})

    def test_function_size(self):
        body = "  Work();\n" * 68
        self.assert_only({"storage/a.cc": "void Foo() {\n" + body + "}\n"})
        self.assert_only({"storage/a.cc": "\nvoid Foo() {\n" + body + "\n}\n"}, ("function-size", "storage/a.cc", 2))

    def test_function_size_of_python(self):
        self.assert_only({"tests/a.py": "def f():\n" + "    x = 1\n" * 70}, ("function-size", "tests/a.py", 1))

    def test_header_essay(self):
        two = "// What this is, in words that a newcomer understands.\n" * 2 + "#pragma once\n"
        long = two + "int a;\n" * 100
        self.assert_only({"storage/inner/a.h": long, "base/b.h": long, "storage/short.h": two})
        self.assert_only({"storage/a.h": long}, ("header-essay", "storage/a.h", 1))

    def test_header_essay_missing(self):
        self.assert_only({"base/a.h": "#pragma once\n"}, ("header-essay", "base/a.h", 1))

    def test_header_essay_that_says_nothing(self):
        self.assert_only({"base/a.h": "// Header file.\n// For foo.\n#pragma once\n"}, ("header-essay", "base/a.h", 1))

    def test_pragma_once(self):
        self.assert_only({"base/a.h": ESSAY + "int x;\n"}, ("pragma-once", "base/a.h", 1))

    def test_leftovers(self):
        self.assert_only({"base/a.cc": f"\n// {LEFTOVER}: later\n"}, ("leftover", "base/a.cc", 2))

    def test_leftovers_in_a_script_without_suffix(self):
        self.assert_only({"scripts/x": f"#!/bin/sh\n# {LEFTOVER}\n"}, ("leftover", "scripts/x", 2))

    def test_trailing_space(self):
        self.assert_only({"base/a.cc": "int a; \n"}, ("trailing-space", "base/a.cc", 1))

    def test_newline_at_end(self):
        self.assert_only({"base/a.cc": "int a;"}, ("trailing-space", "base/a.cc", 1))

    def test_machine_path(self):
        # Taken apart, so that this file does not break the rule.
        for place in ("/work" + "/main/x", "/home" + "/ada/x", "/root" + "/.cache"):
            with self.subTest(place=place):
                self.assert_only({"docs/a.md": f"# A\n\nin {place}\n"}, ("machine-path", "docs/a.md", 3))

    def test_machine_path_of_all_machines(self):
        places = ("/var/log/redis", "/etc/redis", "net/wo" + "rk/x", "$HOME/ro" + "ot/x", "https://a.org/ho" + "me/x")
        self.assert_only({"docs/a.md": "# A\n\n" + ", ".join(places) + "\n"})

    def test_endl(self):
        self.assert_only({"base/a.cc": "void F() { out << std::endl; }\n"}, ("endl", "base/a.cc", 1))

    def test_throw(self):
        self.assert_only({"base/a.cc": "\nvoid F() { throw 1; }\n"}, ("throw", "base/a.cc", 2))

    def test_throw_in_words_does_not_count(self):
        self.assert_only({"base/a.cc": '// never throw\nconst char* a = "throw";\n'})

    def test_link_to_nothing(self):
        self.assert_only({"docs/a.md": "# A\n[b](b.md)\n"}, ("link", "docs/a.md", 2))

    def test_link_out_of_the_tree(self):
        self.assert_only({"docs/a.md": "[b](../../b.md)\n"}, ("link", "docs/a.md", 1))

    def test_link_to_no_heading(self):
        files = {"docs/a.md": "[b](b.md#what-it-is)\n[c](b.md#gone)\n", "docs/b.md": "## What it is!\n"}
        self.assert_only(files, ("link", "docs/a.md", 2))

    def test_link_in_code_does_not_count(self):
        self.assert_only({"docs/a.md": "`[b](b.md)`\n```\n[b](b.md)\n```\n"})

    def test_dashboard_metric(self):
        code = {"proxy/metrics.cc": 'Row kRows[] = {{.name = "tidegate_ready"}, {.name = "tidegate_turn_seconds"}};\n'}
        self.assert_only({**code, "grafana/a.json": '{"expr": "tidegate_ready + tidegate_turn_seconds_bucket"}\n'})
        self.assert_only({"grafana/a.json": '{"expr": "tidegate_steady"}\n'}, ("dashboard-metric", "grafana/a.json", 1))

    def test_runbook(self):
        page = {"docs/operating/a.md": "# A\n\n## What now\n"}
        self.assert_only({**page, "grafana/alerts/a.yml": "- alert: A\n  runbook: docs/operating/a.md#what-now\n"})
        self.assert_only({"grafana/alerts/a.yml": "- alert: A\n  runbook: docs/operating/a.md#what-then\n"},
                         ("runbook", "grafana/alerts/a.yml", 2))
        self.assert_only({"grafana/alerts/a.yml": "- alert: A\n- alert: B\n  runbook: docs/operating/a.md\n"},
                         ("runbook", "grafana/alerts/a.yml", 1))

    def test_metric_name(self):
        code = {"proxy/metrics.cc": 'Row kRows[] = {{.name = "tidegate_hits_total"}, {.name = "tidegate_turn_seconds"}};\n'}
        good = "tidegate_hits_total and tidegate_turn_seconds_bucket, build/tidegate_tests\n"
        self.assert_only({**code, "docs/a.md": "# A\n" + good})
        self.assert_only({"docs/a.md": "# A\ntidegate_misses_total\n"}, ("metric-name", "docs/a.md", 2))

    def test_every_rule_is_shown_here(self):
        with open(os.path.abspath(__file__), encoding="utf-8") as file:
            text = file.read()
        for name, _ in RULES:
            self.assertIn(f'("{name}", ', text)


class FunctionExtentTest(TidyTest):
    def test_constructor_with_braced_members(self):
        text = "class Foo {\n public:\n  Foo(int a)\n      : a_{a},\n        b_{1, {2}} {\n    X();\n  }\n  int a_{0};\n};\n"
        self.assertEqual(self.functions(text), [("Foo", 3, 5)])

    def test_tables_and_scopes_are_no_functions(self):
        text = "namespace {\nconstexpr Row kRows[] = {\n    {.a = F(1)},\n};\nenum class E : uint8_t { kA };\nstruct S {};\n}\n"
        self.assertEqual(self.functions(text), [])

    def test_qualifiers_after_the_parameters(self):
        text = "int F() const noexcept override {\n  return 1;\n}\nauto G() -> std::vector<int>* {\n}\nvoid H() TG_REQUIRES(m_) {\n}\n"
        self.assertEqual(self.functions(text), [("F", 1, 3), ("G", 4, 2), ("H", 6, 2)])

    def test_braces_in_text_do_not_count(self):
        text = "void F() {\n  x = '{';\n  y = \"}\\\"{\";\n  z = R\"(}})\";\n  n = 1'000;  // }\n}\nvoid G() {\n}\n"
        self.assertEqual(self.functions(text), [("F", 1, 6), ("G", 7, 2)])

    def test_macro_bodies_do_not_count(self):
        text = "#define A(x) \\\n  do {       \\\n  } while (0)\nvoid F() {\n}\n"
        self.assertEqual(self.functions(text), [("F", 4, 2)])

    def test_annotated_class_is_a_scope(self):
        text = 'class TG_CAPABILITY("mutex") Mutex {\n public:\n  void lock() TG_ACQUIRE() { m_.lock(); }\n};\n'
        self.assertEqual(self.functions(text), [("lock", 3, 1)])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
