# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# For tests of the command: an own directory, and what several of them ask.
#
#   q ARGS...            the built qckpt
#   status_is NAME WANTED COMMAND...   compares the exit status; output in $out, $err
#   has NAME TEXT PART   TEXT contains PART

# shellcheck source=../lib/tap.sh
. "${TAP_LIB:-$(dirname "${BASH_SOURCE[0]}")/../lib/tap.sh}"
QCKPT=$(realpath "${QCKPT:-$(dirname "${BASH_SOURCE[0]}")/../../build/src/cmd/qckpt}")
[ -x "$QCKPT" ] || bail_out "no program $QCKPT"

for name in "${!QCKPT_@}"; do
    unset "$name"
done

# A pipe that whoever runs the tests left open would be the job's, and is refused.
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || [ "$fd" -ge 255 ] || eval "exec $fd>&-"
done

work=$(mktemp -d /tmp/qckpt-cli-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work" || bail_out "no directory $work"
: >.qckpt.conf # the site's settings: this machine's are no test's
export QCKPT_CONFIG=$work/.qckpt.conf

q() {
    "$QCKPT" "$@"
}

out=
err=
status_is() {
    local name=$1 wanted=$2 got
    shift 2
    "$@" >"$work/.out" 2>"$work/.err"
    got=$?
    out=$(<"$work/.out")
    err=$(<"$work/.err")
    if [ "$got" = "$wanted" ]; then
        pass "$name"
    else
        not_ok "$name" "status $got, not $wanted: $*"
        diag "$out"
        diag "$err"
    fi
}

has() {
    case $2 in
    *"$3"*) pass "$1" ;;
    *)
        not_ok "$1" "without: $3"
        diag "$2"
        ;;
    esac
}

# Prints the member of the JSON on stdin that a python expression selects from `d`.
json() {
    python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# FILE does not grow. A process that has been stopped may still end the write that it had
# begun: ask with wait_until.
stands_still() {
    local before
    before=$(wc -l <"$1")
    sleep 0.3
    [ "$(wc -l <"$1")" = "$before" ]
}

# The last event of a kind in DIR's log.
has_event() {
    grep -q "\"event\":\"$2\"" "$1/log.jsonl"
}
