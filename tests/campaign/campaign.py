#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves and restarts programs as people run them, and compares what they leave behind.

    tests/campaign/campaign.py [-u USER] [-m MODES] [-j N] [-n ROUNDS] [-k] [NAME...]

Each file of tests/campaign/programs is a script that ends in a few seconds and always leaves
the same output, files and exit status. It runs undisturbed first, then once in each mode:

    kill       checkpoints at random moments, then SIGKILL for everything and a restart from
               the newest; three times
    stop       qckpt checkpoint --stop, then qckpt restart; four times
    often      ten checkpoints a second, for as long as it runs

A program that is not installed is skipped. Not a part of `make check`: it takes minutes and
wants many packages. Run as root with -u, it runs the programs as that user; NAME may be a
pattern. The exit status is 1 when anything differed.
"""
import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(HERE, "programs")
QCKPT = os.environ.get("QCKPT", os.path.join(HERE, "../../build/src/cmd/qckpt"))
MODES = ("kill", "stop", "often")
STOPPED, REFUSED = 75, 3


class Failed(Exception):
    pass


class Program:
    """A script and what its header says.

    # needs: COMMAND...    without them it is skipped
    # ignores: PATTERN...  files that are not compared
    # modes: MODE...       only these: kill is not for what misses a file that it removed
                           between checkpoint and kill, or trips over one that it made
    # prepares             is first called with the argument "prepare", undisturbed
    """

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path).rpartition(".")[0]
        with open(path) as f:
            text = f.read()
        self.needs = self.words(text, "needs")
        self.ignores = self.words(text, "ignores")
        self.modes = self.words(text, "modes") or MODES
        self.prepares = "\n# prepares\n" in text

    @staticmethod
    def words(text, key):
        found = re.search(rf"^# {key}: (.*)$", text, re.M)
        return found.group(1).split() if found else []

    def missing(self):
        return [c for c in self.needs if not shutil.which(c)]


class Run:
    """One program in a directory of its own."""

    def __init__(self, base, program, mode, user):
        self.program = program
        self.dir = tempfile.mkdtemp(prefix=f"{program.name}-{mode}-", dir=base)
        self.work, self.ckpt = self.path("work"), self.path("ckpt")
        self.out, self.err = self.path("out"), self.path("err")
        self.script = self.path("script")
        os.mkdir(self.work)
        shutil.copy(program.path, self.script)
        os.chmod(self.script, 0o755)
        self.user = pwd.getpwnam(user) if user else None
        if self.user:
            for path in (self.dir, self.work, self.script):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.qckpt = os.path.join(base, "qckpt")
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.work, "LC_ALL": "C",
                    "TMPDIR": self.work, "CAMPAIGN_DIR": self.dir}
        self.process = None
        self.pauses = []
        self.refusals = 0
        if program.prepares:
            self.start(self.script, "prepare")
            self.wait(300)

    def path(self, name):
        return os.path.join(self.dir, name)

    def identity(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid,
                "extra_groups": [self.user.pw_gid]}

    def start(self, *argv):
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.work,
                env=self.env, start_new_session=True, **self.identity())

    def start_bare(self):
        self.start(self.script)

    def start_qckpt(self):
        self.start(self.qckpt, "run", "-d", self.ckpt, "--", self.script)

    def epoch(self):
        with open(os.path.join(self.ckpt, "epoch")) as f:
            return json.load(f)["epoch"]

    def restart(self):
        before = self.epoch()
        self.start(self.qckpt, "restart", "-d", self.ckpt)
        end = time.monotonic() + 90
        while self.process.poll() is None and self.epoch() == before:
            if time.monotonic() > end:
                raise Failed("the restart does not begin")
            time.sleep(0.005)

    def checkpoint(self, *options):
        """True when there is a new generation; False when the program has ended."""
        done = subprocess.run([self.qckpt, "checkpoint", "-d", self.ckpt, "--json", *options],
                              env=self.env, capture_output=True, text=True, timeout=60,
                              **self.identity())
        if done.returncode == 0:
            self.pauses.append(json.loads(done.stdout).get("pause_us", 0))
            return True
        time.sleep(0.3)
        if self.process.poll() is not None or "has ended" in done.stderr:
            return False
        # Some last only a moment: sudo runs, a descriptor travels.
        if done.returncode == REFUSED and self.refusals < 20:
            self.refusals += 1
            return self.checkpoint(*options)
        raise Failed(f"checkpoint: {done.returncode}: {done.stderr.strip()}")

    def processes(self):
        mark = f"CAMPAIGN_DIR={self.dir}\0".encode()
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/environ", "rb") as f:
                    if mark in f.read() + b"\0":
                        found.append(int(entry))
            except OSError:
                pass
        return found

    def kill(self):
        for _ in range(50):
            pids = self.processes()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.process:
                self.process.poll()
            time.sleep(0.02)
        if self.process:
            self.process.wait()

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            state = subprocess.run(["ps", "-o", "pid,ppid,stat,wchan:20,args", "-p",
                                    ",".join(map(str, self.processes())) or "1"],
                                   capture_output=True, text=True).stdout
            with open(self.path("hung"), "w") as f:
                f.write(state)
            raise Failed(f"hangs:\n{state}") from None

    def files(self):
        for parent, _, names in os.walk(self.work):
            for name in names:
                path = os.path.join(parent, name)
                short = os.path.relpath(path, self.work)
                if not any(fnmatch.fnmatch(short, p) for p in self.program.ignores):
                    yield short, path

    def result(self):
        """Exit status, and a digest for the output and each file."""
        result = {"status": self.process.returncode}
        for name, path in [("stdout", self.out), *sorted(self.files())]:
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    data = f.read()
                result[name] = f"{len(data)} bytes {hashlib.md5(data).hexdigest()}"
        return result


def kill_mode(run, seconds):
    run.start_qckpt()
    for _ in range(3):
        time.sleep(random.uniform(0.05, 0.30) * seconds)
        more = random.randint(1, 3)
        for k in range(more):
            if not run.checkpoint():
                return
            if k + 1 < more:
                time.sleep(random.uniform(0, 0.1) * seconds)
        time.sleep(random.uniform(0, 0.03) * seconds)
        if run.process.poll() is not None:
            return
        run.kill()
        run.restart()


def stop_mode(run, seconds):
    run.start_qckpt()
    for _ in range(4):
        time.sleep(random.uniform(0.05, 0.25) * seconds)
        if not run.checkpoint("--stop"):
            return
        if run.wait(30) != STOPPED:
            raise Failed(f"stopped with {run.process.returncode}")
        run.restart()


def often_mode(run, seconds):
    run.start_qckpt()
    end = time.monotonic() + 20 * seconds + 60
    time.sleep(0.1)
    while run.process.poll() is None and time.monotonic() < end:
        if not run.checkpoint():
            return
        time.sleep(0.1)


RUN_MODE = {"kill": kill_mode, "stop": stop_mode, "often": often_mode}


def differences(expected, seen):
    return [f"{k}: {seen.get(k)} instead of {expected.get(k)}"
            for k in sorted(set(expected) | set(seen), key=str)
            if expected.get(k) != seen.get(k)]


def one_mode(base, program, mode, user, expected, seconds, keep):
    run = Run(base, program, mode, user)
    text, bad = "same", False
    try:
        RUN_MODE[mode](run, seconds)
        run.wait(20 * seconds + 60)
        wrong = differences(expected, run.result())
        if wrong:
            raise Failed("; ".join(wrong))
    except (Failed, subprocess.TimeoutExpired) as e:
        text, bad = str(e), True
    finally:
        run.kill()
    if run.refusals:
        text += f" ({run.refusals} refusals)"
    if run.pauses:
        run.pauses.sort()
        text += (f" ({len(run.pauses)} checkpoints, pause median"
                 f" {run.pauses[len(run.pauses) // 2] / 1000:.1f} ms,"
                 f" longest {run.pauses[-1] / 1000:.1f} ms)")
    if bad:
        text += f"\n    see {run.dir}"
    elif not keep:
        shutil.rmtree(run.dir, ignore_errors=True)
    return text, bad


def one_program(base, program, args):
    lines, bad = [], 0
    bare = Run(base, program, "bare", args.user)
    bare.start_bare()
    begun = time.monotonic()
    try:
        bare.wait(300)
    except Failed as e:
        bare.kill()
        return f"{program.name:16} bare   FAILED {e}", 1
    seconds = time.monotonic() - begun
    expected = bare.result()
    lines.append(f"{program.name:16} bare   {seconds:.1f} s, status {expected['status']}, "
                 f"{expected['stdout']}")
    for _ in range(args.rounds):
        for mode in filter(program.modes.__contains__, args.modes.split(",")):
            text, failed = one_mode(base, program, mode, args.user, expected, seconds,
                                    args.keep)
            bad += failed
            lines.append(f"{program.name:16} {mode:6} {'FAILED ' if failed else ''}{text}")
    if not bad and not args.keep:
        bare.kill()
        shutil.rmtree(bare.dir, ignore_errors=True)
    return "\n".join(lines), bad


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("-u", "--user")
    p.add_argument("-m", "--modes", default=",".join(MODES))
    p.add_argument("-j", "--jobs", type=int, default=2)
    p.add_argument("-n", "--rounds", type=int, default=1)
    p.add_argument("-k", "--keep", action="store_true")
    p.add_argument("names", nargs="*", default=["*"])
    args = p.parse_args()
    programs = [Program(os.path.join(PROGRAMS, f)) for f in sorted(os.listdir(PROGRAMS))]
    programs = [q for q in programs if any(fnmatch.fnmatch(q.name, n) for n in args.names)]
    base = tempfile.mkdtemp(prefix="campaign-")
    os.chmod(base, 0o755)
    # Where the programs run, the built one may be out of reach for the user.
    shutil.copy(QCKPT, os.path.join(base, "qckpt"))
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        waiting = []
        for q in programs:
            if q.missing():
                print(f"{q.name:16} skipped: {' '.join(q.missing())} is not installed")
                continue
            waiting.append(pool.submit(one_program, base, q, args))
        for done in concurrent.futures.as_completed(waiting):
            text, failed = done.result()
            print(text, flush=True)
            bad += failed
    print(f"{bad} differed or failed; programs ran below {base}")
    if not bad and not args.keep:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
