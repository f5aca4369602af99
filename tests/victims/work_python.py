#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads, subprocesses, a pool of processes, hashes and generators in one Python job."""
import hashlib
import multiprocessing
import os
import subprocess
import threading
import time


def ready():
    path = os.environ.get("VICTIM_READY")
    if path:
        with open(path + ".tmp", "w") as f:
            f.write("ready\n")
        os.rename(path + ".tmp", path)


def background(results):
    value = b"start"
    for i in range(60):
        value = hashlib.sha256(value + bytes([i])).digest()
        time.sleep(0.02)
    results.append(value.hex())


def square(x):
    time.sleep(0.01)
    return x * x


def main():
    results = []
    thread = threading.Thread(target=background, args=(results,))
    thread.start()
    pool = multiprocessing.Pool(2)
    ready()
    digest = "x"
    for i in range(35):
        r = subprocess.run(["/bin/echo", digest], capture_output=True, text=True)
        digest = hashlib.sha1((r.stdout + str(r.returncode)).encode()).hexdigest()
        print(i, digest, sum(pool.map(square, range(i, i + 4))), flush=True)
        time.sleep(0.02)
    thread.join()
    pool.close()
    pool.join()
    print("thread", results[0], flush=True)


if __name__ == "__main__":
    main()
