#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: often
# A signal that the kernel itself sends for single steps, in a program that lives in the vDSO.
import os, signal, time

seen = []
signal.signal(signal.SIGTRAP, lambda *_: seen.append(1))
end = time.monotonic() + 3
while time.monotonic() < end:
    for _ in range(100000):
        time.monotonic_ns()
    os.kill(os.getpid(), signal.SIGTRAP)
print(len(seen) > 0, signal.getsignal(signal.SIGTRAP) is not None)
