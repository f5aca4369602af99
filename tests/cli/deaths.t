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

for point in supervisor-done; do
    QCKPT_TESTING=1 QCKPT_FAULT=$point setsid "$QCKPT" run -d e -- sh -c 'echo >>ran; exit 4' \
        2>/dev/null
    is "the supervisor dies after the completion record" $? 1
    q restart -d e 2>/dev/null
    is "the record gives the status" $? 4
    is "and the job is not run again" "$(wc -l <ran)" 1
done
done_testing
