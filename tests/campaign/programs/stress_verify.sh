#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# modes: stop often
# needs: stress-ng
# ignores: *
for c in "cpu 2 --cpu-ops 200" "vm 2 --vm-bytes 32m --vm-ops 20000 --vm-method flip" "matrix 2 --matrix-ops 2000" "qsort 1 --qsort-ops 4" "fp 2 --fp-ops 20" "msync 1 --msync-ops 2000" "memthrash 1 --memthrash-ops 20" "stack 1 --stack-ops 3" "zlib 1 --zlib-ops 20"; do
    stress-ng -q --verify --temp-path . --$c > log 2>&1; r=$?; echo "${c%% *} $r"; [ $r = 0 ] || cat log
done
