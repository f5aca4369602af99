#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# dash, awk and a co-operating writer: awk holds its arrays while the lines trickle in.
if [ -n "$VICTIM_READY" ]; then
    echo ready >"$VICTIM_READY.tmp" && mv "$VICTIM_READY.tmp" "$VICTIM_READY"
fi
i=0
while [ $i -lt 70 ]; do
    echo "key$((i % 7)) $i"
    i=$((i + 1))
    sleep 0.02
done | awk '{ sum[$1] += $2; n++; print n, $1, sum[$1]; fflush() }
    END { for (k = 0; k < 7; k++) print "total", k, sum["key" k] }'
