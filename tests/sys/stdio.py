#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard files of every kind: the restarted job uses the new run's, and no line of its
output appears twice or is lost."""
import os
import pty
import select
import signal
import subprocess
import time

import sysrun

VICTIM = "work_awk"


class Stdio(sysrun.Job):
    """A job whose standard files a test chooses: open_files gives stdin, stdout, stderr."""

    def __init__(self, open_files, victim):
        super().__init__(sysrun.base(), victim, "stdio")
        self.open_files = open_files

    def start(self, argv, env=None):
        stdin, stdout, stderr = self.open_files(self)
        self.process = subprocess.Popen(
            argv, cwd=self.work, env=dict(self.env, **(env or {})), stdin=stdin,
            stdout=stdout, stderr=stderr, start_new_session=True)
        for f in (stdin, stdout, stderr):
            if f not in (subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT, None):
                f.close()


def three_runs(open_files, live, command=None):
    """Runs, saves and ends the job twice, lets the third run finish."""
    victim = sysrun.victims()[VICTIM]
    if command:
        victim.argv = ["/bin/sh", "-c", command.replace("VICTIM", victim.path)]
    with Stdio(open_files, victim) as job:
        job.run()
        job.wait_ready()
        for _ in range(2):
            time.sleep(0.3)
            epoch = job.epoch_number()
            if live:
                job.checkpoint()
                time.sleep(0.15)
                job.power_cut("supervisor")
            else:
                job.checkpoint("--stop")
                job.wait_stopped()
            after_end(job)
            job.restart()
            if not job.wait_epoch_after(epoch):
                raise sysrun.TooLate("it ended before it could be killed")
        status = job.wait()
        after_end(job)
        if status != 0:
            raise sysrun.Failed(f"status {status}")
    return job


def after_end(job):
    """Takes what is in the pipe, as the program behind it would have."""
    if job.process.stdout:
        with open(job.out, "ab") as f:
            f.write(job.process.stdout.read())


def is_output(job, got):
    want = sysrun.undisturbed(sysrun.victims()[VICTIM])
    if got != want:
        raise sysrun.Failed("output differs:\n" + sysrun.difference(want, got))


def appended():
    def files(job):
        return subprocess.DEVNULL, open(job.out, "ab"), open(job.err, "ab")

    job = three_runs(files, live=True)
    is_output(job, sysrun.read(job.out))


def written_at_an_offset():
    """As with `>`: one file without O_APPEND, where only the offset tells where to go on."""
    def files(job):
        exists = os.path.exists(job.out)
        out = open(job.out, "r+b" if exists else "wb", buffering=0)
        return subprocess.DEVNULL, out, open(job.err, "ab")

    job = three_runs(files, live=True)
    is_output(job, sysrun.read(job.out))


def new_file_each_run():
    """Grid Engine may give another file: each has what its run wrote."""
    count = [0]

    def files(job):
        count[0] += 1
        return (subprocess.DEVNULL, open(f"{job.out}.{count[0]}", "wb"),
                open(job.err, "ab"))

    job = three_runs(files, live=False)
    is_output(job, "".join(sysrun.read(f"{job.out}.{i}") for i in (1, 2, 3)))


def pipe():
    def files(job):
        return subprocess.DEVNULL, subprocess.PIPE, open(job.err, "ab")

    job = three_runs(files, live=False)
    is_output(job, sysrun.read(job.out))


def same_file_for_both():
    """`> file 2>&1`: the job's two streams stay in order; our own words may be between."""
    def files(job):
        return subprocess.DEVNULL, open(job.out, "ab"), subprocess.STDOUT

    job = three_runs(files, live=True)
    is_output(job, "".join(l for l in sysrun.read(job.out).splitlines(True)
                           if not l.startswith("qckpt: ")))


def reopened_inside():
    """A script that redirects itself, as job scripts do, and keeps the old one too."""
    def files(job):
        return subprocess.DEVNULL, open(job.out, "ab"), open(job.err, "ab")

    job = three_runs(files, live=True,
                     command="exec 3>&1 >inside 2>&1; VICTIM; echo end; echo end >&3")
    is_output(job, sysrun.read(os.path.join(job.work, "inside")).removesuffix("end\n"))
    if sysrun.read(job.out) != "end\n":
        raise sysrun.Failed(f"descriptor 3: saw {sysrun.read(job.out)!r}")


def input_from_a_pipe():
    """What is given on standard input after a restart comes from the new run."""
    victim = sysrun.Victim("stdin", "/bin/sh")
    victim.argv = ["sh", "-c", "read a; echo first $a; touch ready; read b; echo second $b"]
    ends = []

    def files(job):
        read_end, write_end = os.pipe()
        ends.append(write_end)
        return open(read_end, "rb"), open(job.out, "ab"), open(job.err, "ab")

    with Stdio(files, victim) as job:
        job.run()
        os.write(ends[0], b"one\n")
        sysrun.wait_until(10, "the first line",
                          lambda: os.path.exists(os.path.join(job.work, "ready")))
        epoch = job.epoch_number()
        job.checkpoint("--stop")
        job.wait_stopped()
        job.restart()
        job.wait_epoch_after(epoch)
        os.write(ends[1], b"two\n")
        if job.wait(20) != 0:
            raise sysrun.Failed("status")
    if (got := sysrun.read(job.out)) != "first one\nsecond two\n":
        raise sysrun.Failed(f"saw {got!r}")


class Terminal:
    """A terminal with qckpt as its session's leader, as a person's shell starts it."""

    def __init__(self, argv, cwd, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            # Whoever runs the tests in the background ignores it; a person does not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(argv[0], argv, env)
        self.seen = b""

    def wait_for(self, text):
        end = time.monotonic() + 10 * sysrun.PATIENCE
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise sysrun.Failed(f"the terminal did not show {text}: {self.seen}")
            try:
                self.seen += os.read(self.fd, 4096)
            except OSError:
                raise sysrun.Failed(f"hung up before {text}: {self.seen}") from None

    def write(self, text):
        os.write(self.fd, text)

    def wait(self):
        end = time.monotonic() + 10 * sysrun.PATIENCE
        while time.monotonic() < end:
            try:
                if select.select([self.fd], [], [], 0.05)[0]:
                    self.seen += os.read(self.fd, 4096)
            except OSError:
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise sysrun.Failed(f"no end: {self.seen}")


def on_a_terminal():
    """A job on a terminal reads from it, and from the next one after the restart; there
    an interrupt from the keyboard reaches it."""
    victim = sysrun.Victim("terminal", "/bin/sh")
    script = ("trap 'echo interrupted; exit 9' INT; echo ask; read a; echo got $a; "
              "read b; echo then $b; echo more; while :; do sleep 0.05; done")
    with sysrun.Job(sysrun.base(), victim, "stdio") as job:
        argv = [sysrun.QCKPT, "run", "-d", job.ckpt, "--", "/bin/sh", "-c", script]
        first = Terminal(argv, job.work, job.env)
        first.wait_for(b"ask")
        first.write(b"one\n")
        first.wait_for(b"got one")
        job.checkpoint("--stop")
        if (status := first.wait()) != sysrun.STOPPED:
            raise sysrun.Failed(f"status {status}: {first.seen}")
        second = Terminal([sysrun.QCKPT, "restart", "-d", job.ckpt], job.work, job.env)
        second.write(b"two\n")
        second.wait_for(b"then two")
        second.wait_for(b"more")
        second.write(b"\003")
        second.wait_for(b"interrupted")
        if (status := second.wait()) != 9:
            raise sysrun.Failed(f"status {status}: {second.seen}")


sysrun.run_tests([
    ("appended output", appended),
    ("output at an offset", written_at_an_offset),
    ("another file each run", new_file_each_run),
    ("output into a pipe", pipe),
    ("one file for output and errors", same_file_for_both),
    ("a script that redirects itself", reopened_inside),
    ("input from a pipe", input_from_a_pipe),
    ("on a terminal", on_a_terminal),
])
