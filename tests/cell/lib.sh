# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What the cell tests have in common. Each script has its own cell:
#
#   . "${0%/*}/lib.sh"
#   cell_begin                    up, with the project from BUILD (environment)
#   id=$(submit NAME [QSUB-OPTION...] COMMAND...)
#   ...
#   done_testing
#
# Each script runs once for each engine (QCKPT_TEST_ENGINE=native|dmtcp), with the same
# checks: what an engine does in its own way is said below, under "The engine".
#
# The programs are in $jobs; a job's output is $shared/NAME.out. Before the first migration
# `reference NAME COMMAND...` starts the same command by itself; `continued NAME...` waits
# for it and compares.
set -u

cell_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$cell_source/../lib/tap.sh"
cell_build=${BUILD:?the build directory}
cell_engine=${QCKPT_TEST_ENGINE:-native}
cell_dir=$cell_build/tests/cell/$(basename "$0" .t)-$cell_engine.cell
shared=$cell_dir/srv/shared
# The programs that are jobs, as a job sees them.
jobs=/srv/shared/jobs
work=$cell_dir/test

### The engine ##################################################################

# The checkpoint environment, its ckpt_dir, the starter_method, how a job finds the
# engine, and how the cell does.
case $cell_engine in
native)
    ckpt_name=qckpt
    ckpt=$cell_dir/srv/ckpt
    ckpt_dirs=("$ckpt")
    starter=/srv/prefix/libexec/qckpt/qckpt-starter
    engine_options=()
    cell_options=()
    ;;
dmtcp)
    # As the README of the original scripts says (enable-dmtcp.sh).
    ckpt_name=dmtcp
    ckpt=$cell_dir/srv/nfs/dmtcp
    ckpt_dirs=("$ckpt" "$cell_dir/srv/data/cora/dmtcp")
    starter=/srv/ge/util/dmtcp_starter
    engine_options=(-v QCKPT_DMTCP_PREFIX=/srv/dmtcp)
    cell_options=(--dmtcp "${QCKPT_DMTCP_PREFIX-}")
    ;;
*) bail_out "QCKPT_TEST_ENGINE=$cell_engine: native or dmtcp" ;;
esac
is_dmtcp() {
    [ $cell_engine = dmtcp ]
}

# engine_of JOB: the engine its directory names, or has named.
engine_of() {
    save_jobs
    sed -n 's/.*"engine": *"\([^"]*\)".*/\1/p' "$work/job/$1.1/job.json"
}

# unsaveable: the arguments of the test program `threads` with which it cannot be saved,
# after its name; unsaveable_why: what the refusal must say. The native engine refuses a
# seccomp filter; DMTCP has no hold on a static program.
if is_dmtcp; then
    unsaveable=("$jobs/threads-static")
    unsaveable_why=threads-static
    # It proves the room first, instead of finding none while it writes.
    no_room_event=checkpoint-refused
else
    unsaveable=("$jobs/threads" -r)
    unsaveable_why=seccomp
    no_room_event=checkpoint-failed
fi

# pattern_of SEED: for pgrep -f, the program `threads -s SEED`, and not the starter that has
# it for an argument. What DMTCP restarted has no arguments any more, only a name; do not ask
# where there may be two.
pattern_of() {
    echo "^[^ ]*threads -s $1$(! is_dmtcp || echo "|DMTCP:threads")"
}

# Takes out of what witness.py prints under an engine what the engine adds by its nature:
# DMTCP has variables, an empty LD_PRELOAD, and three descriptors of its own. Exactly
# these: one more is a fault.
without_engine() {
    is_dmtcp || { cat && return; }
    sed -e '/^env DMTCP_/d' -e '/^env LD_PRELOAD $/d' \
        -e '/^more descriptors /{s/ 3$/ 0/;s/ 4$/ 1/}'
}

# No command in a cell takes longer, and a test must not hang on one that does.
cell() {
    timeout -k 5 60 "$cell_source/cell" -d "$cell_dir" "$@"
}

cell_begin() {
    local reason
    if is_dmtcp && ! [ -x "${QCKPT_DMTCP_PREFIX:+$QCKPT_DMTCP_PREFIX/bin/dmtcp_launch}" ]; then
        skip_all dmtcp "DMTCP is not here: set QCKPT_DMTCP_PREFIX to its prefix"
    fi
    reason=$(cell check 2>&1) || skip_all cell "$reason"
    trap cell_end EXIT
    trap 'exit 1' INT TERM HUP
    timeout -k 5 300 "$cell_source/cell" -d "$cell_dir" up "${cell_options[@]}" "$cell_build" |
        sed 's/^/# /'
    [ "${PIPESTATUS[0]}" -eq 0 ] || bail_out "the cell does not come up"
    mkdir -p "$work"/{job,log,reference} "$shared/jobs"
    cp "$cell_source"/jobs/*.{sh,py} "$cell_build"/tests/cell/{threads,threads-static,strings} \
        "$shared/jobs/"
    chmod -R a+rX "$shared/jobs"
}

cell_end() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        show_logs
        cell logs | grep -v "|using " | tail -n 150 | sed 's/^/# /'
    fi
    [ -n "${KEEP_CELL-}" ] || cell down
    exit "$status"
}

show_logs() {
    local log
    save_jobs
    for log in "$work"/job/*/log.jsonl "$work"/log/*; do
        [ -e "$log" ] && echo "# == ${log#"$work/"}" && sed 's/^/# /' "$log"
    done
}

### Queues and environments #####################################################

# make_queue NAME STARTER SHELL_START_MODE: else as all.q
make_queue() {
    cell as-manager sh -c "qconf -sq all.q | sed -e 's/^qname.*/qname $1/' \
        -e 's|^starter_method.*|starter_method $2|' \
        -e 's/^shell_start_mode.*/shell_start_mode $3/' >/tmp/$1 && qconf -Aq /tmp/$1"
}

# make_environment NAME CKPT_DIR: else as the engine's own; its name is $ckpt_name-NAME
make_environment() {
    cell as-manager sh -c "qconf -sckpt $ckpt_name |
        sed -e 's/^ckpt_name.*/ckpt_name $ckpt_name-$1/' \
            -e 's|^ckpt_dir.*|ckpt_dir $2|' >/tmp/$1 && qconf -Ackpt /tmp/$1 &&
        qconf -aattr queue ckpt_list $ckpt_name-$1 all.q"
}

### Jobs of several hosts #######################################################

# Only DMTCP 4 saves them. Where there is no DMTCP cell_begin says so.
saves_hosts() {
    is_dmtcp && ! "${QCKPT_DMTCP_PREFIX:-/nowhere}/bin/dmtcp_launch" --version 2>/dev/null |
        grep -q '(DMTCP) [123]\.'
}

# connect_hosts: ssh between the hosts, after `cell cpu`, which counts for it too; and the
# parallel environment `loose`, one process a host.
connect_hosts() {
    local reason
    reason=$(cell ssh 2>&1) || skip_all ssh "$reason"
    make_pe loose FALSE 1
}

# make_pe NAME CONTROL_SLAVES ALLOCATION_RULE: a parallel environment of all.q
make_pe() {
    cell as-manager sh -c "cat >/tmp/$1 && qconf -Ap /tmp/$1 && qconf -aattr queue pe_list $1 all.q" >/dev/null <<P
pe_name $1
slots 100
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $3
control_slaves $2
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
P
}

# on_hosts COMMAND: what it prints on each host, with the host's name.
on_hosts() {
    local host
    for host in $(cell hosts); do
        cell on "$host" sh -c "$1" | sed "s/^/$host: /"
    done
}
# What runs of such jobs on any host.
running_parts() {
    on_hosts 'ps -eo args | grep -E "[p]arts.py|[D]MTCP:|dmtcp_[s]sh|[-]-dmtcp-part"'
}
# That, and what it leaves in a host's file systems.
leftovers() {
    running_parts
    on_hosts 'ls -d /tmp/qckpt-dmtcp-* 2>/dev/null; grep -o "[^ ]*/\.work[^ ]*" /proc/mounts'
}

# nothing_runs NAME [SECONDS], nothing_left NAME [SECONDS]: in the end, on no host.
nothing_runs() {
    prints_nothing running_parts "$@"
}
nothing_left() {
    prints_nothing leftovers "$@"
}
prints_nothing() {
    wait_until "${3-20}" eval "[ -z \"\$($1)\" ]"
    is "$2" "$($1)" ""
}

### Jobs ########################################################################

# Prints the job's number, without what qsub has to say. Options go before the command,
# as for qsub.
submit() {
    local name=$1
    shift
    [ ! -e "$shared/hold.$name" ] || set -- -v "HOLD=/srv/shared/hold.$name" "$@"
    cell as-user qsub -terse -N "$name" -j y -o "/srv/shared/$name.out" "$@" |
        sed -n 's/^\([0-9][0-9]*\).*/\1/p'
}

# hold NAME...: the jobs of these names, submitted from now on, do not get beyond their last
# step, so that they are there for what the test has in mind, however long that takes.
# release NAME...: now they may; `continued` does it.
hold() {
    local name
    for name; do
        : >"$shared/hold.$name"
    done
}
release() {
    local name
    for name; do
        rm -f "$shared/hold.$name"
    done
}

# With the checkpoint environment, or another one.
submit_ckpt() {
    local name=$1
    shift
    submit_in "$ckpt_name" "$name" "$@"
}
submit_in() {
    local environment=$1 name=$2
    shift 2
    submit "$name" -ckpt "$environment" "${engine_options[@]}" "$@"
}

# suspend JOB[.TASK]: sends it away.
suspend() {
    cell as-user qmod -sj "$1" >/dev/null
}

declare -A reference_pid=()

# What the command prints when nobody disturbs it: however long it takes.
reference() {
    local name=$1
    shift
    ("$cell_source/cell" -d "$cell_dir" as-user "$@" >"$work/reference/$name" 2>&1) &
    reference_pid[$name]=$!
}

# state JOB [TASK]: the letters of qstat, nothing when the job is gone. A pending
# array shows its tasks as a range.
state() {
    cell as-user qstat -u '*' | awk -v job="$1" -v task="${2-}" '
        $1 == job && (task == "" || $NF == task) { print $5; exit }'
}

# host_of JOB [TASK]
host_of() {
    cell as-user qstat -u '*' -s rs | awk -v job="$1" -v task="${2-}" '
        $1 == job && (task == "" || $NF == task) { sub(/.*@/, "", $8); print $8; exit }'
}

# requests JOB: its hard ones, sorted: the order is not the user's any more when the job
# has been altered.
requests() {
    cell as-user qstat -j "$1" 2>/dev/null | sed -n 's/^hard resource_list: *//p' | tr , '\n' |
        sort | paste -sd ,
}

is_running() {
    [ "$(state "$@")" = r ] || [ "$(state "$@")" = Rr ]
}

# An answer, not the lack of one.
is_gone() {
    cell as-user qstat -j "$1" 2>&1 | grep -q "do not exist"
}

output_lines() {
    grep -c '^step' "$shared/$1.out" 2>/dev/null || :
}

has_steps() {
    save_jobs
    [ "$(output_lines "$1")" -ge "$2" ]
}

# steps NAME N: waits until the job has done N steps.
steps() {
    wait_until 30 has_steps "$@"
}

# goes_on_saved NAME JOB N: it has a checkpoint, and then goes on to N steps.
goes_on_saved() {
    ok "$1 has a checkpoint" wait_until 40 has_event "$2" checkpoint
    ok "$1 goes on" steps "$1" "$3"
}

# failed JOB, exit_status JOB: of its last run, from accounting(5).
failed() {
    awk -F: -v job="$1" '$6 == job { last = $12 } END { print last }' "$cell_dir/srv/ge/cell/common/accounting"
}
exit_status() {
    awk -F: -v job="$1" '$6 == job { last = $13 } END { print last }' "$cell_dir/srv/ge/cell/common/accounting"
}

# Waits until accounting(5), which is written now and then and in order, has all that ended.
accounted() {
    local last
    last=$(submit last -b y true)
    wait_until 20 eval '[ -n "$(exit_status "$last")" ]'
}

# qrsh_once FILE COMMAND...: runs qrsh, its output to FILE. When its job has ended qrsh asks
# once more what state it is in, and says that it could not be scheduled if the queue master
# knows it no more by then (qsh.c of 8.1.9, main). Of a run that ends so nothing can be told:
# there is another.
qrsh_once() {
    local file=$1 times status
    shift
    for times in 1 2 3 4 5 6; do
        "$@" >"$file" 2>&1
        status=$?
        grep -aq "request could not be scheduled" "$file" || break
        diag "qrsh, try $times: $(grep -a "request could not be scheduled" "$file")"
    done
    return $status
}

### The store ###################################################################

# store JOB [TASK]: the job's directory.
store() {
    local dir
    for dir in "${ckpt_dirs[@]}"; do
        [ -e "$dir/geuser/$1.${2-1}" ] && echo "$dir/geuser/$1.${2-1}" && return
    done
    echo "$ckpt/geuser/$1.${2-1}"
}

# A job's directory goes away with the job, which may be while the test looks at another
# one. Each look gives the records of all jobs a second name, by which they are read to their
# last line, and notes the generations.
save_jobs() {
    local dir job name saved generation
    for dir in "${ckpt_dirs[@]}"; do
        for job in "$dir"/geuser/*/; do
            saved=${job%/} && saved=$work/job/${saved##*/}
            for name in log.jsonl job.json; do
                [ ! -e "$job$name" ] || [ "$job$name" -ef "$saved/$name" ] ||
                    { mkdir -p "$saved" && ln -f "$job$name" "$saved/$name"; } 2>/dev/null
            done
            [ -z "$(ls "${job}gen" 2>/dev/null)" ] || mkdir -p "$saved/gen"
        done
    done
    return 0
}

# events JOB[.TASK] EVENT: prints the lines of the event.
events() {
    local job=$1
    case $job in *.*) ;; *) job=$job.1 ;; esac
    save_jobs
    grep -E "\"event\": ?\"$2\"" "$work/job/$job/log.jsonl" 2>/dev/null
}

# has_event JOB[.TASK] EVENT [COUNT]
has_event() {
    [ "$(events "$1" "$2" | wc -l)" -ge "${3-1}" ]
}

# says JOB[.TASK] EVENT TEXT, shows JOB TEXT: in the log, and in what a person is shown.
says() {
    events "$1" "$2" | jq -r .text | grep -F -e "$3"
}
shows() {
    local dir
    dir=$(store "$1")
    cell as-user qckpt show -d "${dir#"$cell_dir"}" | grep -F -e "$2"
}

generations() {
    find "$(store "$@")/gen" -mindepth 1 -maxdepth 1 -name '[0-9]*' 2>/dev/null | sort
}

has_generations() {
    [ "$(generations "$1" | wc -l)" -ge "$2" ]
}

# had_generations JOB: it had one in its directory when somebody looked.
had_generations() {
    save_jobs
    [ -e "$work/job/$1.1/gen" ]
}

### Tests #######################################################################

# continued NAME JOB: the job ends, it did so as the undisturbed run did, and it was never
# begun again.
continued() {
    local name=$1 job=$2
    release "$name"
    ok "$name ends" wait_until 90 is_gone "$job"
    same_output "$name"
    # Written once a second.
    wait_until 5 eval '[ "$(exit_status "$job")" = 0 ]'
    is "$name: exit status" "$(exit_status "$job")" 0
}

same_output() {
    local name=$1
    wait "${reference_pid[$name]}" || not_ok "$name: the undisturbed run" "failed"
    same_file "$name: output as undisturbed" "$shared/$name.out" "$work/reference/$name"
}
