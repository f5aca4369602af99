#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts single tests in Meson's JUnit files, names what was skipped and what failed."""

import sys
import xml.etree.ElementTree as ET


def cases(path):
    for suite in ET.parse(path).getroot().iter("testsuite"):
        found = list(suite.iter("testcase"))
        for case in found:
            yield suite, case
        # A program that died outside of any of its tests.
        if not found and int(suite.get("errors", 0)):
            yield suite, suite


def main():
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        for suite, case in cases(path):
            name = f"{suite.get('name')}: {case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None or case is suite:
                count["failed"] += 1
                print(f"failed: {name}")
            elif skipped is not None:
                count["skipped"] += 1
                print(f"skipped: {name}: {skipped.get('message') or skipped.text or 'no reason given'}")
            else:
                count["passed"] += 1
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main())
