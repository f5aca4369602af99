#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A job script: a pipeline, a background job, a trap, $$ and $(...), read line by line.
me=$$
parent=$PPID
trap 'echo trapped' USR1
ready() { if [ -n "$VICTIM_READY" ]; then echo ready >"$VICTIM_READY.tmp" && mv "$VICTIM_READY.tmp" "$VICTIM_READY"; fi; }
(sleep 0.8; exit 7) &
background=$!
ready
for i in $(seq 1 30); do
    sum=$(seq 1 $((i * 50)) | awk '{s += $1 * 3} END {print s}' | sed 's/^/sum /')
    words=$(printf 'a b c %s\n' "$i" | tr ' ' '\n' | sort -r | head -n 2 | tr '\n' ' ')
    echo "$i $sum $words"
    [ $$ = "$me" ] || echo "FAIL pid: saw $$"
    [ "$PPID" = "$parent" ] || echo "FAIL ppid: saw $PPID"
    sleep 0.02
done
wait $background
echo "background $?"
kill -USR1 $$
seq 1 20 | while read -r n; do
    echo "line $n"
    sleep 0.02
done
echo "pipeline ${PIPESTATUS[*]}"
while read -r l; do echo "substituted $l"; done < <(for k in 1 2 3; do echo "$k"; sleep 0.05; done)
cat <<END
here document of $(echo nested)
END
exit 5
