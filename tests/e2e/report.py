"""What the end-to-end tests print: one line per check, and the sum at the end."""

import contextlib
import time
import traceback

# Times that checks wait for something are those of a machine that does nothing else. It may be so much slower; who looks
# for how long a thing took measures it.
PATIENCE = 4


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.group = ""

    def check(self, name, good, detail=""):
        """Counts one check. `detail` is printed when it failed. Returns whether it passed."""
        self.passed += bool(good)
        self.failed += not good
        print("%-4s %s: %s%s" % ("ok" if good else "FAIL", self.group, name, "" if good or not detail else ": %s" % (detail,)),
              flush=True)
        return bool(good)

    def equal(self, name, got, expected):
        return self.check(name, got == expected, "got %.300r, expected %.300r" % (got, expected))

    def skip(self, name, reason):
        print("skip %s: %s: %s" % (self.group, name, reason), flush=True)

    @contextlib.contextmanager
    def part(self, group):
        """A group of checks. An exception inside ends the group and counts as one failure."""
        self.group = group
        try:
            yield
        except Exception as error:  # pylint: disable=broad-except
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.check("ran to its end", False, "%s: %s (%s:%d)" % (type(error).__name__, error, where.filename, where.lineno))


def eventually(condition, seconds):
    """Waits until condition() is true, `seconds` at most on a machine that is free. Returns whether it came true."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
