#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A pipeline: a producer, a filter with state, and a consumer that starts programs.
echo "begin pipeline"
steps=${1:-40}

produce() {
    local i
    for ((i = 0; i < steps; i++)); do
        echo "$i $((i * i % 97))"
        sleep 0.2
    done
}

sum=
produce |
    awk '{ total += $2; print "step", $1, total; fflush() }' |
    {
        while read -r word step total; do
            sum=$(md5sum <<<"$sum $total")
            echo "$word $step $total ${sum%% *}"
        done
        echo "end ${sum%% *}"
    }
