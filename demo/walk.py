#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's Python job: two threads, a subprocess now and then, an appended file."""

import hashlib
import os
import queue
import subprocess
import sys
import threading
import time

LINES = 40
numbers = queue.Queue()


def walk():
    state = 1
    for _ in range(LINES * 50):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.put(state)
        time.sleep(0.015)
    numbers.put(None)


walker = threading.Thread(target=walk)
walker.start()
digest = hashlib.sha256()
log = open(sys.argv[1], "a", buffering=1) if len(sys.argv) > 1 else None
for line in range(1, LINES + 1):
    for _ in range(50):
        digest.update(str(numbers.get()).encode())
    echoed = subprocess.run(["echo", digest.hexdigest()[:16]], capture_output=True, text=True, check=True)
    print(f"step {line} of {LINES}: {echoed.stdout.strip()}", flush=True)
    if log:
        print(f"line {line}", file=log)
walker.join()
print("open files:", len(os.listdir("/proc/self/fd")) > 3)
