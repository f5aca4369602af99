#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Which engine `qckpt run` takes, and what it says when there is none.
tests=$(cd "$(dirname "$0")" && pwd)
dmtcp=${QCKPT_DMTCP_PREFIX-}
# shellcheck source=lib.sh
. "$tests/lib.sh"

export QCKPT_DMTCP_PREFIX=$work/no-dmtcp

status_is "--engine auto" 0 q run -d auto --engine auto -- true
status_is "--engine native" 0 q run -d native --engine native -- true
q show -d native >shown
has "... is shown" "$(<shown)" "engine     native"
status_is "--engine wants one that exists" 2 q run --engine steam -- true
has "... and names it" "$err" "--engine: there is no engine 'steam'"
[ ! -e qckpt.ckpt ]
is "... before anything is made" $? 0
status_is "--engine dmtcp where there is no DMTCP starts nothing" 1 q run --engine dmtcp -- touch ran
has "... says so" "$err" "nothing was started: engine dmtcp: "
[ ! -e ran ] && [ ! -e qckpt.ckpt ]
is "... and makes nothing" $? 0
status_is "QCKPT_ENGINE=dmtcp does the same" 1 env QCKPT_ENGINE=dmtcp "$QCKPT" run -- touch ran
status_is "--engine comes before QCKPT_ENGINE" 0 env QCKPT_ENGINE=dmtcp "$QCKPT" run -d over \
    --engine native -- true

# ---- where the native engine cannot work

without_native() {
    status_is "--engine native starts nothing" 1 "$tests/no_native" "$QCKPT" run -d none \
        --engine native -- touch ran
    has "... says why" "$err" "user.max_user_namespaces"
    [ ! -e ran ]
    is "... and has not run it" $? 0

    "$tests/no_native" "$QCKPT" run -d none --interval 1 -- sh -c 'echo >begun; sleep 1000 & echo $! >pid; wait; exit 7' \
        2>none.err &
    wait_until 10 test -s pid
    has "auto runs the job without checkpoints and says so" "$(<none.err)" \
        "warning: this job runs without checkpoints: native: "
    has "... of each engine" "$(<none.err)" "; dmtcp: "
    q show -d none >shown
    has "... which is its state" "$(<shown)" "state      runs without checkpoints: native: "
    has "... and its engine" "$(<shown)" "engine     none"
    is "... in JSON" "$(q show -d none --json | json 'd["no_checkpoints"].startswith("native: ")')" True
    ok "... and its log" has_event none no-checkpoints
    status_is "a checkpoint of it is refused" 3 q checkpoint -d none
    has "... with the reason" "$err" "this job runs without checkpoints: native: "
    status_is "a stop at a checkpoint too" 3 q checkpoint --stop -d none
    kill -0 "$(<pid)"
    is "... and it runs on" $? 0
    kill "$(<pid)"
    wait $!
    is "its status is the job's" $? 7
    ok "... and its end is recorded" test -e none/done.json
    has "... and shown" "$(q show -d none)" "ended with status 7, without checkpoints: native: "
    is "no checkpoint was tried by the timer" \
        "$(grep -c '"event":"checkpoint-refused"' none/log.jsonl)" 2

    # What a checkpoint of another engine needs is no concern of the choice.
    "$QCKPT" run -d has -- sleep 1000 2>/dev/null &
    wait_until 10 has_event has launched
    q checkpoint --stop -d has >/dev/null
    wait $!
    status_is "a job with a checkpoint is not restarted where its engine cannot" 1 \
        "$tests/no_native" "$QCKPT" restart -d has
    has "... for the engine's reason" "$err" "generation 1 could not be restarted here: "
    ok "... and keeps it" test -d has/gen/000001
}

has_native_switch=1
"$tests/no_native" true
[ $? != 77 ] || has_native_switch=
if [ ! "$has_native_switch" ]; then
    skip userns "where the native engine cannot work" "no unprivileged user namespaces"
else
    without_native
fi

# ---- with DMTCP

with_dmtcp() {
    export QCKPT_DMTCP_PREFIX=$dmtcp
    "$QCKPT" run -d moved --engine dmtcp -- sleep 1000 2>/dev/null &
    wait_until 20 has_event moved launched
    q checkpoint --stop -d moved >shown
    wait $!
    is "a job of --engine dmtcp stops at a checkpoint" $? 75
    is "... which names its engine" \
        "$(q show -d moved --json | json 'd["generations"][0]["engine"]')" dmtcp
    status_is "it is not restarted where there is no DMTCP" 1 \
        env QCKPT_DMTCP_PREFIX="$work/no-dmtcp" "$QCKPT" restart -d moved
    has "... for that reason" "$err" "generation 1 could not be restarted here: "
    QCKPT_ENGINE=native "$QCKPT" restart -d moved 2>restart.err &
    ok "it goes on with DMTCP whatever is asked for now" wait_until 20 has_event moved restarted
    q checkpoint --stop -d moved >shown
    wait $!
    is "... and is saved by it again" \
        "$(q show -d moved --json | json 'd["generations"][-1]["engine"]')" dmtcp
    [ "$has_native_switch" ] || return
    # Not in /tmp, where the program itself may have been built.
    room=$(mktemp -d /var/tmp/qckpt-cli-XXXXXX)
    cp "$QCKPT" "$room"
    # shellcheck disable=SC2016
    status_is "no room for DMTCP in /tmp is not taken for a command that is not one" 1 \
        unshare -rm sh -c 'mount -t tmpfs -o nr_inodes=1 full /tmp && exec "$@"' - \
        "$room/qckpt" run -d "$room/d" --engine dmtcp -- true
    has "... but told" "$err" "nothing was started: make a directory in /tmp: No space left"
    rm -rf "$room"
    "$tests/no_native" "$QCKPT" run -d second -- true
    is "auto takes it where the native engine cannot work" \
        "$? $(q show -d second --json | json 'd["job"]["engine"]')" "0 dmtcp"
    has "... and says why" "$(q show -d second)" "the job is saved by dmtcp; passed over: native: "
}
if [ -x "$dmtcp/bin/dmtcp_launch" ]; then
    with_dmtcp
else
    skip dmtcp "with DMTCP" "no QCKPT_DMTCP_PREFIX/bin/dmtcp_launch"
fi
done_testing
