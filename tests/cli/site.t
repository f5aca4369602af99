#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The site's settings, as `qckpt run` and the hooks use them.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

conf=$work/qckpt.conf

# ---- where it is found

mkdir -p "$work/prefix/bin" "$work/prefix/etc" "$work/util"
cp "$QCKPT" "$work/prefix/bin/qckpt"
cp "$QCKPT" "$work/util/qckpt"
echo 'nonsense = 1' >"$work/prefix/etc/qckpt.conf"
cp "$work/prefix/etc/qckpt.conf" "$work/util/qckpt.conf"
is "a moved installation has its own" \
    "$("$work/prefix/bin/qckpt" run -d "$work/j1" -- true 2>&1)" \
    "qckpt: warning: $work/prefix/etc/qckpt.conf:1: there is no setting 'nonsense'; it is ignored"
ln -s prefix/bin/qckpt "$work/link"
ok "... through a link too" \
    grep -q "$work/prefix/etc/qckpt.conf:1" <<<"$("$work/link" run -d "$work/j2" -- true 2>&1)"
ok "a copy elsewhere does not take what lies beside it" \
    test "$("$work/util/qckpt" run -d "$work/j3" -- true 2>&1 | grep -c "$work/util")" = 0
is "QCKPT_CONFIG is another" \
    "$(QCKPT_CONFIG=$conf "$work/prefix/bin/qckpt" run -d "$work/j4" -- true 2>&1)" ""

message=$(QCKPT_CONFIG=$work/none.conf "$QCKPT" run -d "$work/j8" -- echo ran 2>&1)
is "one that does not exist is told, and the job runs" "$message" \
    "qckpt: warning: $work/none.conf is ignored: QCKPT_CONFIG names it, and there is no such file
ran"

# ---- qckpt run

export QCKPT_CONFIG=$conf
echo 'engine = steam' >$conf
message=$("$QCKPT" run -d "$work/j5" -- echo ran 2>&1)
is "a bad line does not keep a job from running" "$? ${message##*$'\n'}" "0 ran"
ok "... and is told by file and line" grep -q "warning: $conf:1: engine: there is no engine 'steam'" <<<"$message"
echo 'interval = 1' >$conf
"$QCKPT" run -d "$work/j6" -- sleep 1000 2>/dev/null &
ok "the interval is the site's" wait_until 10 test -e "$work/j6/gen/000001"
kill $!
wait $!

# ---- what is installed and written about it

source=${0%/*}/../..
grep -v '^#dmtcp_plugins' "$source/share/qckpt.conf.example" | sed 's/^#\([a-z]\)/\1/' >$conf
is "the example has nothing but settings" \
    "$("$QCKPT" run -d "$work/j7" --engine native -- true 2>&1)" ""
sed -n 's/^#\([a-z_][a-z_]*\).*=.*/\1/p' "$source/share/qckpt.conf.example" | sort -u >"$work/in-example"
sed -n 's/^\*\([a-z_]*\)\*.* = .*/\1/p' "$source/doc/man/qckpt.conf.5.scd" | sort -u >"$work/in-man"
same_file "the man page has the settings of the example" "$work/in-man" "$work/in-example"
sed -n 's/.*{"QCKPT_[A-Z_]*", "\([a-z_]*\)".*/\1/p' "$source/src/job/settings.c" | sort -u >"$work/in-code"
same_file "... and those that there are" "$work/in-man" "$work/in-code"
unset QCKPT_CONFIG

# ---- jobs

starter() {
    ge_spool handle_as_binary=1 no_shell=1 "ckpt_command=$libexec/qckpt-checkpoint"
    ge_env "SGE_CKPT_ENV=${env:-qckpt}" "SGE_CKPT_DIR=$ckpt_dir" SGE_STARTER_SHELL_PATH=/bin/sh \
        SGE_STARTER_SHELL_START_MODE=unix_behavior QCKPT_DMTCP_PREFIX="$work/no-dmtcp" \
        "$libexec/qckpt-starter" "$@" 2>"$work/err"
}
engine_is() {
    starter true
    is "$1" "$(jq -r .engine "$job_dir/job.json")" "$2"
    rm -rf "${ckpt_dir:?}"/*
}

echo 'engine[long-*] = dmtcp
engine[dmtcp-l*] = native
engine = native' >$conf
engine_is "the engine is the site's" native
env=dmtcp-all engine_is "... unless the environment is called otherwise" none
env=dmtcp-long engine_is "... or has a line" native
env=long-qckpt engine_is "... also for an engine that is not there" none
QCKPT_ENGINE=native
env=dmtcp-all engine_is "... or the job asks for another" native
QCKPT_ENGINE=

echo 'keep = none' >$conf
is "a bad value does not keep a job from running" "$(starter echo ran)" ran
ok "... and is told on stderr" \
    grep -q "qckpt-starter: warning: $conf:1: keep: none is not a number of generations" "$work/err"
ok "... and in the log" grep -q "$conf:1: keep: none is not" "$job_dir/log.jsonl"
rm -rf "${ckpt_dir:?}"/*
echo 'engine = native' >$conf
chmod 666 $conf
is "a file that others may write does not keep a job from running" "$(starter echo ran)" ran
ok "... and is told" grep -q "$conf is ignored: others than its owner may write it" "$work/err"
rm -rf "${ckpt_dir:?}"/*
chmod 644 $conf

# hook_timeout is read by the hooks, on their own host.
echo 'hook_timeout = never' >$conf
(starter sleep 1000) &
job=$!
wait_until 10 grep -qs '"launched"' "$job_dir/log.jsonl"
ge_env SGE_CKPT_ENV=qckpt "SGE_CKPT_DIR=$ckpt_dir" "$libexec/qckpt-checkpoint"
is "a hook with a bad value does its work" "$? $(ls "$job_dir/gen")" "0 000001"
ok "... and logs it" grep -q "$conf:1: hook_timeout: 'never' is not a time" "$job_dir/log.jsonl"
ge_env SGE_CKPT_ENV=qckpt "SGE_CKPT_DIR=$ckpt_dir" "$libexec/qckpt-migrate"
wait $job
is "the job was stopped" $? 99

echo 'retry_delay = 1s' >$conf
started=$SECONDS
ge_env SGE_CKPT_ENV=qckpt SGE_CKPT_DIR=/nonexistent/ckpt RESTARTED=1 \
    SGE_STARTER_SHELL_PATH=/bin/sh SGE_STARTER_SHELL_START_MODE=unix_behavior \
    "$libexec/qckpt-starter" true 2>"$work/err"
is "the delay before another try is the site's" "$? $((SECONDS - started < 10))" "99 1"

done_testing
