#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: often
# Threads keep the processors that they were given, and those that they were not.
import os, threading, time

cpus = sorted(os.sched_getaffinity(0))
seen, stop = {}, False


def watch(k, mask):
    if mask:
        os.sched_setaffinity(0, mask)
    seen[k] = set()
    while not stop:
        seen[k].add(tuple(sorted(os.sched_getaffinity(0))))
        sum(range(2000))


masks = [None, {cpus[0]}, {cpus[-1]}, set(cpus)]
threads = [threading.Thread(target=watch, args=(k, m)) for k, m in enumerate(masks)]
for t in threads:
    t.start()
time.sleep(4)
stop = True
for t in threads:
    t.join()
for k, m in enumerate(masks):
    print(k, seen[k] == {tuple(sorted(m or cpus))})
