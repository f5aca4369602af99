#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Whoever of us dies, no job is left running unseen.
. "$(dirname "$0")/lib.sh"

# A job with a child in another session.
cat >family <<'JOB'
setsid sh -c 'echo $$ >child; exec sleep 1000' &
while [ ! -s child ]; do sleep 0.01; done
echo $$ >root
exec sleep 1000
JOB

start() {
    rm -rf root child
    setsid "$QCKPT" run -d "$1" -- sh family 2>stderr &
    front=$!
    wait_until 10 test -s root || diag "the job does not start"
    root=$(<root)
    child=$(<child)
    supervisor=$(json 'd["pid"]' <"$1/epoch")
}

start a
kill -KILL $front
wait $front 2>/dev/null
ok "the front dies: the job is killed" wait_until 5 is_gone "$root"
ok "with all of its processes" wait_until 5 is_gone "$child"
ok "and the supervisor ends" wait_until 5 is_gone "$supervisor"
ok "which is in the log" has_event a ended

start b
kill -KILL "$supervisor"
wait $front
is "the supervisor dies: the front fails" $? 1
has "and says so" "$(<stderr)" "supervisor was killed by signal 9"
ok "the job was killed" is_gone "$root"
ok "with all of its processes" is_gone "$child"
is "show says that nothing runs" "$(q show -d b --json | json 'd["state"]')" lost

start c
kill -KILL -$front
wait $front 2>/dev/null
ok "the whole group dies: the job is killed" wait_until 5 is_gone "$root"
ok "with all of its processes" wait_until 5 is_gone "$child"
ok "and the supervisor ends" wait_until 5 is_gone "$supervisor"

start d
kill -KILL "$root"
wait $front 2>/dev/null
is "the job dies: so does the front" $? 137
ok "its other processes are not ours to kill" kill -0 "$child"
kill "$child"

# The same with a restarted job, whose processes live in their own namespaces.
restarted() {
    start "$1"
    if ! q checkpoint -d "$1" --stop >/dev/null 2>stderr; then
        return 1
    fi
    wait $front
    setsid "$QCKPT" restart -d "$1" 2>stderr &
    front=$!
    wait_until 20 grep -q '"restarted"' "$1/log.jsonl" || return 1
    supervisor=$(json 'd["pid"]' <"$1/epoch")
    family=$(descendants "$supervisor")
}

# Everything below a process, itself not.
descendants() {
    local child
    for child in $(pgrep -P "$1"); do
        echo "$child"
        descendants "$child"
    done
}

all_gone() {
    local pid
    for pid in $family; do
        is_gone "$pid" || return 1
    done
}

if restarted f; then
    diag "the family: $(tr '\n' ' ' <<<"$family")"
    kill -KILL $front
    wait $front 2>/dev/null
    ok "the front of a restarted job dies: all is killed" wait_until 5 all_gone
    ok "and the supervisor ends" wait_until 5 is_gone "$supervisor"
    restarted g
    kill -KILL "$supervisor"
    wait $front
    is "the supervisor of a restarted job dies: the front fails" $? 1
    ok "and all is killed" all_gone
    restarted h
    kill -KILL -$front "$supervisor"
    wait $front 2>/dev/null
    ok "both die: all is killed" wait_until 5 all_gone
else
    skip engine "a restarted job" "this host cannot save jobs: $(<stderr)"
fi

for point in supervisor-done; do
    QCKPT_TESTING=1 QCKPT_FAULT=$point setsid "$QCKPT" run -d e -- sh -c 'echo >>ran; exit 4' \
        2>/dev/null
    is "the supervisor dies after the completion record" $? 1
    q restart -d e 2>/dev/null
    is "the record gives the status" $? 4
    is "and the job is not run again" "$(wc -l <ran)" 1
done
done_testing
