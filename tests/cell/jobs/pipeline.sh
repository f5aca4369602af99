#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A pipeline: a producer, filters with and without state, and a consumer that starts a
# program for each line. It does not end while there is a file that HOLD names.
echo "begin pipeline"
steps=${1:-60}

produce() {
    local i
    for ((i = 0; i < steps; i++)); do
        echo "$i $((i * i % 97))"
        sleep 0.2
    done
    while [ -n "${HOLD-}" ] && [ -e "$HOLD" ]; do
        sleep 0.2
    done
}

accumulate() {
    local i value total=0
    while read -r i value; do
        total=$((total + value))
        echo "$i $total"
    done
}

digest() {
    local line sum=
    while read -r line; do
        sum=$(md5sum <<<"$sum $line")
        echo "$line ${sum%% *}"
    done
    echo "end ${sum%% *}"
}

produce | accumulate | sed -u 's/^/step /' | digest
