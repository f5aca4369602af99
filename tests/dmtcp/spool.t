#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A job of Grid Engine under the real DMTCP moves to another host: its script lay in the
# spool directory of the first, and its TMPDIR there is gone.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/../cli/ge.sh"

dmtcp=${QCKPT_DMTCP_PREFIX-}
if [ ! -x "$dmtcp/bin/dmtcp_launch" ]; then
    skip dmtcp "a job moves" "DMTCP is not here: set QCKPT_DMTCP_PREFIX to its prefix"
    done_testing
    exit
fi

# Root's job is nobody's: the spool directories are not his to write, as they are not
# for users of Grid Engine.
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    cp -r "$dmtcp" "$work/dmtcp"
    cp "$QCKPT" "$work/qckpt"
    chmod -R a+rX "$work"
    dmtcp=$work/dmtcp QCKPT=$work/qckpt user=nobody job_dir=$ckpt_dir/nobody/4711.1
    for hook in starter checkpoint migrate clean; do
        ln -sf "$QCKPT" "$libexec/qckpt-$hook"
    done
fi

# host NAME   what the host of that name has for the job
host() {
    mkdir -p "$work/$1/job_scripts" "$work/$1/tmp"
    chmod 755 "$work/$1/job_scripts"
    chmod 777 "$work/$1/tmp"
    cat >"$work/$1/job_scripts/4711" <<'S'
echo "begun in $TMPDIR"
echo kept >"$TMPDIR/file"
while [ ! -e "$HOME/go" ]; do sleep 0.1; done
echo "here: $(ls "$TMPDIR")"
echo more >"$TMPDIR/later"
pwd
exit 4
S
}

# start HOST [NAME=VALUE]...
start() {
    local on=$1
    shift
    rm -f "$work/status"
    (
        JOB_SCRIPT=$work/$on/job_scripts/4711 ge_env SGE_CKPT_ENV=dmtcp \
            "SGE_CKPT_DIR=$ckpt_dir" QCKPT_DMTCP_PREFIX="$dmtcp" TMPDIR="$work/$on/tmp" \
            SGE_STARTER_SHELL_START_MODE=posix_compliant SGE_STARTER_SHELL_PATH=/bin/bash \
            "$@" "${as[@]}" "$libexec/qckpt-starter" "$work/$on/job_scripts/4711" \
            </dev/null >>"$work/out" 2>>"$work/err"
        echo $? >"$work/status"
    ) &
}

ended() {
    wait_until 30 test -s "$work/status" || diag "the job does not end"
    cat "$work/status"
}

cd "$work" || bail_out "no directory $work"
ge_spool "ckpt_command=$libexec/qckpt-checkpoint" "ckpt_migr_command=$libexec/qckpt-migrate"
host a
start a QCKPT_CARRY_TMPDIR=1
ok "the job begins" wait_until 20 test -e a/tmp/file
"${as[@]}" "$QCKPT" checkpoint --stop -d "$job_dir" >/dev/null
is "it is stopped at a checkpoint" "$? $(ended)" "0 99"
rm -rf a
host b
touch go
start b RESTARTED=2
is "another host: it ends as it would have" "$(ended)" 4
is "... with the output of one run" "$(<out)" "begun in $work/a/tmp
here: file
$work"
is "... and wrote into the TMPDIR of that host" "$(cat b/tmp/file b/tmp/later)" "kept
more"
if [ "$(id -u)" = 0 ]; then
    is "... whose other users saw nothing of that" "$(ls a/job_scripts 2>&1)" \
        "ls: cannot access 'a/job_scripts': No such file or directory"
fi
done_testing
