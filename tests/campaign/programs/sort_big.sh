#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ignores: tmp/*
awk 'BEGIN { x = 1; for (i = 0; i < 700000; i++) { x = (x * 1103515245 + 12345) % 2147483648; print x } }' > in
mkdir -p tmp; sort -S 2M -T tmp in | md5sum; sort -n --parallel=2 -S 3M -T tmp -o out in; md5sum < out
