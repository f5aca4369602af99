#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A job that is saved, stopped and continued, with the commands alone.
. "$(dirname "$0")/lib.sh"

# Counts until it is told to end.
cat >counter <<'JOB'
exec 3>>count
i=0
while [ ! -e go ]; do
    i=$((i + 1))
    echo $i >&3
    sleep 0.03
done
exit 6
JOB

counted() {
    [ -s count ] && [ "$(wc -l <count)" -ge "$1" ]
}

start() {
    setsid "$QCKPT" "$@" >>stdout 2>>stderr &
    front=$!
}

begin() {
    rm -rf count job go
    start run -d job "$@" -- bash counter
    wait_until 60 counted 5
}

# Lets the job go on for a while, and end; the result is the front's.
finish() {
    wait_until 60 counted $(($(wc -l <count) + 10))
    touch go
    wait $front
}

# Every number once, in order.
is_whole() {
    same_file "$1" count <(seq "$(tail -n 1 count)")
}

begin
status_is "a checkpoint" 0 q checkpoint -d job
if grep -q refused <<<"$err"; then
    skip_all engine "this host cannot save jobs: $err"
fi
has "tells its generation" "$out" "generation: 1"
has "and the pause" "$out" "pause:"
is "as JSON" "$(q checkpoint -d job --json |
    json 'd["generation"], d["processes"] > 0, d["bytes"] > 0, d["stopped"]')" \
    "2 True True False"
status_is "a second run of the job is refused" 2 q restart -d job
has "because it runs" "$err" "running already"
status_is "a checkpoint to stop at" 0 q checkpoint -d job --stop
wait $front
is "the job stopped with 75" $? 75
is "show says so" "$(q show -d job --json | json 'd["state"], len(d["generations"])')" \
    "stopped 2"
has "the last generations are listed" "$(q show -d job)" "stopped at generation 3"
status_is "verify reads them" 0 q verify -d job
has "all" "$out" "generation 3: good"
is "verify -g reads one" "$(q verify -d job -g 2 --json | json 'd["generations"]')" \
    "[{'generation': 2, 'ok': True}]"
status_is "verify of one that is not there" 4 q verify -d job -g 9
status_is "restart of one that is not there" 4 q restart -d job -g 9
status_is "a checkpoint of a job that does not run" 1 q checkpoint -d job
has "says that it does not" "$err" "not running"
start restart -d job
finish
is "a restarted job ends with its own status" $? 6
is_whole "it went on where it was"
has "and it was said" "$(<stderr)" "restarted from generation 3, saved on $(uname -n)"
is "the job's output has nothing of ours" "$(<stdout)" ""

begin --interval 1s --keep 3
ok "checkpoints are made by the interval" wait_until 60 test -e job/gen/000002
finish
is "a job with an interval ends as it ends" $? 6
is_whole "undisturbed"
is "they are shown" \
    "$(q show -d job --json | json 'len(d["generations"]) > 1')" True

begin
q checkpoint -d job >/dev/null
q checkpoint -d job --stop >/dev/null
wait $front
for file in job/gen/000002/*; do
    case $file in
    *.sum | */manifest.json) ;;
    *) break ;;
    esac
done
# Another byte, whatever it was.
byte=$(od -An -tu1 -j 100 -N 1 "$file")
# shellcheck disable=SC2059
printf "\\x$(printf %x $((byte ^ 16)))" |
    dd of="$file" bs=1 seek=100 conv=notrunc status=none
status_is "verify finds a flipped byte" 1 q verify -d job
has "in that generation" "$out" "generation 2: DAMAGED"
has "and not in the other" "$out" "generation 1: good"
: >stderr
start restart -d job
finish
is "restart takes the one before" $? 6
is_whole "and nothing is lost or doubled"
has "which is said" "$(<stderr)" "restarted from generation 1"
status_is "a new job is refused where one has ended with checkpoints" 2 q run -d job -- true
has "for that reason" "$err" "holds a job that has ended with status 6: choose another directory"
echo '{' >job/job.json
status_is "show goes on without the job's record" 0 q show -d job
has "but says so" "$out" "record     job: job.json line 2"

begin
q checkpoint -d job >/dev/null
kill -KILL $front
wait $front 2>/dev/null
wait_until 60 grep -q '"ended"' job/log.jsonl
start restart -d job
wait_until 60 has_event job restarted
wait_until 60 counted 20
kill -STOP -$front
wait_until 60 grep -q suspended job/log.jsonl
ok "stopping the group stops a restarted job" wait_until 10 stands_still count
kill -CONT -$front
finish
is "and continuing continues it" $? 6
is_whole "after a death the last checkpoint goes on"

begin
kill -STOP -$front
wait_until 60 grep -q suspended job/log.jsonl
status_is "a suspended job can be saved" 0 q checkpoint -d job
ok "and stays suspended" wait_until 10 stands_still count
status_is "and stopped at a checkpoint" 0 q checkpoint -d job --stop
wait $front
is "it ends although it was suspended" $? 75
start restart -d job
finish
is "and runs when it is restarted" $? 6
is_whole "to its end"

begin
for point in supervisor-saved supervisor-written supervisor-published; do
    q checkpoint -d job --stop >/dev/null
    wait $front
    restarts=$(grep -c '"restarted"' job/log.jsonl)
    QCKPT_TESTING=1 QCKPT_FAULT=$point setsid "$QCKPT" restart -d job >>stdout 2>>stderr &
    front=$!
    wait_until 60 sh -c "[ \$(grep -c '\"restarted\"' job/log.jsonl) -gt $restarts ]"
    status_is "the supervisor dies at $point: the request fails" 1 q checkpoint -d job
    wait $front
    is "the front fails" $? 1
    status_is "what is published is whole" 0 q verify -d job
    start restart -d job
    wait_until 60 sh -c "q() { '$QCKPT' \"\$@\"; }; q show -d job | grep -q 'state *running'"
done
finish
is "at the end the job ends as ever" $? 6
is_whole "and has done everything once"
done_testing
