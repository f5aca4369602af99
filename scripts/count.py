#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts single tests in Meson's JUnit files, names what was skipped and what failed."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def cases(path):
    for suite in ET.parse(path).getroot().iter("testsuite"):
        found = list(suite.iter("testcase"))
        for case in found:
            yield suite, case
        # A program that died outside of any of its tests.
        if not found and int(suite.get("errors", 0)):
            yield suite, suite


def reasons(path):
    """Why a test was skipped: Meson keeps it in the TAP of testlog.txt only."""
    text = Path(path).with_name("testlog.txt").read_text(errors="replace")
    return {f"{number} - {name}": reason for number, name, reason in
            re.findall(r"^ok (\d+) - (.*?) # SKIP *(.*)$", text, re.M)}


def script_reason(case):
    """Why a whole script was skipped: it ran no test, and its output is kept here."""
    match = re.search(r"^1\.\.0 # SKIP *(.*)$", case.findtext("system-out") or "", re.M)
    return match.group(1) if match else None


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        why = reasons(path)
        for suite, case in cases(path):
            name = f"{suite.get('name')}: {case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None or case is suite:
                count["failed"] += 1
                print(f"failed: {name}")
            elif skipped is not None:
                count["skipped"] += 1
                reason = why.get(case.get("name")) or script_reason(case) or "no reason given"
                print(f"skipped: {name}: {reason}")
            else:
                count["passed"] += 1
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main())
