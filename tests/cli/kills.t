#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The front, the supervisor or both are killed at random moments of a run, a checkpoint or
# a restart, again and again: what was published is whole, nothing is left running, and in
# the end the job has done everything once. SEED=N repeats a run's choices.
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-8}
RANDOM=${SEED:=$RANDOM}
diag "SEED=$SEED"

cat >counter <<'JOB'
exec 3>>count
i=0
while [ $i -lt 300 ]; do
    i=$((i + 1))
    echo $i >&3
    sleep 0.02
done | cat
exit 6
JOB
seq 300 >wanted

launch() {
    MARK=$work setsid "$QCKPT" "$@" >>stdout 2>>stderr &
    front=$!
}

state() {
    q show -d job --json | json 'd["state"]'
}

# Whatever launch started has the mark in its environment: the front, the supervisor, the
# sentinel and the job.
nothing_left() {
    grep -lzs "^MARK=$work$" /proc/[0-9]*/environ >left
    [ ! -s left ]
}

launch run -d job --interval 1s -- bash counter
wait_until 10 test -s count
q checkpoint -d job >out 2>err || {
    kill -KILL $front
    skip_all engine "this host cannot save jobs: $(<err)"
}

nothing_left
is "what runs is found by its mark" $? 1
diag "$(wc -l <left) processes"

for ((round = 1; round <= rounds; round++)); do
    sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
    q checkpoint -d job >/dev/null 2>&1 &
    asker=$!
    sleep "0.0$((RANDOM % 10))"
    supervisor=$(json 'd["pid"]' <job/epoch)
    case $((RANDOM % 3)) in
    0) kill -KILL $front ;;
    1) kill -KILL "$supervisor" ;;
    2) kill -KILL -$front ;;
    esac 2>/dev/null
    wait $front 2>/dev/null
    wait $asker
    ok "round $round: nothing is left running" wait_until 10 nothing_left
    ok "and what is published is whole" q verify -d job
    [ "$(state)" != ended ] || break
    launch restart -d job --interval 1s
done
wait $front
q restart -d job >>stdout 2>>stderr
is "the job ends as ever" $? 6
same_file "and has done everything once" count wanted
done_testing
