#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs under the real DMTCP: saved, restarted, and failed in every way we know of.

QCKPT_DMTCP_PREFIX says where it is installed; without it these are skipped.
"""
import ctypes
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sys"))
import sysrun  # noqa: E402  pylint: disable=wrong-import-position
from sysrun import Failed, Skipped, read, wait_until  # noqa: E402

PREFIX = os.environ.get("QCKPT_DMTCP_PREFIX")
ROUNDS = 40
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

# Counts, a line a round, with a child that counts too; its output tells whether any
# round was lost or done twice.
COUNT = r"""
import os, sys, time
out = open("count", "a")
def ready():
    with open(os.environ["VICTIM_READY"], "w"): pass
for i in range(%(rounds)d):
    print("round", i, flush=True)
    out.write("%%d\n" %% i); out.flush()
    if i == 3: ready()
    time.sleep(0.1)
    while i == %(rounds)d - 5 and not os.path.exists(os.environ["VICTIM_GO"]):
        time.sleep(0.05)
print("file", open("count").read().split() == [str(i) for i in range(%(rounds)d)])
sys.exit(7)
"""

# One process of 200 MB, one small one.
BIG = r"""
import os, time
child = os.fork()
if child == 0:
    data = os.urandom(1 << 20) * 200
    open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"]):
    time.sleep(0.05)
if child == 0: os._exit(0)
print("status", os.waitpid(child, 0)[1])
"""


# A thread that takes no signal, and one that takes none while it starts programs.
DEAF = r"""
import os, signal, subprocess, threading, time
go = lambda: os.path.exists(os.environ["VICTIM_GO"])
def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    while not go(): time.sleep(0.01)
thread = threading.Thread(target=deaf); thread.start()
open(os.environ["VICTIM_READY"], "w").close()
while not go(): time.sleep(0.05)
thread.join()
print("done")
"""

# Starts programs all the time, each of which tells whether one before it was lost.
CHAIN = """
i=0 sum=
: >"$VICTIM_READY"
until [ -e "$VICTIM_GO" ]; do
    sum=$(echo "$sum $i" | cksum)
    echo "$i $sum"
    i=$((i + 1))
done
"""

# Pipes whose writers have ended, which two processes have open. At a checkpoint either may
# be the one that empties them; each reads one alone, both read one, one is full.
LEFT = r"""
import os, time
DATA = bytes(range(251)) * 2000
def left(write):
    r, w = os.pipe()
    if os.fork() == 0:
        write(w)
        os._exit(0)
    os.close(w)
    os.wait()
    return r
def fill(w):
    os.set_blocking(w, False)
    n = 0
    try:
        while True: n += os.write(w, DATA[n:n + 131072])
    except BlockingIOError: pass
    with open("size", "w") as f: f.write(str(n))
def read_all(r):
    data = b""
    while more := os.read(r, 65536): data += more
    return data
mine = left(lambda w: os.write(w, b"mine"))
yours = left(lambda w: os.write(w, b"yours"))
both = left(lambda w: os.write(w, b"0123456789"))
full = left(fill)
child = os.fork()
if child: open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"] if child else "turn"): time.sleep(0.05)
if child == 0:
    print(read_all(yours), read_all(both), flush=True)
    os._exit(0)
print(read_all(mine), os.read(both, 5), read_all(full) == DATA[:int(open("size").read())], flush=True)
open("turn", "w").close()
os.wait()
"""
LEFT_OUTPUT = "b'mine' b'01234' True\nb'yours' b'56789'\n"

# The same of one pipe, in processes that have as many files open as they may, but three.
FULL_TABLE = r"""
import os, resource, time
r, w = os.pipe()
os.write(w, b"0123456789")
os.close(w)
again = os.dup(r), os.dup(r)
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))
child = os.fork()
if child: open(os.environ["VICTIM_READY"] + ".new", "w").close()
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
for fd in held[-3:]: os.close(fd)
if child: os.rename(os.environ["VICTIM_READY"] + ".new", os.environ["VICTIM_READY"])
while not os.path.exists(os.environ["VICTIM_GO"] if child else "turn"): time.sleep(0.05)
print(os.read(r, 2), os.read(again[0], 2), os.read(again[1], 1), resource.getrlimit(resource.RLIMIT_NOFILE) == (1024, most), flush=True)
if child:
    os.close(held[0])
    open("turn", "w").close()
    os.wait()
"""
FULL_TABLE_OUTPUT = "b'01' b'23' b'4' True\nb'56' b'78' b'9' True\n"

# Two processes, of which one has said that it sends no more.
SHUT = r"""
import os, socket, time
a, b = socket.socketpair()
child = os.fork()
def go():
    while not os.path.exists(os.environ["VICTIM_GO"]): time.sleep(0.05)
if child == 0:
    a.close()
    b.send(b"question")
    b.shutdown(socket.SHUT_WR)
    open(os.environ["VICTIM_READY"], "w").close()
    go()
    print(b.recv(100), b.recv(100), flush=True)
    os._exit(0)
b.close()
go()
print(a.recv(100), a.recv(100), flush=True)
a.send(b"answer")
a.close()
print("status", os.wait()[1])
"""

# The same, and a descriptor is sent with the question.
SENT = r"""
import os, socket, time
a, b = socket.socketpair()
child = os.fork()
def go():
    while not os.path.exists(os.environ["VICTIM_GO"]): time.sleep(0.05)
if child == 0:
    a.close()
    socket.send_fds(b, [b"question"], [os.open("/dev/null", os.O_RDONLY)])
    b.send(b"more")
    b.shutdown(socket.SHUT_WR)
    open(os.environ["VICTIM_READY"], "w").close()
    go()
    print(b.recv(100), b.recv(100), flush=True)
    os._exit(0)
b.close()
go()
data, fds, *_ = socket.recv_fds(a, 8, 3)
print(data, [os.readlink(f"/proc/self/fd/{fd}") for fd in fds], a.recv(100), a.recv(100), flush=True)
a.send(b"answer")
a.close()
print("status", os.wait()[1])
"""

# A child that has ended, and is asked for its status late.
LATE = r"""
import os, time
child = os.fork()
if child == 0: os._exit(7)
open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"]):
    time.sleep(0.05)
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

# DMTCP ends a child in the middle; its parent thinks nothing of it.
CHILD_FAILS = r"""
import os, resource
child = os.fork()
if child == 0:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    os._exit(os.fork() == 0)
print("child", os.waitpid(child, 0)[1] >> 8)
"""

class Program:
    refused = may = slow = works = False
    carried = True

    def __init__(self, name, argv, status=0):
        self.name, self.argv, self.status = name, argv, status


def python(name, text, status=0):
    return Program(name, ["/usr/bin/python3", "-c", text], status)


def count(rounds=ROUNDS):
    return python("count", COUNT % {"rounds": rounds}, 7)


def want(rounds=ROUNDS):
    return "".join(f"round {i}\n" for i in range(rounds)) + "file True\n"


def job(program, **more):
    j = sysrun.Job(sysrun.base(), program, "dmtcp", **more)
    j.env.update(QCKPT_ENGINE="dmtcp", QCKPT_FREEZE_TIMEOUT="10")
    return j


def start(j, **more):
    j.run(**more)
    j.wait_ready()


def generations(j):
    return sorted(os.path.basename(p) for p in glob.glob(j.ckpt + "/gen/0*"))


def log(j):
    return read(os.path.join(j.ckpt, "log.jsonl"))


def restarted(j, output):
    j.restart()
    j.go()
    j.finish(output)


def stop(j):
    j.checkpoint("--stop", timeout=120)
    j.wait_stopped()
    if left := j.left_behind(5):
        raise Failed(f"stopped, but these live: {left}")


def child_of(pid, name):
    """The pid of the child with that name."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            if read(f"/proc/{child}/comm").strip() == name:
                return int(child)
    raise Failed(f"{pid} has no child {name}")


def coordinator(j):
    """(door, coordinator)"""
    supervisor = int(j.epoch()["pid"])
    for child in read(f"/proc/{supervisor}/task/{supervisor}/children").split():
        for grandchild in read(f"/proc/{child}/task/{child}/children").split():
            if os.readlink(f"/proc/{grandchild}/exe").endswith("/dmtcp_coordinator"):
                return int(child), int(grandchild)
    raise Failed("no coordinator runs")


def demand(text, pattern, what):
    if not re.search(pattern, text):
        raise Failed(f"{what}: expected {pattern}, saw: {text.strip()[-600:]}")


# ---- what must work ----


def saves_and_restarts():
    with job(count()) as j:
        start(j)
        j.checkpoint()
        time.sleep(0.3)
        stop(j)
        restarted(j, want())
        demand(log(j), '"status":7', "the log")


def goes_on_from_a_checkpoint_after_a_power_cut():
    with job(count()) as j:
        start(j)
        j.checkpoint()
        time.sleep(0.5)
        j.power_cut("supervisor")
        restarted(j, want())


def saves_what_was_restarted():
    with job(count(60)) as j:
        start(j)
        for _ in range(3):
            before = j.epoch_number()
            stop(j)
            j.restart()
            j.wait_epoch_after(before)
            wait_until(20, "the restart", lambda: log(j).count('"restarted"') >= before)
            time.sleep(0.3)
        j.go()
        j.finish(want(60))


def carries(name):
    victim = sysrun.victims()[name]
    output = sysrun.undisturbed(victim)
    with job(victim) as j:
        start(j)
        time.sleep(0.4)
        stop(j)
        restarted(j, output)


def compresses_with_gzip():
    with job(count()) as j:
        start(j, env={"QCKPT_COMPRESS": "gzip"})
        stop(j)
        image = glob.glob(j.ckpt + "/gen/000001/ckpt_*.dmtcp")[0]
        with open(image, "rb") as f:
            if f.read(2) != b"\x1f\x8b":
                raise Failed("the image is not compressed")
        restarted(j, want())


def tmpdir_travels():
    text = """
import os, time
t = os.environ["TMPDIR"]
f = open(t + "/data", "w+"); f.write("data"); f.flush()
os.mkdir(t + "/below"); open(t + "/below/file", "w").write("text")
open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"]): time.sleep(0.05)
f.write(" and more"); f.seek(0)
print(f.read(), open(t + "/below/file").read(), sorted(os.listdir(t)))
"""
    with job(python("tmpdir", text)) as j:
        old, new = os.path.join(j.dir, "old"), os.path.join(j.dir, "new")
        os.mkdir(old)
        os.mkdir(new)
        j.env.update(TMPDIR=old, QCKPT_CARRY_TMPDIR="1")
        start(j)
        stop(j)
        shutil.rmtree(old)
        j.env["TMPDIR"] = new
        restarted(j, "data and more text ['below', 'data']\n")
        if read(new + "/data") != "data and more":
            raise Failed("the job did not write into the new TMPDIR")


def another_dmtcp_does_not_confuse():
    """Variables as a job has them that runs under another coordinator."""
    with job(count()) as j:
        start(j, env={"DMTCP_COORD_PORT": "1", "DMTCP_COORD_HOST": "nowhere", "DMTCP_GZIP": "1",
                      "DMTCP_CHECKPOINT_INTERVAL": "1", "DMTCP_CHECKPOINT_DIR": "/nowhere",
                      "DMTCP_TMPDIR": "/nowhere", "DMTCP_SIGCKPT": "12"})
        stop(j)
        restarted(j, want())


def signals_reach_the_job():
    """SIGUSR2 would end the job, for which DMTCP has kept it from installing a handler."""
    text = """
import os, signal, time
got = []
for s in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM): signal.signal(s, lambda n, f: got.append(n))
open(os.environ["VICTIM_READY"], "w").close()
while signal.SIGTERM not in got: time.sleep(0.05)
print(sorted(got))
"""
    with job(python("signals", text)) as j:
        start(j)
        epoch = j.epoch_number()
        stop(j)
        j.restart()
        j.wait_epoch_after(epoch)
        wait_until(20, "the restart", lambda: '"restarted"' in log(j))
        for signo in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGTERM):
            os.kill(j.process.pid, signo)
            time.sleep(0.2)
        j.finish("[10, 15]\n")
        demand(log(j), "SIGUSR2 is kept from the job", "the log")


def what_blocks_all_signals_is_saved():
    with job(python("deaf", DEAF)) as j:
        start(j)
        j.checkpoint(timeout=60)
        stop(j)
        restarted(j, "done\n")


def cksum(data):
    """As cksum(1): CRC-32 with the length behind the data."""
    crc, n = 0, len(data)
    while n:
        data, n = data + bytes([n & 255]), n >> 8
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return ~crc & 0xFFFFFFFF


def check_chain(output):
    lines, total = output.splitlines(), ""
    for i, line in enumerate(lines):
        text = f"{total} {i}\n".encode()
        total = f"{cksum(text)} {len(text)}"
        if line != f"{i} {total}":
            raise Failed(f"line {i} is {line!r}, expected {i} {total}")
    return len(lines)


def one_that_starts_programs_all_the_time_is_stopped(shell):
    """Each stop: the first that is asked for, or what the engine makes of it."""
    with job(Program("chain", [shell, "-c", CHAIN])) as j:
        start(j)
        for _ in range(6):
            before = j.epoch_number()
            stop(j)
            seen = check_chain(read(j.out))
            j.restart()
            j.wait_epoch_after(before)
            wait_until(20, "progress", lambda n=seen: len(read(j.out).splitlines()) > n + 5)
        j.go()
        j.wait()
        check_chain(read(j.out))
        if j.process.returncode:
            raise Failed(f"status {j.process.returncode}")


def what_ended_writers_left_is_read_after_a_checkpoint():
    with job(python("left", LEFT)) as j:
        start(j)
        j.checkpoint()
        j.checkpoint()
        j.go()
        j.finish(LEFT_OUTPUT)


def what_ended_writers_left_is_read_after_a_restart():
    with job(python("left", LEFT)) as j:
        start(j)
        stop(j)
        before = j.epoch_number()
        j.restart()
        j.wait_epoch_after(before)
        wait_until(20, "the restart", lambda: '"restarted"' in log(j))
        j.checkpoint()
        stop(j)
        restarted(j, LEFT_OUTPUT)


def what_is_left_is_read_where_no_file_can_be_opened():
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2048:
        raise Skipped("the hard limit of open files is low")
    with job(python("table", FULL_TABLE)) as j:
        start(j)
        j.checkpoint()
        j.checkpoint()
        j.go()
        j.finish(FULL_TABLE_OUTPUT)


def a_connection_that_one_side_has_shut_goes_on():
    with job(python("shut", SHUT)) as j:
        start(j)
        j.checkpoint()
        j.checkpoint()
        j.go()
        j.finish("b'question' b''\nb'answer' b''\nstatus 0\n")


def descriptors_sent_on_it_arrive():
    with job(python("sent", SENT)) as j:
        start(j)
        j.checkpoint()
        j.checkpoint()
        j.go()
        j.finish("b'question' ['/dev/null'] b'more' b''\nb'answer' b''\nstatus 0\n")


def one_that_ends_before_it_is_ready_is_gone():
    """Its child is never waited for, so that DMTCP is not asked."""
    with job(python("late", LATE)) as j:
        start(j)
        request = begin_checkpoint(j)
        time.sleep(0.5)
        j.go()
        j.finish("status 7\n")
        _, err = request.communicate(timeout=30)
        if request.returncode == 0:
            raise Failed("there is a checkpoint of a job that had ended")
        demand(err, "the job (has )?ended|coordinator has ended", "the answer")


def a_suspended_job_is_saved():
    with job(count()) as j:
        start(j)
        os.killpg(j.process.pid, signal.SIGSTOP)
        wait_until(10, "the suspension", lambda: "suspended" in log(j))
        stop_in_suspension(j)
        restarted(j, want())


def stop_in_suspension(j):
    j.checkpoint("--stop", timeout=60)
    os.killpg(j.process.pid, signal.SIGCONT)
    j.wait_stopped()


def a_job_keeps_its_status():
    for argv, status in ((["/bin/sh", "-c", "exit 99"], 99), (["/bin/sh", "-c", "kill -9 $$"], -9),
                         (["/no/such/program"], 127), (["/etc/passwd"], 126)):
        with job(Program("status", argv)) as j:
            j.run()
            if j.wait() != status:
                raise Failed(f"{argv}: status {j.process.returncode}, expected {status}")


# ---- what must be refused, and the job must run on ----


def refused(j, pattern, output):
    _, err = j.checkpoint(expect=sysrun.REFUSED, timeout=60)
    demand(err, pattern, "the refusal")
    if generations(j):
        raise Failed(f"refused, but there is {generations(j)}")
    j.go()
    j.finish(output)


def a_static_program_is_refused():
    victim = sysrun.victims()["work_counter_static"]
    output = sysrun.undisturbed(victim)
    with job(victim) as j:
        start(j)
        refused(j, r"process \d+ \(work_counter_s\w*\) is not under DMTCP", output)


def a_static_child_is_refused():
    static = sysrun.victims()["work_counter_static"].path
    output = sysrun.undisturbed(sysrun.victims()["work_counter_static"])
    with job(Program("parent", ["/bin/sh", "-c", f"{static}; echo after"])) as j:
        start(j)
        refused(j, r"process \d+ \(work_counter_s\w*\) is not under DMTCP", output + "after\n")


def a_stopped_process_is_refused():
    with job(python("big", BIG)) as j:
        start(j)
        big = max(sysrun.processes_of(j.dir), key=lambda p: resident(p[0]))[0]
        os.kill(big, signal.SIGSTOP)
        _, err = j.checkpoint(expect=sysrun.REFUSED, timeout=60)
        demand(err, rf"process {big} \(python3\S*\) is stopped", "the refusal")
        os.kill(big, signal.SIGCONT)
        j.checkpoint(timeout=60)
        j.go()
        j.finish("status 0\n")


def a_status_nobody_asked_for_is_refused():
    with job(python("late", LATE)) as j:
        start(j)
        refused(j, r"process \d+ has ended, and its parent has not asked", "status 7\n")


def wait_large_image(j):
    temps = j.ckpt + "/.work.*/images/*.temp"
    wait_until(20, "a large image", lambda: any(
        os.path.getsize(p) > 20 << 20 for p in glob.glob(temps) if os.path.exists(p)))


def one_that_is_stopped_while_it_writes_is_given_up():
    with job(python("big", BIG)) as j:
        start(j, env={"QCKPT_FREEZE_TIMEOUT": "2"})
        request = begin_checkpoint(j)
        wait_large_image(j)
        big = max(sysrun.processes_of(j.dir), key=lambda p: resident(p[0]))[0]
        os.kill(big, signal.SIGSTOP)
        _, err = request.communicate(timeout=60)
        if request.returncode != 1 or generations(j):
            raise Failed(f"status {request.returncode}, generations {generations(j)}: {err}")
        demand(err, rf"DMTCP has not got on for 2 s.*process {big} .* is stopped", "the failure")
        _, err = j.checkpoint(expect=sysrun.REFUSED)
        demand(err, "has not ended the checkpoint before", "the next")
        os.kill(big, signal.SIGCONT)
        wait_until(20, "a checkpoint", lambda: j.tool("checkpoint", "-d", j.ckpt)[0] == 0)
        j.go()
        j.finish("status 0\n")


def begin_checkpoint(j):
    return subprocess.Popen([sysrun.QCKPT, "checkpoint", "-d", j.ckpt], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def a_checkpoint_that_somebody_else_asks_for_is_let_pass():
    with job(count()) as j:
        start(j)
        port = read(glob.glob(j.ckpt + "/.work.*/coordinator.port")[0]).strip()
        subprocess.run([PREFIX + "/bin/dmtcp_command", "-h", "127.0.0.1", "-p", port, "-c"],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        stop(j)
        restarted(j, want())


def a_terminal_is_the_jobs():
    """Under a pseudo terminal of its own, as from a shell."""
    import pty
    text = "import os; print(os.isatty(0), os.tcgetpgrp(0) == os.getpgrp(), os.ctermid())"
    with job(python("tty", text)) as j:
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update(j.env)
            os.execv(sysrun.QCKPT, [sysrun.QCKPT, "run", "-d", j.ckpt, "--", *j.victim.argv])
        got = b""
        try:
            while part := os.read(fd, 1000):
                got += part
        except OSError:
            pass
        status = os.waitpid(pid, 0)[1]
        os.close(fd)
        if status or got.decode().strip() != "True True /dev/tty":
            raise Failed(f"status {status}: {got}")


def a_full_disk_is_refused():
    if os.geteuid() != 0:
        raise Skipped("not root: no file system of a size can be mounted")
    where = tempfile.mkdtemp(prefix="full-", dir=sysrun.base())
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0755", "none", where], check=True)
    try:
        with job(python("big", BIG), ckpt=where + "/ckpt") as j:
            start(j)
            refused(j, "no room", "status 0\n")
    finally:
        subprocess.run(["umount", where], check=True)


def a_file_size_limit_is_refused():
    with job(python("big", BIG), prefix=["/usr/bin/prlimit", "--fsize=50000000:"]) as j:
        start(j)
        refused(j, r"may only write files of 47\.7 MiB", "status 0\n")


def a_worker_killed_while_it_writes_makes_no_generation():
    with job(python("big", BIG)) as j:
        start(j)
        request = begin_checkpoint(j)
        wait_large_image(j)
        big = max(sysrun.processes_of(j.dir), key=lambda p: resident(p[0]))[0]
        os.kill(big, signal.SIGKILL)
        _, err = request.communicate(timeout=60)
        if request.returncode == 0 or generations(j):
            raise Failed(f"a generation of half a job: {generations(j)}")
        demand(err, "processes, but DMTCP has written|has ended, and its parent has not asked", "the failure")
        # DMTCP does not get the others going again.
        if j.wait(60) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "DMTCP has lost the job at a checkpoint", "the log")


def resident(pid):
    match = re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{pid}/status"))
    return int(match.group(1)) if match else 0


# ---- what loses the job, or could ----


def lost(who):
    with job(count()) as j:
        start(j)
        j.checkpoint()
        time.sleep(0.3)
        os.kill(coordinator(j)[who], signal.SIGKILL)
        if j.wait(30) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(read(j.err), "lost by its engine", "stderr")
        demand(log(j), "DMTCP has (lost the job|failed in)", "the log")
        if left := j.left_behind(5):
            raise Failed(f"lost, but these live: {left}")
        if os.path.exists(j.ckpt + "/done.json"):
            raise Failed("a lost job is recorded as done")
        restarted(j, want())


# To python a pipe that breaks is no signal, to other programs it is.
PIPE = "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n" + COUNT % {"rounds": ROUNDS}


def broken_pipe(j, after):
    """The first process dies of SIGPIPE, and only then does the coordinator go on."""
    start(j)
    j.checkpoint()
    time.sleep(0.3)
    pid = coordinator(j)[1]
    os.kill(pid, signal.SIGSTOP)
    os.kill(child_of(int(j.epoch()["pid"]), "python3"), signal.SIGPIPE)
    time.sleep(0.3)
    os.kill(pid, after)


def a_pipe_that_breaks_with_the_coordinator_loses_the_job():
    with job(python("pipe", PIPE, 7)) as j:
        broken_pipe(j, signal.SIGKILL)
        if j.wait(30) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "lost the job, its coordinator has ended: .*killed by signal 9", "the log")
        restarted(j, want())


def a_pipe_that_breaks_by_itself_ends_the_job():
    with job(python("pipe", PIPE, 7)) as j:
        broken_pipe(j, signal.SIGCONT)
        if j.wait(30) != -signal.SIGPIPE:
            raise Failed(f"status {j.process.returncode}, expected a death of SIGPIPE")
        demand(log(j), r'"ended","signal":13', "the log")


def a_child_that_dmtcp_ends_loses_the_job():
    with job(python("child", CHILD_FAILS)) as j:
        j.run()
        if j.wait(30) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "DMTCP has failed in a process of the job", "the log")
        if os.path.exists(j.ckpt + "/done.json"):
            raise Failed("a lost job is recorded as done")


CRASH = """
import os, signal, time
open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"]):
    time.sleep(0.05)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def a_crash_at_a_restart_loses_no_job():
    with job(python("crash", CRASH)) as j:
        start(j)
        stop(j)
        j.restart()
        j.go()
        if j.wait(30) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "died of signal 11 .* within 30 s of its restart", "the log")
        if not generations(j) or os.path.exists(j.ckpt + "/done.json"):
            raise Failed("the job cannot be continued")


def a_checkpoint_that_never_ends_loses_the_job():
    """A process that a debugger holds stands for two of DMTCP's that wait for each other."""
    libc = ctypes.CDLL(None, use_errno=True)
    with job(python("big", BIG)) as j:
        start(j, env={"QCKPT_FREEZE_TIMEOUT": "1"})
        j.checkpoint()
        big = max(sysrun.processes_of(j.dir), key=lambda p: resident(p[0]))[0]
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if libc.ptrace(request, big, None, None) < 0:
                raise Skipped(f"ptrace: {os.strerror(ctypes.get_errno())}")
        wait_until(5, "the stop", lambda: re.search(r"\) t ", read(f"/proc/{big}/stat")))
        _, err = j.checkpoint(expect=1, timeout=60)
        demand(err, "DMTCP has not got on for 1 s", "the failure")
        if j.wait(30) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "DMTCP has lost the job: it stopped it for a checkpoint", "the log")
        restarted(j, "status 0\n")


def nothing_is_left(who):
    with job(count()) as j:
        start(j)
        pids = coordinator(j)
        maps = read(f"/proc/{sysrun.processes_of(j.dir)[-1][0]}/maps")
        directory = re.search(r"/tmp/qckpt-dmtcp-\w+", maps).group()
        j.checkpoint()
        j.power_cut(who)
        wait_until(5, "the coordinator's end",
                   lambda: not any(os.path.exists(f"/proc/{p}") for p in pids))
        restarted(j, want())
        if os.path.exists(directory):
            raise Failed(f"{directory} is left behind")


def flipped_bits_are_found():
    with job(count()) as j:
        start(j)
        j.checkpoint()
        stop(j)
        image = glob.glob(j.ckpt + "/gen/000002/ckpt_*.dmtcp")[0]
        with open(image, "r+b") as f:
            f.seek(os.path.getsize(image) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))
        j.restart()
        j.go()
        j.finish(want())
        demand(log(j), r'"generation-rejected".*"generation":2', "the log")


def a_damaged_record_is_found():
    with job(count()) as j:
        start(j)
        stop(j)
        path = j.ckpt + "/gen/000001/dmtcp.json"
        with open(path, encoding="utf-8") as f:
            record = json.load(f)
        record["images"][0]["name"] = "../../../ckpt_x.dmtcp"
        with open(path, "r+", encoding="utf-8") as f:
            json.dump(record, f)
        j.restart()
        if j.wait() == 0:
            raise Failed("restarted from a damaged generation")
        demand(log(j), "generation-rejected", "the log")


def a_failed_restart_leaves_nothing():
    text = """
import os, time
f = open("needed", "w+"); f.write("x"); f.flush(); f = open("needed")
open(os.environ["VICTIM_READY"], "w").close()
while not os.path.exists(os.environ["VICTIM_GO"]): time.sleep(0.05)
print(f.read())
"""
    with job(python("needs", text)) as j:
        start(j)
        stop(j)
        os.rename(j.work + "/needed", j.work + "/away")
        j.restart()
        if j.wait(60) != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), "needed.*File not found", "the log")
        if left := j.left_behind(5):
            raise Failed(f"failed, but these live: {left}")
        os.rename(j.work + "/away", j.work + "/needed")
        restarted(j, "x\n")


def restarting(j):
    """The pid of the restart's first process, before the job runs; None: not yet."""
    supervisor = int(j.epoch()["pid"])
    for child in read(f"/proc/{supervisor}/task/{supervisor}/children").split():
        try:
            if re.match("(dm|m)tcp_restart", read(f"/proc/{child}/comm")):
                return int(child)
        except ProcessLookupError:
            pass
    return None


def restored_child_of(pid):
    """The first process below it; None: there is none."""
    try:
        child = read(f"/proc/{pid}/task/{pid}/children").split()
        return int(child[0]) if child and "tcp_restart" in read(f"/proc/{child[0]}/comm") else None
    except (FileNotFoundError, ProcessLookupError):
        return None


def restarting_child(j):
    """The pid of a process below the restart's first; None: not yet."""
    first = restarting(j)
    return first and restored_child_of(first)


def a_killed_restart_costs_no_generation(whom=restarting):
    with job(python("big", BIG)) as j:
        start(j)
        j.checkpoint()
        stop(j)
        for _ in range(6):
            epoch = j.epoch_number()
            j.restart()
            j.wait_epoch_after(epoch)
            seen = [None]
            wait_until(30, "the restart", lambda: seen.append(whom(j)) or seen[-1])
            os.kill(seen[-1], signal.SIGKILL)
            if j.wait(60) != 1:
                raise Failed(f"status {j.process.returncode}, expected 1")
        demand(log(j), r'"restart-failed","generation":2.*no reason to take an older', "the log")
        if re.search('"restarted"|"restart-failed","generation":1', log(j)):
            raise Failed("an older generation was tried")
        restarted(j, "status 0\n")
        demand(log(j), "restarted from generation 2", "the log")


def a_killed_child_of_a_restart_costs_no_generation():
    a_killed_restart_costs_no_generation(restarting_child)


def a_limit_of_open_files_is_named():
    with job(count(), prefix=["/usr/bin/prlimit", "--nofile=256:"]) as j:
        j.run()
        if j.wait() != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(read(j.err), r"only 256 open files are allowed \(ulimit -n\)", "stderr")


def a_wrong_prefix_is_named():
    with job(count()) as j:
        j.run(env={"QCKPT_DMTCP_PREFIX": "/no/where"})
        if j.wait() != 1:
            raise Failed(f"status {j.process.returncode}, expected 1")
        demand(read(j.err), "/no/where/bin/dmtcp_launch: No such file", "stderr")


TESTS = [
    saves_and_restarts, goes_on_from_a_checkpoint_after_a_power_cut, saves_what_was_restarted,
    compresses_with_gzip, tmpdir_travels, another_dmtcp_does_not_confuse, signals_reach_the_job,
    what_blocks_all_signals_is_saved, what_ended_writers_left_is_read_after_a_checkpoint,
    what_ended_writers_left_is_read_after_a_restart,
    what_is_left_is_read_where_no_file_can_be_opened, a_connection_that_one_side_has_shut_goes_on,
    descriptors_sent_on_it_arrive,
    one_that_ends_before_it_is_ready_is_gone,
    a_suspended_job_is_saved, a_job_keeps_its_status, a_static_program_is_refused,
    a_static_child_is_refused, a_stopped_process_is_refused, a_status_nobody_asked_for_is_refused,
    one_that_is_stopped_while_it_writes_is_given_up,
    a_checkpoint_that_somebody_else_asks_for_is_let_pass, a_terminal_is_the_jobs, a_full_disk_is_refused, a_file_size_limit_is_refused,
    a_worker_killed_while_it_writes_makes_no_generation, flipped_bits_are_found,
    a_damaged_record_is_found, a_failed_restart_leaves_nothing,
    a_killed_restart_costs_no_generation, a_killed_child_of_a_restart_costs_no_generation,
    a_wrong_prefix_is_named,
    a_limit_of_open_files_is_named, a_child_that_dmtcp_ends_loses_the_job,
    a_pipe_that_breaks_with_the_coordinator_loses_the_job,
    a_pipe_that_breaks_by_itself_ends_the_job, a_crash_at_a_restart_loses_no_job,
    a_checkpoint_that_never_ends_loses_the_job,
]
CARRIED = ["cpu_binding", "fd_names", "work_awk", "work_counter", "work_perl", "work_python",
           "work_registers", "work_ring", "work_threads", "work_time"]


def main():
    why = "DMTCP is not here: set QCKPT_DMTCP_PREFIX to its prefix"
    if not PREFIX or not os.access(PREFIX + "/bin/dmtcp_launch", os.X_OK):
        if sysrun.require("dmtcp"):
            print(f'1..1\nnot ok 1 - DMTCP\n# REQUIRE has "dmtcp", but: {why}')
            return 1
        print(f"1..0 # SKIP {why}")
        return 0
    tests = [(t.__name__.replace("_", " "), t) for t in TESTS]
    tests += [(f"{who} killed: nothing is left", lambda w=who: nothing_is_left(w))
              for who in ("front", "supervisor")]
    tests += [(f"{who} killed: the job is lost and goes on", lambda i=i: lost(i))
              for i, who in enumerate(("door", "coordinator"))]
    tests += [(f"{shell} that starts programs all the time is stopped",
               lambda s=shell: one_that_starts_programs_all_the_time_is_stopped(s))
              for shell in ("/bin/bash", "/bin/dash")]
    tests += [(f"carries {name}", lambda n=name: carries(n)) for name in CARRIED]
    return sysrun.run_tests(tests)


if __name__ == "__main__":
    sys.exit(main())
