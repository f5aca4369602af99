#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# qckpt-checkpoint, qckpt-migrate and qckpt-clean on a job that qckpt-starter runs, with
# a qstat that says what the test wants.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

ge_spool handle_as_binary=1 no_shell=1 "ckpt_command=$libexec/qckpt-checkpoint"

# start COMMAND...: as a job; its status will be in $work/status
start() {
    rm -f "$work/status" "$work/pid"
    (
        ge_env SGE_CKPT_ENV=qckpt "SGE_CKPT_DIR=$ckpt_dir" \
            SGE_STARTER_SHELL_START_MODE=unix_behavior SGE_STARTER_SHELL_PATH=/bin/sh \
            "$libexec/qckpt-starter" "$@" </dev/null >"$work/starter.out" &
        echo $! >"$work/pid"
        wait $!
        echo $? >"$work/status"
    ) 2>"$work/starter.err" &
    wait_until 5 test -s "$work/pid"
}

is_running() {
    [ -e "$job_dir/log.jsonl" ] && grep -q '"event": *"\(launched\|restarted\)"' "$job_dir/log.jsonl"
}

# ended: the starter's status
ended() {
    wait_until 20 test -s "$work/status" || kill -9 "$(cat "$work/pid")"
    cat "$work/status"
}

# The starter itself: the pid is that of the shell that waits for it.
kill_job() {
    pkill -9 -P "$(cat "$work/pid")"
    wait_until 20 test -s "$work/status" || bail_out "the starter does not end"
}

hook() {
    local name=$1
    shift
    ge_env SGE_CKPT_ENV=qckpt "SGE_CKPT_DIR=$ckpt_dir" QCKPT_HOOK_TIMEOUT=30 \
        "$libexec/qckpt-$name" "$@" >"$work/hook.out" 2>&1
}

# logged EVENT TEXT: the event log has such a line
logged() {
    jq -e --arg e "$1" --arg t "$2" -s \
        'any(.[]; .event == $e and (.text | contains($t)))' "$job_dir/log.jsonl"
}

generations() {
    find "$job_dir/gen" -mindepth 1 -maxdepth 1 -name '[0-9]*' 2>/dev/null | wc -l
}

# ---- a job that runs

start sleep 1000
ok "the job is launched" wait_until 20 is_running

hook checkpoint 4711 0 "$ckpt_dir"
is "qckpt-checkpoint with arguments" "$?" 0
is "... has made a generation" "$(generations)" 1
ok "... and logged how it began" logged hook-began "qckpt-checkpoint began"
ok "... and how it ended" logged hook-ended "qckpt-checkpoint ended: generation 1"
hook checkpoint
is "qckpt-checkpoint without arguments" "$? $(generations)" "0 2"

ge_qstat dr
hook clean 4711 0 "$ckpt_dir"
ok "qckpt-clean keeps a job that is running" logged kept "the job is still running"

hook migrate 4711 0 "$ckpt_dir"
is "qckpt-migrate" "$?" 0
is "... stops the job, to be queued again" "$(ended)" 99
ok "... and tells from where it continues" logged hook-ended "the job continues from generation 3"
ok "... which is no completion" test ! -e "$job_dir/done.json"

# From the start a descriptor is on its way through a socket, until a file appears.
cat >"$work/passes.py" <<'J'
import os, socket, sys, time
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [0])
open("sent", "w").close()
while not os.path.exists("take"):
    time.sleep(0.05)
socket.recv_fds(b, 1, 1)
time.sleep(1000)
J
mv "$job_dir" "$work/aside" # a job that has a generation would go on from it
start sh -c "cd $work && exec /usr/bin/python3 passes.py"
ok "a job has a descriptor on its way" wait_until 20 test -e "$work/sent"
(wait_until 20 logged note "trying again" && touch "$work/take") >/dev/null &
hook migrate 4711 0 "$ckpt_dir"
is "qckpt-migrate tries again what may pass in a moment" "$?" 0
is "... and the job is stopped" "$(ended)" 99
ok "... at one more generation" logged hook-ended "the job continues from generation 1"
rm -rf "$job_dir"
mv "$work/aside" "$job_dir"

hook migrate 4711 0 "$ckpt_dir"
not=$?
ok "qckpt-migrate of a job that has gone fails" test $not -ne 0
ok "... and logs why" logged hook-ended "qckpt-migrate failed: the job is not running"

# ---- what qckpt-clean keeps

kept() {
    local name=$1 why=$2
    hook clean 4711 0 "$ckpt_dir"
    is "qckpt-clean keeps: $name" "$? $(test -e "$job_dir/gen/000003" && echo kept)" "0 kept"
    ok "... and says so" logged kept "$why"
}
ge_qstat r
kept "a job that may be run again" "may be run again"
ge_qstat Rq
kept "a job that was rescheduled" "may be run again"
ge_qstat hidden
kept "a job that somebody's defaults for qstat hide" "still knows the job"
ge_qstat ""
kept "a job that Grid Engine has forgotten" "does not know the job any more"
ge_qstat -
kept "when qstat is refused" "neither submit nor admin host"
printf '#!/bin/sh\nexec sleep 600\n' >"$work/bin/qstat"
kept "when qstat hangs" "did not end in 10.000 s"
rm "$work/bin/qstat"
[ -x /usr/bin/qstat ] || kept "when there is no qstat" "there is no qstat"
ge_qstat dr 2-9
ge_qstat r 1
kept "a task whose siblings were deleted" "may be run again"
ge_qstat dr
sed -i.own 's/"host": *"[^"]*"/"host":"elsewhere"/' "$job_dir/epoch"
kept "a job that another host has taken over" "started on elsewhere since"
ok "... and qckpt show says where to ask" grep -qx "state      elsewhere: ask on elsewhere" \
    <<<"$("$QCKPT" show -d "$job_dir")"
mv "$job_dir/epoch.own" "$job_dir/epoch"
cp "$work/spool/config" "$work/config"
ge_spool pe_task_id=1.n1
before=$(wc -l <"$job_dir/log.jsonl")
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean keeps: a task of a parallel job is not the job" \
    "$? $(test -e "$job_dir/gen/000003" && echo kept)" "0 kept"
hook checkpoint 4711 0 "$ckpt_dir"
is "qckpt-checkpoint of such a task does nothing" \
    "$? $(wc -l <"$job_dir/log.jsonl")" "0 $before"
mv "$work/config" "$work/spool/config"

# ---- what it removes

ge_qstat dr
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean removes: a job that was deleted" "$? $(ls "$ckpt_dir")" "0 "

# A complete job that Grid Engine has not heard of will be run again, and must find that
# it is complete: the record stays while the queue master cannot be reached.
start true
is "a job that ends by itself" "$(ended)" 0
ok "... is recorded as complete" test -e "$job_dir/done.json"
printf '#!/bin/sh\necho "error: commlib error: got select error" >&2\nexit 1\n' >"$work/bin/qstat"
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean keeps: a job that is complete, when nobody answers" \
    "$? $(test -e "$job_dir/done.json" && echo kept)" "0 kept"
ge_qstat Rr "" n2
hook clean 4711 0 "$ckpt_dir"
is "... when it is run again on another host" \
    "$? $(test -e "$job_dir/done.json" && echo kept)" "0 kept"
ge_qstat hidden
hook clean 4711 0 "$ckpt_dir"
is "... when it waits to be run again" \
    "$? $(test -e "$job_dir/done.json" && echo kept)" "0 kept"
cp -a "$ckpt_dir/$user" "$work/saved"
ge_qstat -
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean removes: it, when the answer is a refusal" "$? $(ls "$ckpt_dir")" "0 "
mv "$work/saved" "$ckpt_dir/$user"
ge_qstat ""
hook clean 4711 0 "$ckpt_dir"
is "... and when Grid Engine does not know it any more" "$? $(ls "$ckpt_dir")" "0 "
ge_qstat r
start true
is "another job that ends by itself" "$(ended)" 0
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean removes: a job that is complete" "$? $(ls "$ckpt_dir")" "0 "
start true
is "a job that ended on another host" "$(ended)" 0
sed -i 's/"host": *"[^"]*"/"host":"elsewhere"/' "$job_dir/epoch"
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean removes: it, where it was to be run again" "$? $(ls "$ckpt_dir")" "0 "
hook clean 4711 0 "$ckpt_dir"
is "qckpt-clean of a job without directory" "$?" 0

for status in 99 100; do
    start sh -c "exit $status"
    is "a job that ends with $status" "$(ended)" $status
    hook clean 4711 0 "$ckpt_dir"
    is "qckpt-clean keeps: a job that ended with $status" \
        "$? $(test -d "$job_dir" && echo kept)" "0 kept"
    rm -rf "${ckpt_dir:?}/$user"
done

# ---- what is wrong

hook checkpoint 4711 0
is "a wrong number of arguments" "$?" 2
hook clean '4711; rm' 0 "$ckpt_dir"
is "a job that is no number" "$?" 2
hook clean 4711 ../.. "$ckpt_dir"
is "a task that is no number" "$?" 2
hook migrate 4711 0 "$ckpt_dir"
is "a job without directory cannot be migrated" "$?" 4

# ---- the sweep

old=$ckpt_dir/$user/11.1
for job in 11.1 12.1 13.1 14.1; do
    mkdir -p "$ckpt_dir/$user/$job/gen"
done
chmod -R go= "$ckpt_dir/$user"
find "$ckpt_dir/$user" -mindepth 1 -exec touch -d '8 days ago' {} +
touch "$ckpt_dir/$user/12.1"
cat >"$work/bin/qstat" <<'Q'
#!/bin/sh
echo "<?xml version='1.0'?>"
if [ "$1" = -j ]; then
    echo "<unknown_jobs ><ST_name>$2</ST_name></unknown_jobs>"
    exit 0
fi
echo "<job_info><queue_info>"
for job in 4711 13; do
    echo "<job_list><JB_job_number>$job</JB_job_number><state>r</state></job_list>"
done
echo "</queue_info><job_info></job_info></job_info>"
Q
start sleep 1000
ok "a later job sweeps an old directory of a job that is gone" wait_until 20 test ! -e "$old"
ok "... not one that was used lately" test -d "$ckpt_dir/$user/12.1"
ok "... nor one whose job still exists" test -d "$ckpt_dir/$user/13.1"
kill_job
mkdir -p "$old/gen"
chmod -R go= "$old"
touch -d '8 days ago' "$old/gen" "$old"
start sleep 1000
wait_until 20 is_running
sleep 1
ok "... and at most once an hour" test -d "$old"
kill_job

done_testing
