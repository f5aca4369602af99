#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python job with a thread, a child process and a scratch file in its directory. It does
not end while there is a file that HOLD names."""

import hashlib
import os
import queue
import subprocess
import sys
import threading
import time


def digester(work, results):
    digest = hashlib.sha256()
    while (item := work.get()) is not None:
        digest.update(item)
        results.put(digest.hexdigest())


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("begin python", flush=True)
    work, results = queue.Queue(), queue.Queue()
    thread = threading.Thread(target=digester, args=(work, results))
    thread.start()
    child = subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    path = f"python-{os.getpid()}.tmp"
    with open(path, "w+b", buffering=0) as scratch:
        for step in range(steps):
            scratch.write(step.to_bytes(8, "little"))
            scratch.seek(0)
            work.put(scratch.read())
            child.stdin.write(f"step {step} {results.get()}\n")
            print(child.stdout.readline().strip(), flush=True)
            time.sleep(0.2)
        while os.path.exists(os.environ.get("HOLD", "")):
            time.sleep(0.1)
    os.unlink(path)
    child.stdin.close()
    status = child.wait()
    work.put(None)
    thread.join()
    print("end", status, flush=True)


main()
