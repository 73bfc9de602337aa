"""Redis's own command line tools against the server: redis-benchmark and redis-cli."""

import re
import subprocess

TOOL_SECONDS_MAX = 120


def run_tool(command, stdin=None, seconds=TOOL_SECONDS_MAX):
    """(exit status, output of both streams) of a tool."""
    done = subprocess.run([str(word) for word in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def redis_benchmark(report, start):
    requests = 32000
    runs = (["-P", 1], ["-P", 16], ["-P", 16, "--threads", 2], ["-P", 1, "--threads", 2])
    with start("--workers", "2") as server:
        for options in runs:
            name = " ".join(map(str, options))
            server.connect().command("FLUSHALL")
            status, output = run_tool(["redis-benchmark", "-p", server.port, "-n", requests, "-c", 20, "-q",
                                       "-t", "ping,set,get,incr,mset", *options])
            report.check(name, status == 0 and "rror" not in output, output[-500:])
            rates = re.findall(r"([A-Z_ ()0-9a-z]+): ([\d.]+) requests per second", output)
            report.equal(name + " ran every test", len(rates), 6)
            counted = server.connect().command("GET", "counter:__rand_int__")
            # With several threads it sends a few more than asked for.
            report.check(name + " counted every INCR", requests <= int(counted.value or 0) <= requests + 1000, counted)


def redis_cli(report, start):
    with start("--workers", "2") as server:
        cli = ["redis-cli", "-p", server.port]
        pipe(report, server, cli)
        scan(report, cli)
        status, output = run_tool([*cli, "--bigkeys"])
        report.check("--bigkeys", status == 0 and "Biggest string found" in output, output[-300:])
        status, output = run_tool([*cli, "--memkeys", "--memkeys-samples", 1])
        report.check("--memkeys", status == 0 and "100000 keys" in output, output[-300:])
        latency_and_stat(report, cli)
        protocol_3(report, cli)
        status, output = run_tool([*cli, "-r", 3, "-i", 0.01, "incr", "repeated"])
        report.equal("-r 3", (status, output.split()), (0, ["1", "2", "3"]))
        status, output = run_tool([*cli], stdin=b"set a 1\nget a\nnosuch\n")
        report.check("commands from standard input", output.split()[:2] == ["OK", "1"] and "ERR unknown command" in output,
                     output)
        status, output = run_tool([*cli, "-x", "set", "binary"], stdin=bytes(range(256)))
        report.equal("-x keeps every byte", server.connect().command("GET", "binary").value, bytes(range(256)))


def pipe(report, server, cli):
    count = 100000
    data = b"".join(b"*3\r\n$3\r\nSET\r\n$10\r\nkey:%06d\r\n$6\r\n%06d\r\n" % (i, i) for i in range(count))
    status, output = run_tool([*cli, "--pipe"], stdin=data)
    report.check("--pipe of %d SETs" % count, status == 0 and "errors: 0, replies: %d" % count in output, output[-300:])
    connection = server.connect()
    report.equal("--pipe stored every key", connection.command("DBSIZE").value, count)
    report.equal("--pipe stored the right value", connection.command("GET", "key:054321").value, b"054321")


def scan(report, cli):
    status, output = run_tool([*cli, "--scan"])
    keys = output.split()
    report.check("--scan gives every key", status == 0 and len(set(keys)) == 100000, len(set(keys)))
    report.equal("--scan gives no key twice while nothing changes", len(keys), len(set(keys)))
    status, output = run_tool([*cli, "--scan", "--pattern", "key:00001?"])
    report.equal("--scan --pattern", sorted(output.split()), ["key:%06d" % i for i in range(10, 20)])


def latency_and_stat(report, cli):
    status, output = run_tool([*cli, "--latency", "-i", "0.3", "--raw"])
    report.check("--latency", status == 0 and re.match(r"\d+ \d+ [\d.]+ \d+", output), output)
    status, output = run_tool(["timeout", "1.5", "stdbuf", "-oL", *cli, "--stat", "-i", "0.2"])
    lines = re.findall(r"^100000 +\S+ +\d+ +\d+ +\d+ \(\+\d+\) +\d+ *$", output, re.MULTILINE)
    report.check("--stat", len(lines) >= 3, output)


def protocol_3(report, cli):
    status, output = run_tool([*cli, "-3", "--no-raw", "config", "get", "timeout"])
    report.equal("-3 shows a map", (status, output.strip()), (0, '1# "timeout" => "0"'))
    status, output = run_tool([*cli, "-3", "--no-raw", "get", "missing"])
    report.equal("-3 shows a null", output.strip(), "(nil)")
    status, output = run_tool([*cli, "-3", "--no-raw", "debug", "protocol", "double"])
    report.equal("-3 shows a double", output.strip(), "(double) 3.141")
    status, output = run_tool([*cli, "-3", "--json", "config", "get", "timeout"])
    report.check("-3 --json", '{"timeout":"0"}' in output.replace(" ", ""), output)
