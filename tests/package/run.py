#!/usr/bin/env python3
"""Tests of what is installed: the files of the Debian package, its service run by hand as systemd would, over an upgrade, the page
of the manual, the completion, the image's configuration; and the demo. No root, no systemd, nothing is installed.

  run.py [--preset dev]        makes the package of that preset's build (scripts/dev package)

The last line is "N passed, N failed".
"""

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from support import resp  # noqa: E402
from support.servers import free_port  # noqa: E402

STEP_SECONDS_MAX = 600
FILES = (
    "etc/tidegate/tidegate.yaml", "usr/bin/tidegate", "usr/lib/systemd/system/tidegate.service", "usr/share/man/man1/tidegate.1.gz",
    "usr/share/bash-completion/completions/tidegate", "usr/share/doc/tidegate/copyright", "usr/share/doc/tidegate/changelog.gz",
)
# What is typed, and what has to be offered.
COMPLETIONS = (
    (["--maxmemory-p"], ["--maxmemory-policy"]),
    (["--print-m"], ["--print-metrics-doc"]),
    (["rdb-"], ["rdb-report"]),
    (["export", "--to-a"], ["--to-aof"]),
    (["rdb-report", "--to-"], ["--to-csv"]),
    (["--no-such"], []),
)


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, good, why=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"FAILED {name}\n  " + str(why).strip()[-2000:].replace("\n", "\n  "), flush=True)
        return good

    def equal(self, name, got, expected):
        return self.check(name, got == expected, f"got {got!r}, expected {expected!r}")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=STEP_SECONDS_MAX, check=False, **options)


def make_package(preset):
    made = run(ROOT / "scripts/dev", "package", preset)
    if made.returncode != 0:
        sys.exit(f"scripts/dev package: {made.stdout[-3000:]}{made.stderr[-3000:]}")
    return ROOT / made.stdout.split()[-1]


def check_files(report, package, root):
    run("dpkg-deb", "-x", package, root)
    control = root / "DEBIAN"
    run("dpkg-deb", "-e", package, control)
    found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and control not in path.parents)
    report.equal("files of the package", found, sorted(FILES))
    report.equal("configuration is kept", (control / "conffiles").read_text(), "/etc/tidegate/tidegate.yaml\n")
    depends = run("dpkg-deb", "-f", package, "Depends").stdout
    report.check("libraries with their versions", re.search(r"libc6 \(>=.*librocksdb", depends), depends)
    for script in ("postinst", "prerm", "postrm"):
        result = run("sh", "-n", control / script)
        report.check(f"{script} is a script that runs", result.returncode == 0 and os.access(control / script, os.X_OK), result.stderr)


def unit_values(root, name):
    text = (root / "usr/lib/systemd/system/tidegate.service").read_text()
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


class Service:
    """The program as its unit starts it, with files below `root`, and the socket on which it says that it is ready."""

    def __init__(self, root, port, admin_port):
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = root / "notify"
        path.unlink(missing_ok=True)
        self.notices.bind(str(path))
        self.notices.settimeout(STEP_SECONDS_MAX)
        program, config = shlex.split(unit_values(root, "ExecStart")[0])
        text = (root / config[1:]).read_text()
        text = text.replace("/var/lib/tidegate", str(root / "data")).replace(":6379", f":{port}").replace(":9901", f":{admin_port}")
        (root / "config.yaml").write_text(text)
        self.log = (root / "log").open("wb")
        self.process = subprocess.Popen([root / program[1:], root / "config.yaml"], env={**os.environ, "NOTIFY_SOCKET": str(path)},
                                        stdout=self.log, stderr=self.log)

    def notice(self):
        return self.notices.recv(256).decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STEP_SECONDS_MAX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.notices.close()


def check_service(report, root):
    """Started, asked to read its configuration again, stopped, and started again, as an upgrade does."""
    report.equal("the unit waits for READY=1", unit_values(root, "Type"), ["notify"])
    (root / "data").mkdir()
    port, admin_port = free_port(), free_port()
    with Service(root, port, admin_port) as service:
        report.equal("it says that it is ready", service.notice(), "READY=1")
        with contextlib.closing(resp.Connection(port)) as client:
            report.equal("and it is", client.command("SET", "a", "kept").value, b"OK")
            service.process.send_signal(signal.SIGHUP)
            report.equal("it lives after a reload", client.command("GET", "a").value, b"kept")
        report.equal("it ends", service.stop(), 0)
        report.equal("and says so", service.notice(), "STOPPING=1")
    with Service(root, port, admin_port) as service:
        report.equal("it starts again", service.notice(), "READY=1")
        with contextlib.closing(resp.Connection(port)) as client:
            report.equal("with the data", client.command("GET", "a").value, b"kept")
        report.equal("and ends", service.stop(), 0)


def check_configurations(report, root):
    binary = root / "usr/bin/tidegate"
    for path in (root / "etc/tidegate/tidegate.yaml", ROOT / "packaging/image.yaml"):
        result = run(binary, "--check-config", path)
        report.check(f"{path.name} is right", result.returncode == 0, result.stderr)
    report.check("--version", re.match(r"Tidegate v=\d+\.\d+\.\d+\n$", run(binary, "--version").stdout))


def check_manual(report, root):
    """Every flag that --help tells of."""
    manual = (ROOT / "packaging/tidegate.1").read_text().replace("\\-", "-")
    for flag in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", run(root / "usr/bin/tidegate", "--help").stdout, re.MULTILINE):
        report.check(f"the manual has {flag}", flag in manual)


def check_completions(report, root):
    script = (f"PATH={root}/usr/bin:$PATH; . {root}/usr/share/bash-completion/completions/tidegate; "
              'COMP_WORDS=(tidegate "$@"); COMP_CWORD=$#; _tidegate tidegate; echo "${COMPREPLY[@]}"')
    for typed, expected in COMPLETIONS:
        result = run("bash", "-c", script, "bash", *typed)
        offered = result.stdout.split()
        good = set(expected) <= set(offered) and (expected or not offered) and not result.stderr
        report.check(f"completion of {' '.join(typed)}", good, result.stdout + result.stderr)


def check_demo(report, root):
    result = run(sys.executable, ROOT / "tests/bench/demo.py", "--binary", root / "usr/bin/tidegate", "--short")
    figures = {name: (float(alone), float(gated)) for name, alone, gated in re.findall(r"^  (\S.*?)  +([\d.]+) +([\d.]+)$", result.stdout, re.MULTILINE)}
    if not report.check("the demo runs", result.returncode == 0 and len(figures) == 9, result.stdout + result.stderr):
        return
    # The others depend on how many reads a busy machine gets done.
    alone, gated = figures["loads that the database had, each time"]
    report.check("demo: fewer loads", gated < alone, result.stdout)
    report.equal("demo: wrong values", figures["wrong values"], (0.0, 0.0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="dev")
    arguments = parser.parse_args()
    report = Report()
    package = make_package(arguments.preset)
    with tempfile.TemporaryDirectory(prefix="tidegate-package-") as name:
        root = pathlib.Path(name)
        check_files(report, package, root)
        check_configurations(report, root)
        check_service(report, root)
        check_manual(report, root)
        check_completions(report, root)
        check_demo(report, root)
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
