#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# qckpt-migrate-cpu on a job that qckpt-starter runs, with programs of Grid Engine that
# say what the test wants.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

for hook in qckpt-migrate-cpu dmtcp_migrate_cpu; do
    ln -s "$QCKPT" "$libexec/$hook"
done
ge_spool handle_as_binary=1 no_shell=1 "ckpt_command=$libexec/qckpt-checkpoint"

### Grid Engine #################################################################

request() {
    echo "<qstat_l_requests><CE_name>$1</CE_name><CE_stringval>$2</CE_stringval></qstat_l_requests>"
}

# cluster COMPLEXES LEVEL...: complexes in words, the cpu_level of each queue. qalter
# does what it is told and writes down how it was called.
cluster() {
    local level i=0
    rm -f "$work/hard" "$work"/*.calls
    {
        echo "hostname h HOST == YES NO NONE 0"
        [[ " $1 " != *" cpu_level "* ]] || echo "cpu_level cpu_lvl INT <= YES NO 0 0"
        [[ " $1 " != *" consumable "* ]] || echo "cpu_level cpu_lvl INT <= YES YES 0 0"
    } >"$work/complexes"
    shift
    for level in "$@"; do
        i=$((i + 1))
        echo "<Queue-List><name>all.q@n$i</name>" \
            "<resource name=\"cpu_level\" type=\"hl\">$level</resource></Queue-List>"
    done >"$work/queues"
    cat >"$work/bin/qconf" <<Q
#!/bin/sh
cat $work/complexes
Q
    cat >"$work/bin/qstat" <<Q
#!/bin/sh
echo "<?xml version='1.0'?>"
case "\$*" in
'-j 4711 -xml')
    echo '<detailed_job_info><djob_info><element><JB_job_number>4711</JB_job_number>'
    [ ! -s $work/hard ] || { echo '<JB_hard_resource_list>'; cat $work/hard; echo '</JB_hard_resource_list>'; }
    echo '</element></djob_info></detailed_job_info>' ;;
-F*)
    echo "\$*" >>$work/qstat.calls
    [ ! -e $work/meanwhile ] || mv $work/meanwhile $work/hard
    case "\$*" in *" -q *@"*) only="\${7#??}<" ;; *) only= ;; esac
    echo '<job_info><queue_info>'; grep -F "@\$only" $work/queues; echo '</queue_info></job_info>' ;;
*)
    cat $work/jobs ;;
esac
Q
    cat >"$work/bin/qalter" <<Q
#!/bin/sh
echo "\$*" >>$work/qalter.calls
[ "\$1" = -l ] && [ "\$3" = 4711 ] || exit 9
echo "\$2" | tr , '\n' | sed 's|\(.*\)=\(.*\)|<qstat_l_requests><CE_name>\1</CE_name><CE_stringval>\2</CE_stringval></qstat_l_requests>|' >$work/hard
Q
    chmod 755 "$work"/bin/*
}

### The job #####################################################################

env=(QCKPT_TESTING=1 QCKPT_FAKE_CPU=x86-64-v3 SGE_CKPT_ENV=qckpt_cpu "SGE_CKPT_DIR=$ckpt_dir")
task=undefined

start() {
    rm -rf "$work/status" "$work/pid" "$job_dir"
    (
        ge_env "${env[@]}" SGE_TASK_ID=$task SGE_STARTER_SHELL_START_MODE=unix_behavior \
            SGE_STARTER_SHELL_PATH=/bin/sh "$libexec/qckpt-starter" sleep 1000 \
            </dev/null >"$work/starter.out" &
        echo $! >"$work/pid"
        wait $!
        echo $? >"$work/status"
    ) 2>"$work/starter.err" &
    wait_until 20 logged launched ""
}

migrate() {
    ge_env "${env[@]}" SGE_TASK_ID=$task QCKPT_HOOK_TIMEOUT=30 "$@" \
        "$libexec/${hook_name-qckpt-migrate-cpu}" >"$work/hook.out" 2>&1
}

# logged EVENT TEXT: the event log has such a line
logged() {
    jq -e --arg e "$1" --arg t "$2" -s \
        'any(.[]; .event == $e and (.text | contains($t)))' "$job_dir/log.jsonl"
}

stopped() {
    wait_until 20 test -s "$work/status" && [ "$(cat "$work/status")" = 99 ]
}

runs_on() {
    ! [ -s "$work/status" ] && kill -0 "$(cat "$work/pid")"
}

qalter_calls() {
    cat "$work/qalter.calls" 2>/dev/null
}

### A plain job #################################################################

cluster cpu_level 1 3 4
request h_rt 3600 >"$work/hard"
request sw 'a;b&quot;' >>"$work/hard"
start
migrate
is "the job migrates" "$?" 0
is "what it asked for stays, and the level is added" "$(qalter_calls)" \
    '-l h_rt=3600,sw=a;b",cpu_level=3 4711'
ok "it is stopped to be queued again" stopped
ok "the log says what it asks for" logged cpu-requests "the job now asks for cpu_level=3"
ok "... and who has it" logged cpu-requests \
    "2 of 3 queue instances have that, 2 of them on other hosts"

start
hook_name=dmtcp_migrate_cpu migrate
is "the second time nothing grows" "$? $(qalter_calls | wc -l)" "0 1"
ok "... and that is said" logged cpu-requests "asks already"
stopped

cluster cpu_level 1 3
request h_rt 3600 >"$work/hard"
request h_rt 7200 >"$work/meanwhile"
start
migrate
is "what the user alters while the cluster is asked stays" "$? $(qalter_calls)" \
    "0 -l h_rt=7200,cpu_level=3 4711"
stopped

cluster cpu_level 3 3 1
start
migrate
is "a host that has what the job needs is enough to know" "$? $(cat "$work/qstat.calls")" \
    "0 -F cpu_level -u : -xml -q *@n1"
ok "... which the log has" logged cpu-requests "the job now asks for cpu_level=3; this host has that"
stopped

### What cannot be had ##########################################################

cluster "" 3
start
migrate
is "without complexes it migrates all the same" "$? $(qalter_calls)" "0 "
ok "... and they are named" logged cpu-requests "the cluster has no such complex: cpu_level cpuflag_"
stopped

cluster consumable 3
start
migrate
ok "a complex of another kind is named" logged cpu-requests "of another kind: cpu_level"
stopped

cluster cpu_level 3
printf '#!/bin/sh\necho "denied: host n1 is not a submit host" >&2\nexit 1\n' >"$work/bin/qalter"
start
migrate QCKPT_MIGRATE_CPU=stay
is "it stays when its requests cannot be raised and the site wants that" "$?" 3
ok "... runs on" runs_on
ok "... and says why" logged cpu-requests "denied: host n1 is not a submit host"
migrate
is "... by default it migrates" "$?" 0
stopped

cluster cpu_level 1 2 2
start
migrate
is "where no queue has it the job stays" "$? $(qalter_calls)" "3 "
ok "... runs on" runs_on
ok "... and says why" logged cpu-requests \
    "none of the 3 queue instances of the cluster has what it needs (cpu_level=3)"
ok "... and what to do" logged hook-ended "QCKPT_MIGRATE_CPU=migrate moves it all the same"
migrate QCKPT_MIGRATE_CPU=migrate
is "unless it is told to go" "$? $(qalter_calls)" "0 -l cpu_level=3 4711"
ok "... to wait, which is said" logged cpu-requests "so the job will wait"
stopped

cluster cpu_level
start
migrate QCKPT_MIGRATE_CPU=elsewhere
is "no queue at all says nothing" "$? $(qalter_calls)" "0 -l cpu_level=3 4711"
ok "... which the log has" logged cpu-requests "qstat -F shows no queue"
ok "a choice that is none is told" logged warning '"elsewhere" is none of auto, migrate, stay'
stopped

cluster cpu_level 3
echo '<?xml cut off' >"$work/hard"
start
migrate
is "damage in qstat's answer does not end in qalter" "$? $(qalter_calls)" "0 "
ok "... it is told" logged cpu-requests "qstat's list of requests has"
stopped

### A task ######################################################################

# jobs STATE TASKS...: what qstat lists
jobs() {
    echo "<?xml version='1.0'?><job_info><queue_info>"
    while [ $# -gt 1 ]; do
        echo "<job_list><JB_job_number>4711</JB_job_number><state>$1</state><tasks>$2</tasks></job_list>"
        shift 2
    done
    echo "</queue_info></job_info>"
}

cluster cpu_level 1 3 4
task=1
jobs r 1 qw 2-5 >"$work/jobs"
start
migrate
is "as long as tasks wait for their first start the requests stay" "$? $(qalter_calls)" "0 "
ok "... which is said" logged cpu-requests "tasks that have not been started yet may run anywhere"
stopped

cluster cpu_level 1 3 4
request cpu_level 3 >"$work/hard"
start
migrate
is "a task whose array asks for enough" "$? $(qalter_calls)" "0 "
ok "... looks at no other" logged cpu-requests "asks already for hosts that can continue it"
stopped
cluster cpu_level 1 3 4

# A second task, on a lesser host.
jobs r 1 Rq 2 >"$work/jobs"
other=$ckpt_dir/$user/4711.2
(
    task=2 job_dir=$other
    env[1]=QCKPT_FAKE_CPU=x86-64-v2
    start
    wait_until 20 test -s "$work/status"
) &
sleep 0.1
wait_until 20 test -e "$other/log.jsonl"
wait_until 20 grep -q launched "$other/log.jsonl"
cp "$work/pid" "$work/pid2"
start
migrate
is "nor while it is not known what another task needs" "$? $(qalter_calls)" "0 "
ok "... which is said" logged cpu-requests "what task 2 needs is not known: it has no checkpoint yet"
stopped
task=2 job_dir=$other
env[1]=QCKPT_FAKE_CPU=x86-64-v2
ge_env "${env[@]}" SGE_TASK_ID=2 "$libexec/qckpt-checkpoint" >/dev/null 2>&1
task=1 job_dir=$ckpt_dir/$user/4711.1
env[1]=QCKPT_FAKE_CPU=x86-64-v3
start
migrate
is "what all tasks need is asked for" "$? $(qalter_calls)" "0 -l cpu_level=2 4711"
stopped
kill -9 "$(cat "$work/pid2")"
wait
done_testing
