#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# qckpt-starter called as a shepherd calls it: the job that results must be the one
# that Grid Engine would have started without it.
. "${0%/*}/../lib/tap.sh"
. "${0%/*}/ge.sh"

# started MODE SHELL LOGIN BINARY NOSHELL ARGV0 WORD...   as the shepherd does
started() {
    local mode=$1 shell=$2 login=$3 binary=$4 noshell=$5 argv0=$6
    shift 6
    ge_spool "handle_as_binary=$binary" "no_shell=$noshell"
    ge_env "SGE_STARTER_SHELL_START_MODE=$mode" "SGE_STARTER_SHELL_PATH=$shell" \
        "SGE_STARTER_USE_LOGIN_SHELL=$login" \
        bash -c 'exec -a "$0" "$@"' "$argv0" "$libexec/qckpt-starter" "$@"
}

# Prints its own command line.
cat >"$work/script" <<'S'
#!/bin/bash
tr '\0' '|' </proc/$$/cmdline
for word; do printf '<%s>' "$word"; done
S
printf 'tr "\\0" "|" </proc/$$/cmdline\n' >"$work/no-bang"
chmod 755 "$work/script" "$work/no-bang"

is "unix_behavior: the #! line decides, arguments are intact" \
    "$(started unix_behavior /bin/sh true 0 0 -qckpt-starter "$work/script" 'a b' '' '"$x' '*')" \
    "/bin/bash|$work/script|a b||\"\$x|*|<a b><><\"\$x><*>"
is "unix_behavior without #!: /bin/sh" \
    "$(started unix_behavior /bin/bash true 0 0 -qckpt-starter "$work/no-bang" x)" \
    "/bin/sh|$work/no-bang|x|"
is "posix_compliant: the shell that was asked for" \
    "$(started posix_compliant /bin/sh false 0 0 qckpt-starter "$work/no-bang" 'a b')" \
    "sh|$work/no-bang|a b|"
is "posix_compliant: a login shell" \
    "$(started posix_compliant /bin/bash true 0 0 -qckpt-starter "$work/no-bang" x)" \
    "-bash|$work/no-bang|x|"
is "script_from_stdin: the shell reads the script" \
    "$(started script_from_stdin /bin/bash true 0 0 -qckpt-starter -s 'a b' <"$work/script")" \
    "-bash|-s|a b|<a b>"
is "start_as_command: a line for the shell" \
    "$(started start_as_command /bin/sh false 0 0 qckpt-starter "$work/script" a)" \
    "/bin/bash|$work/script|"
is "-b y: a line for the shell, as users rely on" \
    "$(started unix_behavior /bin/sh true 1 0 -qckpt-starter "echo 1 \$((1+1)) | tr 1 3; echo" 'x  y')" \
    "3 2
x y"
is "-b y -shell n: the program itself, looked up in PATH" \
    "$(started unix_behavior /bin/sh true 1 1 -qckpt-starter printf '[%s]' 'a b' '' '*')" \
    "[a b][][*]"
is "-b y from stdin: the name comes from JOB_SCRIPT" \
    "$(JOB_SCRIPT=echo started script_from_stdin /bin/sh true 1 0 -qckpt-starter -s a b)" \
    "a b"
is "qrsh: the user's shell gets the words" \
    "$(started unix_behavior '' false 1 0 qckpt-starter echo 'a  b' ';' 'echo c')" \
    "$("$(getent passwd "$user" | cut -d: -f7)" -c "echo a  b ; echo c")"

in_place() {
    ge_spool handle_as_binary=1 no_shell=1
    ge_env SGE_STARTER_SHELL_START_MODE=unix_behavior SGE_STARTER_SHELL_PATH=/bin/sh \
        sh -c "echo \$\$; exec $libexec/qckpt-starter sh -c 'echo \$\$'"
}
is "the job takes the starter's place" "$(in_place | uniq | wc -l)" 1
is "the starter's variables do not reach the job" \
    "$(started unix_behavior /bin/sh true 1 0 -qckpt-starter 'env | grep -c ^SGE_STARTER')" 0
started unix_behavior /bin/sh true 1 0 -qckpt-starter 'exit 42'
is "the job's status" $? 42
started unix_behavior /bin/sh true 1 1 -qckpt-starter sh -c 'kill -USR1 $$' 2>/dev/null
is "the job's signal" $? $((128 + $(kill -l USR1)))
message=$(started unix_behavior /bin/sh true 1 1 -qckpt-starter /no/such/program 2>&1)
is "a program that cannot be executed: error state" $? 100
is "... and why" "$message" \
    "qckpt-starter: cannot execute /no/such/program: No such file or directory"
is "no spool directory is no reason to fail" \
    "$(SPOOL=/nonexistent JOB_SCRIPT=/x/job_scripts/4711 \
        ge_env SGE_STARTER_SHELL_START_MODE=unix_behavior SGE_STARTER_SHELL_PATH=/bin/sh \
        "$libexec/qckpt-starter" echo hello)" hello

# ---- jobs of a checkpoint environment

supervised() {
    ge_spool handle_as_binary=1 no_shell=1 "${config[@]}"
    ge_env "${ckpt[@]}" SGE_STARTER_SHELL_START_MODE=unix_behavior \
        SGE_STARTER_SHELL_PATH=/bin/sh "${more[@]}" "$libexec/qckpt-starter" "$@"
}
config=("ckpt_command=$libexec/qckpt-checkpoint \$job_id")
ckpt=(SGE_CKPT_ENV=any "SGE_CKPT_DIR=$ckpt_dir")
more=()

is "a supervised job runs" "$(supervised sh -c 'echo "<$1>"; exit 3' sh 'a b')" '<a b>'
ok "... and its end is recorded" test -e "$job_dir/done.json"
output=$(supervised sh -c 'echo again')
is "a rerun of a completed job has its status" "$? $output" "3 "
output=$(supervised /no/such/program 2>&1)
is "... also when its program is gone" "$? $output" "3 "
rm -rf "$ckpt_dir"/*

more=(JOB_ID=none)
message=$(supervised echo x 2>&1)
is "a new job of ours that cannot be told runs" "$? ${message##*$'\n'}" "0 x"
ok "... and is told" grep -q "runs without checkpoints: JOB_ID is 'none'" <<<"$message"
more=(JOB_ID=none RESTARTED=1 QCKPT_RETRY_DELAY=1)
message=$(supervised echo x 2>&1)
is "... a rerun of one is queued again" "$?" 99
more=()

config=("ckpt_command=/opt/other/checkpoint")
is "somebody else's checkpoint environment is left alone" "$(supervised echo x)" x
ok "... without a directory" test ! -e "$job_dir"
config=("ckpt_command=$libexec/qckpt-checkpoint" pe_task_id=1.n1)
is "a task of a parallel job is passed through" "$(supervised echo x)" x
ok "... without a directory" test ! -e "$job_dir"
config=("ckpt_command=$libexec/qckpt-checkpoint")

message=$(supervised /no/such/program 2>&1)
is "a supervised program that cannot be executed: error state" $? 100
ok "... without a directory" test ! -e "$job_dir"

more=(QCKPT_INTERVAL=soon QCKPT_KEEP=all)
is "each bad setting is reported, the job runs" "$(supervised echo x 2>&1)" \
    "qckpt-starter: warning: QCKPT_INTERVAL: 'soon' is not a time: write 90, 90s, 10m or 2h (at least 1s, at most a year); it is ignored
qckpt-starter: warning: QCKPT_KEEP: all is not a number of generations; it is ignored
x"
more=()
rm -rf "$ckpt_dir"/*

# ---- whoever is left alone

# begin COMMAND...   a supervised job, below a shell that stands for the shepherd; sets
# $shepherd, and $root once the job has written its pid
begin() {
    rm -f "$work/root" "$work/go"
    (supervised "$@" >"$work/out" 2>&1; :) &
    shepherd=$!
    wait_until 10 test -s "$work/root" || diag "the job does not start"
    root=$(<"$work/root")
}
is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

begin sh -c "echo \$\$ >$work/root; exec sleep 1000"
kill -KILL $shepherd
wait $shepherd 2>/dev/null
ok "the shepherd is killed: the job may run elsewhere and ends here" \
    wait_until 10 is_gone "$root"
rm -rf "${ckpt_dir:?}"/*

# ---- the supervisor is killed alone

# loses   a job whose supervisor is killed, after a checkpoint when $save is set;
# leaves the starter's status and words in $status and $message
loses() {
    rm -f "$work/root" "$work/status"
    more=(QCKPT_RETRY_DELAY=1)
    (
        supervised sh -c "while echo \$\$ >$work/root; do sleep 0.05; done" \
            >"$work/out" 2>&1 </dev/null
        echo $? >"$work/status"
    ) &
    wait_until 10 test -s "$work/root" || diag "the job does not start: $(<"$work/out")"
    root=$(<"$work/root")
    [ -z "$save" ] || "$QCKPT" checkpoint -d "$job_dir" >/dev/null 2>"$work/err" || return
    kill -KILL "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])' \
        <"$job_dir/epoch")"
    wait_until 20 test -s "$work/status"
    status=$(<"$work/status") message=$(<"$work/out")
    is_gone "$root"
}
save=
loses
is "the supervisor is killed: so is the job" $? 0
is "... without a checkpoint a person is asked" "$status" 100
ok "... and told why" grep -q "error state: .*supervisor was killed by signal 9" \
    <<<"$message"
rm -rf "${ckpt_dir:?}"/*
save=1
if loses; then
    is "... with a checkpoint it is queued again" "$status" 99
    ok "... and it is told why" grep -q "queued again.*supervisor was killed by signal 9" \
        <<<"$message"
    # As if a long row of runs had failed: that has to end.
    sed -i 's/"epoch": *[0-9]*/"epoch": 40/' "$job_dir/epoch"
    rm -f "$work/root"
    save=
    loses
    is "... but not for ever" "$status" 100
else
    skip engine "... with a checkpoint it is queued again" "$(<"$work/err")"
fi
rm -rf "${ckpt_dir:?}"/*
more=()

# ask_supervisor   makes it look at its epoch, as it does now and then
ask_supervisor() {
    python3 - "$socket" <<'P'
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(20)
    s.connect("\0" + sys.argv[1])
    s.sendall(b'{"op":"epoch"}\n')
    while s.recv(4096):
        pass
P
}
for state in r ''; do
    ge_qstat "$state"
    begin sh -c "echo \$\$ >$work/root; while [ ! -e $work/go ]; do sleep 0.05; done; exit 3"
    socket=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["socket"])' \
        <"$job_dir/epoch")
    rm -rf "${ckpt_dir:?}"/*
    ask_supervisor
    if [ "$state" ]; then
        ok "the directory is removed under a job that goes on" kill -0 "$root"
        touch "$work/go"
    else
        ok "... or of one that has ended elsewhere: this copy is killed" \
            wait_until 10 is_gone "$root"
    fi
    wait $shepherd
done

ckpt=(SGE_CKPT_ENV=any)
message=$(supervised echo x 2>&1)
is "a checkpoint environment without ckpt_dir: the job runs" "$? ${message##*$'\n'}" "0 x"
ok "... and is told" grep -q "runs without checkpoints: SGE_CKPT_DIR is not set" <<<"$message"
ckpt=(SGE_CKPT_ENV=any "SGE_CKPT_DIR=$ckpt_dir")

# ---- when supervision is impossible

mkdir "$ckpt_dir/$user"
chmod 777 "$ckpt_dir/$user"
message=$(supervised echo x 2>&1)
is "an unsafe directory: a new job runs" "$? ${message##*$'\n'}" "0 x"
ok "... and is told" grep -q "runs without checkpoints: .*$ckpt_dir" <<<"$message"
more=(RESTARTED=1)
message=$(supervised echo x 2>&1)
is "... a job that may have a checkpoint waits for a person" $? 100
ok "... and is not started" test "${message##*$'\n'}" != x
rm -rf "${ckpt_dir:?}/$user"

ckpt=(SGE_CKPT_ENV=any SGE_CKPT_DIR=/nonexistent/ckpt)
more=(RESTARTED=0)
message=$(supervised echo x 2>&1)
is "no ckpt_dir: a new job runs" "$? ${message##*$'\n'}" "0 x"
more=(RESTARTED=2 QCKPT_RETRY_DELAY=1)
message=$(supervised echo x 2>&1)
is "... a job that may have a checkpoint is queued again" $? 99
ok "... and says why" grep -q "queued again.*/nonexistent/ckpt" <<<"$message"
ckpt=(SGE_CKPT_ENV=any "SGE_CKPT_DIR=$ckpt_dir")

# As on a host that has a directory of this name for itself.
message=$(supervised echo x 2>&1)
is "an empty ckpt_dir: a job that was saved waits for a person" $? 100
ok "... and says why" grep -q "$job_dir is new on this host: ckpt_dir must be the same" <<<"$message"
ok "... and is not started" test "${message##*$'\n'}" != x
more=(RESTARTED=0)
is "... who may let it begin again" "$(supervised echo x)" x
rm -rf "${ckpt_dir:?}/$user"

mkdir -p -m 700 "$job_dir/gen/000001"
chmod 700 "$ckpt_dir/$user" "$job_dir" "$job_dir/gen"
message=$(supervised echo x 2>&1)
is "only damaged generations: a person decides" $? 100
ok "... the job is not started" test "${message##*$'\n'}" != x
ok "... and they stay" test -d "$job_dir/gen/000001"

# ---- a file system without room, in mounts of its own

full() {
    mount -t tmpfs -o size=64k,mode=1777 full "$ckpt_dir" || return 1
    head -c 100000 /dev/zero >"$ckpt_dir/fill" 2>/dev/null
    supervised sh -c 'grep SigBlk /proc/self/status; exit 5' 2>"$work/full.err"
    echo "status $?"
}
export -f full supervised ge_env ge_spool
more=() config=("ckpt_command=$libexec/qckpt-checkpoint")
if unshare -rm true 2>/dev/null; then
    rm -rf "${ckpt_dir:?}/$user"
    is "a full ckpt_dir: a new job runs, with no signal blocked" \
        "$(unshare -rm bash -c "$(declare -p work libexec ckpt_dir user ckpt config more)
            full")" "SigBlk:	0000000000000000
status 5"
    ok "... and is told" grep -q "runs without checkpoints: .*No space left" "$work/full.err"
else
    skip userns "a full ckpt_dir: a new job runs" "no unprivileged user namespaces"
fi

done_testing
