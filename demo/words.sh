#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The demo's shell pipeline: five processes that pass lines on, a background job, a trap.
trap 'echo "cleaned up"' EXIT
sleep 20 &
seq 1 60 |
    while read -r n; do
        sleep 0.4
        printf '%d %s\n' "$n" "$(printf '%d' "$n" | md5sum | cut -c1-8)"
    done |
    tr 'a-f' 'A-F' |
    awk '{ sum += $1; print "line", NR, $2, sum; fflush() }'
wait $!
echo "the background job ended with $?"
