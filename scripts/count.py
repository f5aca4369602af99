#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts single tests in Meson's testlog.json; names what was skipped, why, and what failed.

What failed comes last, what its tests said before the names: where only the end of a run is
kept, these must be in it.
"""

import json
import re
import sys
from pathlib import Path

# Of a failed test's output: unit tests explain themselves before the result, scripts after.
LINES_BEFORE = 8
LINES_AFTER = 40
# Of a program's end that failed outside of any of its tests.
LINES_AT_END = 15

# https://testanything.org/tap-version-12-specification.html
RESULT = re.compile(r"^(not )?ok (\d+) - (.*?)(?: # SKIP *(.*))?$")
SKIPPED_WHOLE = re.compile(r"^1\.\.0 # SKIP *(.*)$", re.M)


class Count:
    def __init__(self):
        self.passed = 0
        self.skipped = {}  # reason: names
        self.failed = []  # name, lines that say why

    def skip(self, name, reason):
        self.skipped.setdefault(reason or "no reason given", []).append(name)

    def add(self, program):
        """One program's run, with all its tests."""
        name = program["name"]
        lines = program.get("stdout", "").splitlines()
        before = len(self.failed)
        for at, line in enumerate(lines):
            result = RESULT.match(line)
            if result and result[1]:
                self.failed.append((f"{name}: {result[2]} - {result[3]}", around(lines, at)))
            elif result and result[4] is not None:
                self.skip(f"{name}: {result[2]} - {result[3]}", result[4])
            elif result:
                self.passed += 1
        whole = SKIPPED_WHOLE.search(program.get("stdout", ""))
        if whole:
            self.skip(name, whole[1])
        # A failed test makes it FAIL, or ERROR when the program ends with 1 for it: anything
        # else is a failure of its own.
        failing = program["result"] == "FAIL" or program.get("returncode") == 1
        told = failing and len(self.failed) > before
        if program["result"] not in ("OK", "SKIP") and not told:
            errors = program.get("stderr", "").splitlines()
            said = lines[-LINES_AT_END:] + errors[-LINES_AT_END:]
            self.failed.append((f"{name}: {program['result']}", said))

    def show(self):
        for reason, names in self.skipped.items():
            print(f"skipped: {reason}:")
            for name in names:
                print(f"    {name}")
        for name, lines in self.failed:
            print(f"what {name} said:")
            for line in lines:
                print(f"    {line}")
        for name, _ in self.failed:
            print(f"failed: {name}")
        skipped = sum(len(names) for names in self.skipped.values())
        print(f"{self.passed} passed, {len(self.failed)} failed, {skipped} skipped")


def around(lines, at):
    """The failed result with TAP's comments on both sides of it."""
    before = comments(reversed(lines[max(at - LINES_BEFORE, 0):at]))
    return before[::-1] + [lines[at]] + comments(lines[at + 1:at + 1 + LINES_AFTER])


def comments(lines):
    """The lines up to the first that is no comment."""
    found = []
    for line in lines:
        if not line.startswith("#"):
            break
        found.append(line)
    return found


def main():
    count = Count()
    for path in sys.argv[1:]:
        for line in Path(path).read_text(errors="replace").splitlines():
            count.add(json.loads(line))
    count.show()
    return 1 if count.failed or not count.passed else 0


sys.exit(main())
