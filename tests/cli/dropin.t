#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The names of gridengine_dmtcp, with the configuration of its README: copies of the
# program in one directory, environments that are called dmtcp and dmtcp_cpu.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

util=$work/util
tests=$(cd "${0%/*}" && pwd)
mkdir "$util"
for hook in starter checkpoint migrate migrate_cpu cleanup; do
    cp "$QCKPT" "$util/dmtcp_$hook"
done
dmtcp=${QCKPT_DMTCP_PREFIX-}
QCKPT_DMTCP_PREFIX=$work/no-dmtcp

# configured MIGRATE   the spool's config of a job with the environment of the README
configured() {
    ge_spool handle_as_binary=1 no_shell=1 "ckpt_command=$util/dmtcp_checkpoint" \
        "ckpt_migr_command=$util/$1" ckpt_rest_command=NONE \
        "ckpt_clean_command=$util/dmtcp_cleanup"
}

in_job() {
    ge_env "SGE_CKPT_ENV=${env:-dmtcp}" "SGE_CKPT_DIR=$ckpt_dir" QCKPT_HOOK_TIMEOUT=30 \
        QCKPT_DMTCP_PREFIX="$QCKPT_DMTCP_PREFIX" "$@"
}

start() {
    rm -f "$work/status"
    (
        in_job SGE_STARTER_SHELL_START_MODE=unix_behavior SGE_STARTER_SHELL_PATH=/bin/sh \
            "${as[@]}" "$util/dmtcp_starter" "$@" </dev/null >"$work/out" 2>"$work/err"
        echo $? >"$work/status"
    ) &
}

ended() {
    wait_until 20 test -s "$work/status" || diag "the job does not end"
    cat "$work/status"
}

is_running() {
    [ -e "$job_dir/log.jsonl" ] && grep -q '"event": *"\(launched\|restarted\)"' "$job_dir/log.jsonl"
}

# logged WHO EVENT TEXT
logged() {
    jq -e --arg w "$1" --arg e "$2" --arg t "$3" -s \
        'any(.[]; .who == $w and .event == $e and (.text | contains($t)))' "$job_dir/log.jsonl"
}

as=()

# ---- the hooks, whatever the engine

QCKPT_ENGINE=native
for migrate in dmtcp_migrate dmtcp_migrate_cpu; do
    configured $migrate
    start sh -c 'echo $((1 + 1)); exec sleep 1000'
    ok "dmtcp_starter launches a job" wait_until 20 is_running
    in_job "$util/dmtcp_checkpoint"
    is "dmtcp_checkpoint" "$? $(ls "$job_dir/gen")" "0 000001"
    ok "... calls itself so in the log" logged dmtcp_checkpoint hook-ended "dmtcp_checkpoint ended"
    in_job "$util/$migrate"
    is "$migrate" "$? $(ended)" "0 99"
    ok "... calls itself so in the log" logged $migrate hook-ended "the job continues from"
    start sh -c 'echo from the beginning'
    ok "dmtcp_starter continues the job" wait_until 20 logged supervisor restarted "generation 2"
    kill "$(pgrep -P $!)"
    ended >"$work/ignored"
    is "... and does not begin again" "$(<"$work/out")" ""
    ge_qstat dr
    in_job "$util/dmtcp_cleanup"
    is "dmtcp_cleanup" "$? $(ls "$ckpt_dir")" "0 "
done

in_job "$util/dmtcp_migrate" 4711 0 >"$work/out" 2>&1
is "a mistake is told" $? 2
ok "... by the name that was called" grep -q "^dmtcp_migrate: 2 arguments" "$work/out"

configured dmtcp_migrate
printf '#!/bin/bash\necho "$BASH"\n' >"$work/script"
chmod 755 "$work/script"
SPOOL=/nonexistent
start "$work/script"
is "without a readable spool the environment's name decides" "$(ended)" 0
ok "... the job is ours" test -e "$job_dir/done.json"
unset SPOOL
rm -rf "${ckpt_dir:?}"/*
as=(JOB_ID=none)
start true
ended >"$work/ignored"
ok "dmtcp_starter calls itself so on stderr" grep -q "^dmtcp_starter: warning: " "$work/err"
as=()
rm -rf "${ckpt_dir:?}"/*

# A site whose other scripts are the original ones.
ge_spool handle_as_binary=1 no_shell=1 ckpt_command=/u/dmtcp_checkpoint.orig
start echo alone
is "commands of other names are not ours" "$(ended) $(<"$work/out") $(ls "$ckpt_dir")" "0 alone "

# ---- the engine

QCKPT_ENGINE=
for env in dmtcp site_dmtcp_long; do
    configured dmtcp_migrate
    start sh -c 'echo ran; exit 6'
    is "an environment $env wants DMTCP: without it the job runs" "$(ended) $(<"$work/out")" "6 ran"
    ok "... and says so" grep -q "^dmtcp_starter: warning: this job runs without checkpoints: .*dmtcp" \
        "$work/err"
    ok "... in its log" logged supervisor no-checkpoints "runs without checkpoints: "
    ok "... and in qckpt show" grep -q "without checkpoints: .*dmtcp" <<<"$("$QCKPT" show -d "$job_dir")"
    start false
    is "... and a rerun of it has its status" "$(ended)" 6
    rm -rf "${ckpt_dir:?}"/*
done
env=other
start true
is "an environment of another name takes the first engine that can" \
    "$(ended) $(jq -r .engine "$job_dir/job.json")" "0 native"
rm -rf "${ckpt_dir:?}"/*
QCKPT_ENGINE=dmtcp
start true
is "QCKPT_ENGINE=dmtcp is not another engine" "$(ended) $(jq -r .engine "$job_dir/job.json")" "0 none"
rm -rf "${ckpt_dir:?}"/*
QCKPT_ENGINE=steam
start true
is "an engine that does not exist: as if none was asked for" \
    "$(ended) $(jq -r .engine "$job_dir/job.json")" "0 native"
ok "... and that is told" grep -q "QCKPT_ENGINE: there is no engine 'steam'.*it is ignored" "$work/err"
rm -rf "${ckpt_dir:?}"/*
QCKPT_ENGINE=

# With DMTCP, as the README has it and nothing else set.
with_dmtcp() {
    configured dmtcp_migrate
    env=dmtcp
    QCKPT_DMTCP_PREFIX=$dmtcp
    start sh -c 'echo begun; while [ ! -e go ]; do sleep 0.1; done; echo "ended"; exit 3'
    ok "a job of the environment dmtcp is launched" wait_until 20 is_running
    in_job "$util/dmtcp_migrate"
    is "... and migrated" "$? $(ended) $(jq -r .engine "$job_dir/gen/000001/manifest.json")" "0 99 dmtcp"
    QCKPT_DMTCP_PREFIX=$work/no-dmtcp
    as=(RESTARTED=2 QCKPT_RETRY_DELAY=1)
    start false
    is "a host without DMTCP: it is queued again" "$(ended)" 99
    ok "... for that reason" grep -q "queued again .*could not be restarted here: .*no-dmtcp" "$work/err"
    ok "... and keeps its checkpoint" test -d "$job_dir/gen/000001"
    QCKPT_DMTCP_PREFIX=$dmtcp
    QCKPT_ENGINE=native
    start false
    touch go # it ends at once when it runs again
    is "another host: it goes on, whatever engine is set now" "$(ended) $(<"$work/out")" "3 ended"
    QCKPT_ENGINE=
    as=()
    ge_qstat dr
    in_job "$util/dmtcp_cleanup"
    is "... and is cleaned up" "$? $(ls "$ckpt_dir")" "0 "

    # Where DMTCP's coordinator cannot be started, and $work cannot be seen.
    room=$(mktemp -d /var/tmp/qckpt-cli-XXXXXX)
    cp "$QCKPT" "$room/dmtcp_starter"
    ln -s dmtcp_starter "$room/dmtcp_migrate"
    ckpt_dir=$room util=$room
    # shellcheck disable=SC2016
    as=(unshare -rm sh -c 'mount -t tmpfs -o nr_inodes=1 full /tmp && exec "$@"' -)
    if unshare -rm true 2>/dev/null; then
        job_dir=$room/$user/4711.1
        rm -f go
        printf '#!/bin/sh\necho begun; while [ ! -e go ]; do sleep 0.1; done; exit 5\n' >"$room/job"
        chmod +x "$room/job"
        start "$room/job"
        ok "no room in /tmp: the job runs" wait_until 20 is_running
        ok "... and says so" grep -q "runs without checkpoints: dmtcp: make a directory in /tmp" "$work/err"
        ok "... and in qckpt show" grep -q "state      runs without checkpoints: .*make a directory in /tmp" \
            <<<"$("$QCKPT" show -d "$job_dir")"
        in_job "$util/dmtcp_migrate"
        is "... a migration is refused" $? 3
        touch go
        is "... and leaves it running" "$(ended) $(<"$work/out")" "5 begun"
        # Grid Engine runs it again because of the migration.
        as=(RESTARTED=1)
        start "$room/job"
        is "... and it is not run twice" "$(ended) $(<"$work/out")" "5 "
    else
        skip userns "no room in /tmp" "no unprivileged user namespaces"
    fi
    rm -rf "$room"
    ckpt_dir=$work/ckpt util=$work/util as=()
    job_dir=$ckpt_dir/$user/4711.1
}
cd "$work" || bail_out "no directory $work"
if [ -x "$dmtcp/bin/dmtcp_launch" ]; then
    with_dmtcp
else
    skip dmtcp "with DMTCP" "no QCKPT_DMTCP_PREFIX/bin/dmtcp_launch"
fi
env=other
QCKPT_DMTCP_PREFIX=$work/no-dmtcp

"$tests/no_native" true
if [ $? = 77 ]; then
    skip userns "a host without any engine" "no unprivileged user namespaces"
else
    as=("$tests/no_native")
    start sh -c 'exit 5'
    is "a host without any engine: the job runs" "$(ended)" 5
    ok "... and says so" grep -q "runs without checkpoints: native: .*; dmtcp: " "$work/err"
fi
done_testing
