"""Client libraries that applications use: hiredis (C), redis (Python), ioredis and redis (JavaScript)."""

import os
import pathlib
import re
import subprocess
import sys

from tools import run_tool

HERE = pathlib.Path(__file__).resolve().parent
BUILD_SECONDS_MAX = 120
INSTALL_SECONDS_MAX = 300


def take_over(report, status, output, name):
    """The lines "ok <what>" and "FAIL <what>" of a client program become checks here."""
    lines = re.findall(r"^(ok|FAIL) (.*)$", output, re.MULTILINE)
    for word, what in lines:
        report.check("%s: %s" % (name, what), word == "ok")
    report.check("%s: ran to its end" % name, status == 0 and lines and all(word == "ok" for word, _ in lines), output[-800:])


def hiredis(report, start):
    program = pathlib.Path("/tmp") / ("tidegate-hiredis-%d" % os.getpid())
    compiler = os.environ.get("CXX", "c++")
    status, output = run_tool([compiler, "-std=c++20", "-O1", HERE / "hiredis_client.cc", "-lhiredis", "-o", program],
                              seconds=BUILD_SECONDS_MAX)
    try:
        if not report.check("hiredis: the program builds", status == 0, output):
            return
        with start() as server:
            status, output = run_tool([program, server.port])
            take_over(report, status, output, "hiredis")
    finally:
        program.unlink(missing_ok=True)


def python_redis(report, start):
    # Debian's package belongs to Debian's interpreter, which need not be the one that runs us.
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run_tool([p, "-c", "import redis"])[0] == 0), None)
    if not report.check("python3-redis: is installed", python is not None):
        return
    with start("--workers", "2") as server:
        status, output = run_tool([python, HERE / "python_client.py", server.port])
        take_over(report, status, output, "python3-redis")


def install_node(report):
    """The folder of the clients in JavaScript, with what they need; None: it could not be had."""
    folder = HERE / "node"
    if (folder / "node_modules" / ".package-lock.json").exists() and not is_newer(folder / "package-lock.json", folder):
        return folder
    try:
        status, output = run_tool(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder],
                                  seconds=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        status, output = 1, "npm ci took longer than %d s" % INSTALL_SECONDS_MAX
    return folder if report.check("npm ci", status == 0, output[-800:]) else None


def node(report, start):
    folder = install_node(report)
    if folder is None:
        return
    for program in ("ioredis_client.mjs", "redis_client.mjs"):
        for protocol in ("2", "3"):
            if program.startswith("ioredis") and protocol == "3":
                continue  # ioredis speaks RESP2 alone
            with start("--workers", "2") as server:
                status, output = run_tool(["node", folder / program, server.port, protocol])
                take_over(report, status, output, "%s RESP%s" % (program.split("_")[0], protocol))


def scripts(report, start):
    """Libraries that are made of scripts."""
    folder = install_node(report)
    if folder is None:
        return
    for program in ("scripts_client.mjs", "bullmq_client.mjs"):
        with start("--workers", "2") as server:
            status, output = run_tool(["node", folder / program, server.port])
            take_over(report, status, output, program.split("_")[0])


def is_newer(lock, folder):
    return lock.stat().st_mtime > (folder / "node_modules" / ".package-lock.json").stat().st_mtime
