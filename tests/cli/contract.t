#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A job goes on only where its CPU's features exist: by hand, and what a starter on a
# wrong host does. QCKPT_FAKE_CPU makes this host another one.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

dmtcp=${QCKPT_DMTCP_PREFIX-}
export QCKPT_ENGINE=native
cd "$work" || bail_out "no directory $work"
ln -s "$QCKPT" "$libexec/qckpt-migrate-cpu"
config=("ckpt_command=$libexec/qckpt-checkpoint")

fake() {
    env QCKPT_TESTING=1 QCKPT_FAKE_CPU="$1" "${@:2}"
}

# status_of COMMAND...   its output in $said; prints the status
status_of() {
    "$@" >said 2>&1
    echo $?
}

# shown FILTER   of the job's state
shown() {
    fake "${cpu:-x86-64-v4}" "$QCKPT" show -d "$job_dir" --json | jq -r "$1"
}

# logged EVENT   how many there are
logged() {
    jq -s "map(select(.event == \"$1\")) | length" "$job_dir/log.jsonl"
}

# ---- by hand

stopped_on() {
    rm -rf job
    fake "$1" "$QCKPT" run -d job -- sh -c 'while [ ! -e go ]; do sleep 0.05; done; exit 7' \
        >/dev/null 2>&1 &
    wait_until 10 "$QCKPT" checkpoint -d job --stop
    wait $!
}
stopped_on x86-64-v3
is "a host with less: refused" "$(status_of fake x86-64-v2 "$QCKPT" restart -d job)" 3
is "... what is missing is named, once" \
    "$(grep -c "^qckpt: nothing was started: host $(uname -n) lacks .*avx2.*; generation 1 was made where they exist$" said) $(wc -l <said)" "1 1"
ok "... show has what it needs" grep -q "^ *needs x86-64-v3 (host policy: 23 flags).*; this host lacks abm avx avx2" \
    <(fake x86-64-v2 "$QCKPT" show -d job)
ok "... and that another host has that" grep -q "; this host has that$" \
    <(fake x86-64-v4 "$QCKPT" show -d job)
is "... in JSON" "$(fake 'x86-64-v3 -movbe' "$QCKPT" show -d job --json |
    jq -c '.generations[0].cpu | [.policy, .level, .holds_here, .missing_here]')" \
    '["host",3,false,["movbe"]]'
is "... the job is as it was" "$("$QCKPT" show -d job --json | jq -r .state)" stopped
touch go
is "--ignore-cpu is for who knows better" \
    "$(status_of fake x86-64-v2 "$QCKPT" restart -d job --ignore-cpu)" 7
ok "... and is told" grep -q "continued here all the same" said
rm go
stopped_on x86-64-v3
touch go
is "a host with more" "$(status_of fake x86-64-v4 "$QCKPT" restart -d job)" 7
rm go
is "a policy that is none" \
    "$(status_of env QCKPT_CPU=fast "$QCKPT" run -d none -- true) $(<said)" \
    '2 qckpt: QCKPT_CPU: "fast" is none of host, level, baseline=x86-64-v1 to -v4'
is "a baseline reaches the program" \
    "$(QCKPT_CPU=baseline=x86-64-v1 "$QCKPT" run -d base -- sh -c 'echo $LD_BIND_NOW')" 1
is "nobody pretends outside tests" \
    "$(status_of env QCKPT_FAKE_CPU=x86-64-v1 "$QCKPT" run -d none -- true)" 2

# With DMTCP the contract is the same.
with_dmtcp() {
    local -x QCKPT_ENGINE=dmtcp QCKPT_DMTCP_PREFIX=$dmtcp QCKPT_CPU=baseline=x86-64-v2
    stopped_on x86-64-v4
    is "DMTCP: a host with less" "$(status_of fake x86-64-v1 "$QCKPT" restart -d job)" 3
    ok "... is refused by name" grep -q "^qckpt: nothing was started: host .* lacks .*; generation 1 was made" said
    touch go
    is "... one of the baseline continues" "$(status_of fake x86-64-v2 "$QCKPT" restart -d job)" 7
    rm go
    is "... the variables reach the program" \
        "$("$QCKPT" run -d dmtcp-base -- sh -c 'echo $LD_BIND_NOW')" 1
}
if [ -x "$dmtcp/bin/dmtcp_launch" ]; then
    with_dmtcp
else
    skip dmtcp "with DMTCP" "no QCKPT_DMTCP_PREFIX/bin/dmtcp_launch"
fi

# ---- Grid Engine: its programs as far as a starter calls them

# cluster LEVEL...   the hosts n1 n2... have these levels; each request can be made
cluster() {
    printf '%s\n' "$@" >levels
    : >requests
    cat >bin/qstat <<'Q'
#!/bin/sh
cd "${0%/*}/.." || exit 1
echo "<?xml version='1.0'?>"
if [ "$1" = -j ]; then
    echo '<detailed_job_info><djob_info><element><JB_job_number>4711</JB_job_number>'
    sed 's|\(.*\)=\(.*\)|<qstat_l_requests><CE_name>\1</CE_name><CE_stringval>\2</CE_stringval></qstat_l_requests>|
        1i <JB_hard_resource_list>
        $a </JB_hard_resource_list>' requests
    echo '</element></djob_info></detailed_job_info>'
    exit
fi
echo '<job_info><queue_info>'
n=0
while read -r level; do
    n=$((n + 1))
    case $7 in '' | "*@n$n") ;; *) continue ;; esac
    echo "<Queue-List><name>all.q@n$n</name><resource name=\"cpu_level\" type=\"hf\">$level</resource></Queue-List>"
done <levels
echo '</queue_info><job_info></job_info></job_info>'
Q
    cat >bin/qconf <<'Q'
#!/bin/sh
cat "${0%/*}/../complexes"
Q
    cat >bin/qalter <<'Q'
#!/bin/sh
echo "$*" >>"${0%/*}/../qalter.calls"
echo "$2" | tr , '\n' >"${0%/*}/../requests"
Q
    chmod 755 bin/*
    rm -f qalter.calls
    printf '%s\n' 'h_rt h_rt TIME <= YES NO 0:0:0 0' 'cpu_level cpul INT <= YES NO 0 0' \
        'cpuflag_sse4a cf_sse4a BOOL == YES NO 0 0' >complexes
}

echo held >held
# begin CPU [NAME=VALUE...]   a starter on such a host, in the background
begin() {
    rm -f status pid out holds
    ge_spool handle_as_binary=1 no_shell=1 "${config[@]}"
    (
        ge_env SGE_CKPT_ENV=any "SGE_CKPT_DIR=$ckpt_dir" QCKPT_TESTING=1 \
            QCKPT_FAKE_CPU="$1" SGE_STARTER_SHELL_START_MODE=unix_behavior \
            SGE_STARTER_SHELL_PATH=/bin/sh "${@:2}" \
            sh -c 'echo $$ >pid; exec "$0" "$@"' "$libexec/qckpt-starter" \
            sh -c 'exec 3<held; : >holds; while [ ! -e go ]; do sleep 0.05; done; exit 7' >out 2>&1
        echo $? >status
    ) &
}
ended() {
    if wait_until 20 test -s status; then
        cat status
    else
        kill -KILL "$(<pid)"
        echo "none, the starter does not end"
    fi
}
# end_wait SIGNAL   prints the status of the starter that waits, and for how long it would
end_wait() {
    wait_until 10 grep -q 'queued again in' out
    kill "-$1" "$(<pid)"
    echo "$(ended) $(grep -o 'again in [0-9]* s' out)"
}
# meant SECONDS   the wait that was meant, of one that may be half as long again
meant() {
    awk -v base="$1" '$4 >= base && $4 <= base * 1.5 { $4 = base } { print }'
}
on() {
    begin "$@"
    ended
}
saved_on() {
    rm -rf "${ckpt_dir:?}/$user"
    rm -f go
    begin "$@"
    wait_until 10 test -e holds || diag "no job"
    wait_until 10 "$QCKPT" checkpoint -d "$job_dir" --stop || diag "no checkpoint"
    is "saved on $1" "$(ended)" 99
}
again=(RESTARTED=2 QCKPT_RETRY_DELAY=1)

# ---- a plain job: its requests are raised

cluster 3 2 3
echo h_rt=3600 >requests
saved_on x86-64-v3
is "a wrong host: queued again at once" "$(on x86-64-v2 "${again[@]}" QCKPT_RETRY_DELAY=1000)" 99
is "... the job asks for what it needs, beside what it did" "$(sort requests | tr '\n' ' ')" \
    "cpu_level=3 h_rt=3600 "
ok "... which is said" grep -qx \
    "qckpt-starter: warning: host .* lacks abm .*; generation 1 was made where they exist; the job now asks for cpu_level=3; .*; it is queued again" out
is "... and shown" "$(shown '.state, .waiting.next')" "waiting
the job now asks for cpu_level=3; 2 of 3 queue instances have that, 1 of them on other hosts; it is queued again"
ok "... the checkpoint stays" test -d "$job_dir/gen/000001"
is "a host that claims more than it has: nothing is raised twice" \
    "$(on x86-64-v2 "${again[@]}") $(wc -l <qalter.calls)" "99 1"
ok "... and it waits" grep -q "queued again in 2 s; the job asks already for hosts that can continue it" out
begin x86-64-v2 "${again[@]}" QCKPT_RETRY_DELAY=1000
wait_until 10 grep -q 'queued again in' out
cp requests before
is "a migration from a host where it only waits" "$(status_of ge_env SGE_CKPT_ENV=any \
    "SGE_CKPT_DIR=$ckpt_dir" QCKPT_MIGRATE_CPU=migrate QCKPT_TESTING=1 'QCKPT_FAKE_CPU=x86-64-v2 +sse4a' \
    "$libexec/qckpt-migrate-cpu")" 1
ok "... adds nothing of that host to its requests" cmp requests before
is "... and does not end the wait" "$(end_wait TERM | meant 1000)" "99 again in 1000 s"
touch go
is "the right host continues" "$(on x86-64-v4 "${again[@]}")" 7
is "... and it waits no more" "$(shown '.state, .waiting')" "ended
null"

cluster 2 2 2
saved_on x86-64-v3 QCKPT_CPU=level
is "no host offers it" "$(on x86-64-v2 "${again[@]}")" 99
ok "... the job is not made to wait for what nobody has" \
    grep -q "queued again in 1 s; none of the 3 queue instances of the cluster has what it needs (cpu_level=3)" out
ok "... nothing is raised" test ! -e qalter.calls

# ---- where that cannot be done: a wait that grows

ge_qstat -
saved_on x86-64-v3
is "a host that may not ask" "$(on x86-64-v2 "${again[@]}")" 99
ok "... says so and waits" grep -q "queued again in 1 s; the job.s requests could not be raised: .*denied" out
is "... the second time longer" "$(on x86-64-v2 "${again[@]}") $(grep -o 'again in [0-9]* s' out)" \
    "99 again in 2 s"
is "... what show says" "$(cpu=x86-64-v2 shown '.state, .waiting.times, .waiting.reason, .generations[0].cpu.holds_here')" \
    "waiting
2
host $(uname -n) lacks abm avx avx2 bmi1 bmi2 f16c fma movbe xsave; generation 1 was made where they exist
false"
ok "... for people" grep -q "^state      waiting for another host: host .* lacks abm" \
    <("$QCKPT" show -d "$job_dir")
for signal in USR1 USR2 TERM; do
    begin x86-64-v2 "${again[@]}" QCKPT_RETRY_DELAY=1000
    is "SIG$signal ends the wait, not the job" "$(end_wait $signal | meant 1000)" "99 again in 1000 s"
done

# Twenty-five wrong hosts, as the log has them after days, behind what a host that died
# while it wrote has left.
python3 - "$job_dir" <<'P'
import json, sys
run = json.load(open(sys.argv[1] + "/epoch"))["epoch"]
with open(sys.argv[1] + "/log.jsonl", "a") as log:
    log.write("\0" * 100)
    for i in range(25):
        log.write(json.dumps({"time": "t", "host": "h", "epoch": run, "who": "supervisor",
            "level": "warning", "event": "wrong-host", "text": "lacks"}) + "\n")
P
begin x86-64-v2 "${again[@]}"
is "many wrong hosts: the delay ends at ten minutes" "$(end_wait TERM | meant 600)" "99 again in 600 s"

saved_on x86-64-v3
for ((i = 0; i < 22; i++)); do
    begin x86-64-v2 "${again[@]}"
    end_wait TERM >last
done
is "more runs on wrong hosts than a job may fail" "$(meant 600 <last), $(logged wrong-host)" \
    "99 again in 600 s, 22"
# The log of days is longer than what is read of it.
python3 - "$job_dir/log.jsonl" <<'P'
import json, sys
with open(sys.argv[1]) as log:
    lines = log.readlines()
filler = json.dumps({"event": "note", "text": "x" * 1000}) + "\n"
last = max(i for i, line in enumerate(lines) if '"wrong-host"' in line)
with open(sys.argv[1], "w") as log:
    log.writelines(lines[:last] + [filler] * 300 + lines[last:])
P
: >held # now it is shorter than the job knows it
is "... a failure of another kind is the first, not one too many" \
    "$(on x86-64-v3 "${again[@]}") $(logged restart-failed)" "99 1"
echo held >held
touch go
is "... and the job is whole" "$(on x86-64-v3 "${again[@]}")" 7

# ---- a task of an array: no request of its own

cluster 3 2 3
job_dir=$ckpt_dir/$user/4711.3
saved_on x86-64-v3 SGE_TASK_ID=3
is "a task of an array" "$(on x86-64-v2 "${again[@]}" SGE_TASK_ID=3)" 99
ok "... leaves the requests of the others alone" test ! -e qalter.calls
ok "... and says so" grep -q "queued again in 1 s; the requests are those of all tasks and stay as they are" out
touch go
is "... and goes on elsewhere" "$(on x86-64-v3 "${again[@]}" SGE_TASK_ID=3)" 7

done_testing
