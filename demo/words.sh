#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The demo's shell pipeline: five processes that pass lines on, a background job, a trap.
trap 'echo "cleaned up"' EXIT
sleep 30 &
seq 1 90 |
    while read -r n; do
        sleep 0.4
        printf '%d %s\n' "$n" "$(printf '%d' "$n" | md5sum | cut -c1-8)"
    done |
    sed -u 'y/abcdef/ABCDEF/' |
    while read -r n word; do
        sum=$((sum + n))
        echo "line $n $word $sum"
    done
wait $!
echo "the background job ended with $?"
