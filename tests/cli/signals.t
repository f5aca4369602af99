#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
. "$(dirname "$0")/lib.sh"

# A job that says which signals it got, until TERM.
cat >listener <<'JOB'
for s in HUP INT QUIT USR1 USR2 XCPU WINCH ALRM; do
    trap "echo $s >>got" $s
done
trap 'echo TERM >>got; exit 9' TERM
echo ready >ready
while :; do
    echo >>ticks
    sleep 0.05
done
JOB

# In a process group of its own, as a shepherd starts it; $front is its pid.
start() {
    rm -rf got ready ticks job
    # A shell starts background processes with SIGINT and SIGQUIT ignored.
    env --default-signal=INT,QUIT setsid "$QCKPT" run -d job "$@" 2>>stderr &
    front=$!
    wait_until 10 test -e ready || diag "the job does not start"
}

got() {
    grep -q "$1" got
}

start -- bash listener
for s in HUP INT QUIT USR1 USR2 XCPU WINCH ALRM; do
    kill -$s $front
    ok "SIG$s reaches the job" wait_until 10 got $s
done
kill -TERM -$front
ok "a signal to the group too" wait_until 10 got TERM
wait $front
is "and the job's answer to it is the status" $? 9
is "each came once" "$(sort got | uniq -d)" ""

start -- bash listener
kill -STOP -$front
ok "stopping the group is noticed" wait_until 10 grep -q suspended job/log.jsonl
ok "and stops the job" wait_until 10 stands_still ticks
before=$(wc -l <ticks)
is "show says so" "$(q show -d job --json | json 'd["state"]')" suspended
kill -CONT -$front
ticks_more() {
    [ "$(wc -l <ticks)" -gt $((before + 3)) ]
}
ok "continuing the group continues the job" wait_until 10 ticks_more
kill -STOP -$front
ok "again and again" wait_until 10 sh -c '[ $(grep -c suspended job/log.jsonl) = 2 ]'
kill -TERM $front
kill -CONT -$front
wait $front
is "and a signal that came meanwhile arrives then" $? 9

# A job under a terminal of its own, as qsub -pty: the terminal is the job's.
if command -v python3 >/dev/null; then
    python3 - "$QCKPT" >pty.out <<'PY'
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "-d", "ptyjob", "--", "sh", "-c",
             "echo fg=$(ps -o tpgid= -p $$) pid=$$; exec cat"])
text = b""
while b"pid=" not in text or not text.endswith(b"\n"):
    text += os.read(fd, 1000)
os.write(fd, b"echo this\n")
while text.count(b"echo this") < 2:
    text += os.read(fd, 1000)
os.write(fd, b"\x03")
status = os.waitpid(pid, 0)[1]
print(text.decode().splitlines()[0])
print("signal", os.WTERMSIG(status))
PY
    sed -n 's/fg= *\([0-9]*\) pid=\([0-9]*\).*/\1 \2/p' pty.out >ids
    read -r fg pid <ids
    is "the job leads its terminal's foreground group" "$fg" "$pid"
    is "and ^C is for the job" "$(tail -n 1 pty.out)" "signal 2"
else
    skip python3 "a terminal is the job's" "no python3"
fi
done_testing
