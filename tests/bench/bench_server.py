"""What the benchmarks share: a server on a free port, started and stopped by its own process id."""
import os
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One started server, with a connection to it. `argv` may have {port} and {dir}."""

    def __init__(self, argv, directory):
        self.port = free_port()
        self.process = subprocess.Popen([part.format(port=self.port, dir=directory) for part in argv],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
                return
            except OSError:
                time.sleep(0.02)
        raise SystemExit(f"{argv[0]} did not start")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(60)
