#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by root: the same restarts as an ordinary user, who has no privilege to fall back on.

What is built may lie where that user cannot look: copies of it are run.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import sysrun

WHAT = "^(fd|mem|proc|thr|sig|timer|net|cpu|block)_"
NOBODY = 65534


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP not root: the other tests run as an ordinary user already")
        return 0
    if not os.access(sysrun.QCKPT, os.X_OK):
        print(f"1..0 # SKIP {sysrun.QCKPT} is not built")
        return 0
    sysrun.leave_ipc_namespace()
    where = tempfile.mkdtemp(prefix="qckpt-sys-user-")
    try:
        os.chmod(where, 0o755)
        shutil.copytree(sysrun.HERE, where + "/sys")
        shutil.copytree(sysrun.SOURCE, where + "/victims")
        shutil.copytree(sysrun.BUILD, where + "/built", ignore=shutil.ignore_patterns("*.p"))
        shutil.copy(sysrun.QCKPT, where + "/qckpt")
        subprocess.run(["chmod", "-R", "a+rX", where], check=True)
        env = dict(os.environ, HOME="/", QCKPT=where + "/qckpt",
                   VICTIM_BUILD=where + "/built", VICTIM_SOURCE=where + "/victims")
        return subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             "/usr/bin/python3", where + "/sys/restart.py", WHAT],
            env=env, cwd="/", check=False).returncode
    finally:
        shutil.rmtree(where, ignore_errors=True)


sys.exit(main())
