#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
. "$(dirname "$0")/lib.sh"

# Runs in a new directory; also from a subshell. $(last) is its name.
run() {
    mktemp -u jobXXXXXX >.last
    "$QCKPT" run -d "$(last)" "$@"
}

last() {
    echo "$(<.last)"
}

for code in 0 1 7 99 100 255; do
    run -- sh -c "exit $code"
    is "exit $code is the command's" $? "$code"
    done=$(find "$(last)" -name done.json | wc -l)
    case $code in
    99 | 100) is "exit $code asks for another run: no completion record" "$done" 0 ;;
    *) is "exit $code: a completion record" "$done" 1 ;;
    esac
done
for signal in SEGV KILL TERM; do
    (
        ulimit -c unlimited
        run -- sh -c "ulimit -c 0; kill -$signal \$\$"
    ) 2>/dev/null
    is "a death by SIG$signal is passed on" $? $((128 + $(kill -l $signal)))
    [ ! -e "$(last)/done.json" ]
    is "SIG$signal: no completion record" $? 0
done
is "no core file of ours" "$(find . -name 'core*')" ""

status_is "a program that does not exist: 127" 127 run -- ./nothing-here
has "and it is named" "$err" "./nothing-here: No such file"
is "once" "$(grep -c nothing-here <<<"$err")" 1
touch plain
status_is "a file that is no program: 126" 126 run -- ./plain
has "and it is named" "$err" "./plain: Permission denied"

run -- printf '%s|' a 'b c' '' '*' -- -d >out
is "arguments arrive as they were" "$(<out)" 'a|b c||*|--|-d|'
echo input | run -- cat >out
is "standard input arrives" "$(<out)" input
run -- sh -c 'echo to-stderr >&2' 2>err
is "nothing is added to the job's stderr" "$(<err)" to-stderr

env -i A=1 B='x y' QCKPT_KEEP=5 "$QCKPT" run -d env -- /usr/bin/env | sort >out
is "the environment is the caller's" "$(<out)" $'A=1\nB=x y\nQCKPT_KEEP=5'
run -- sh -c 'ls -l /proc/self/fd | wc -l' >out
sh -c 'ls -l /proc/self/fd | wc -l' >wanted
same_file "no descriptor is left over for the job" out wanted
run -- cat /proc/self/limits >out
same_file "limits are the caller's" out <(cat /proc/self/limits)
(
    umask 027
    run -- sh -c umask
) >out
is "the umask is the caller's" "$(<out)" 0027
run -- sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status' >out
sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status' >wanted
same_file "no signal is blocked or ignored" out wanted
(
    trap '' HUP INT
    run -- sh -c 'grep -E "^SigIgn" /proc/self/status'
) >out
(
    trap '' HUP INT
    sh -c 'grep -E "^SigIgn" /proc/self/status'
) >wanted
same_file "but for those that were" out wanted
run -- sh -c 'echo 3 >&3' 3>out
is "descriptors of the caller reach the job" "$(<out)" 3

run --name project=x --name a='b c' -- true
is "what was started is recorded" \
    "$(json 'd["argv"], d["names"]' <"$(last)/job.json")" "['true'] ['project=x', 'a=b c']"

status_is "a directory with an ended job is not taken again" 2 q run -d "$(last)" -- true
has "and it says what to do" "$err" "another directory"
status_is "its end is told again" 0 q restart -d "$(last)"
run -- sh -c 'echo ran >>ran; exit 3'
q restart -d "$(last)" 2>/dev/null
is "restart of an ended job gives its status" $? 3
is "and does not run it again" "$(<ran)" ran
run -- sh -c 'exit 99'
status_is "without a checkpoint there is nothing to restart" 4 q restart -d "$(last)"
status_is "and nothing to verify" 4 q verify -d "$(last)"

run -- true
shown=$(last)
status_is "show an ended job" 0 q show -d "$shown"
has "its state" "$out" "ended with status 0"
is "as JSON" "$(q show -d "$shown" --json | json 'd["state"], d["status"], d["generations"]')" \
    "ended 0 []"
is "without -d the directory is qckpt.ckpt" \
    "$(q run -- true && q show --json | json 'd["directory"]')" qckpt.ckpt
is "it is closed to others" "$(stat -c %a qckpt.ckpt)" 700

# The fastest of some runs: what holds a job up holds each of them up, a busy machine does
# not.
is_quick() {
    local begin took i
    for i in {1..20}; do
        begin=$(tap_now)
        q run -d "quick$i" -- true
        took=$((($(tap_now) - begin) * 10))
        echo "true took $took ms"
        [ $took -ge 1000 ] || return 0
    done
    return 1
}
ok "a short job is not held up" is_quick

if [ "$(id -u)" = 0 ]; then
    skip user "a directory that others can write to is refused" "root"
else
    mkdir open && chmod 777 open
    status_is "a directory that others can write to is refused" 1 q run -d open -- true
fi
done_testing
