#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# needs: python3
import numpy as np, mmap, os, tempfile
rng = np.random.default_rng(1); a = rng.random((400, 400)); f = open("mapped", "w+b"); f.truncate(1 << 20)
m = mmap.mmap(f.fileno(), 1 << 20)
for i in range(120):
    a = a @ a.T; a /= np.abs(a).max(); a += rng.random((400, 400)) * 1e-3
    m[i * 8192:i * 8192 + 8] = np.float64(round(float(a.sum()), 2)).tobytes()
    print(i, round(float(a.sum()), 4), flush=True)
m.flush(); mm = np.memmap("mm", dtype="f8", mode="w+", shape=(1000, 100)); mm[:] = np.arange(100); mm.flush(); print(mm.sum())
