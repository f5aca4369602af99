# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# TAP for test scripts, version 12. Source it, write tests, call done_testing last.
#
#   plan 4                        optional; else done_testing prints the plan
#   ok "name" command args...     runs the command; its failure is the test's
#   not_ok "name" [diag...]       a failure found by the script itself
#   pass "name"                   the opposite
#   is "name" GOT WANTED          compares two strings
#   same_file "name" GOT WANTED   compares two files, shows how they differ
#   diag text...                  a line for the reader
#   skip_all PREREQUISITE reason  the whole script cannot run here
#   skip PREREQUISITE name reason one test cannot run here
#   wait_until SECONDS command... polls; fails when the time is over: SECONDS that are
#                                 generous on an idle machine, six times that on any
#   within SECONDS command...     the same for a time that is promised
#
# A skip names its prerequisite. REQUIRE="cell ptrace dmtcp" in the environment
# turns the skips for those prerequisites into failures: a machine that is meant
# to run a test cannot leave it out unnoticed.

tap_count=0
tap_failed=0
tap_planned=

plan() {
    tap_planned=$1
    echo "1..$1"
}

diag() {
    local line
    while IFS= read -r line; do
        echo "# $line"
    done <<<"$*"
}

pass() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1"
}

not_ok() {
    local name=$1
    shift
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $name"
    [ $# -eq 0 ] || diag "$@"
    return 0
}

ok() {
    local name=$1 output status
    shift
    output=$("$@" 2>&1)
    status=$?
    if [ $status -eq 0 ]; then
        pass "$name"
    else
        not_ok "$name" "status $status: $*" && [ -z "$output" ] || diag "$output"
    fi
}

is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    elif [[ $2$3 = *$'\n'* ]]; then
        same_file "$1" <(echo "$2") <(echo "$3")
    else
        not_ok "$1" "got:    $2" && diag "wanted: $3"
    fi
}

same_file() {
    local delta
    if delta=$(diff -u --label wanted --label got "$3" "$2" 2>&1); then
        pass "$1"
    else
        not_ok "$1" "$(head -n 40 <<<"$delta")"
    fi
}

tap_required() {
    [[ " ${REQUIRE-} " == *" $1 "* ]]
}

skip() {
    if tap_required "$1"; then
        not_ok "$2" "REQUIRE has \"$1\", but: $3"
    else
        tap_count=$((tap_count + 1))
        echo "ok $tap_count - $2 # SKIP $3"
    fi
}

skip_all() {
    local prerequisite=$1
    shift
    if tap_required "$prerequisite"; then
        echo "1..1"
        echo "not ok 1 - prerequisite $prerequisite"
        diag "REQUIRE has \"$prerequisite\", but: $*"
        exit 1
    fi
    echo "1..0 # SKIP $*"
    exit 0
}

bail_out() {
    echo "Bail out! $*"
    exit 1
}

# A monotonic clock in hundredths of a second: the time of day may be set.
tap_now() {
    local up
    read -r up _ </proc/uptime
    echo "${up/./}"
}

wait_until() {
    local seconds=$1
    shift
    within $((seconds * 6)) "$@"
}

within() {
    local end=$(($(tap_now) + $1 * 100))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(tap_now)" -lt "$end" ] || return 1
        sleep 0.1
    done
}

done_testing() {
    if [ -z "$tap_planned" ]; then
        echo "1..$tap_count"
    elif [ "$tap_planned" -ne "$tap_count" ]; then
        diag "planned $tap_planned tests, ran $tap_count"
        exit 1
    fi
    [ "$tap_failed" -eq 0 ] || exit 1
    exit 0
}
