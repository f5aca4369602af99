#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor dies, or its disk is full, in the middle of a checkpoint.

A death: no process of the job goes on, what was published before is whole, and the job
restarts from it. A failure: the job runs on, and the next checkpoint works.
"""
import os
import random
import re
import signal
import subprocess
import threading
import time

import sysrun

FAULT_SOURCES = ("engine", "image", "job", "native", "store")
# Passed while the job ends. The points of a restart are tried by restoring.py.
NOT_IN_A_CHECKPOINT = {"supervisor-done", "store.done"}
# Passed in the process that writes: the checkpoint fails, the supervisor lives.
IN_THE_WRITER = "writer-"
# There is another way to do the same.
HAS_A_FALLBACK = {"pagemap-scan"}
# Passed in every checkpoint.
MUST_FAIL = {"store.stage", "store.manifest", "store.before-rename", "store.after-rename",
             "writer-append"}
# Happens after the generation is durable.
PUBLISHED_ALL_THE_SAME = {"store.prune"}


def points(pattern):
    """The fault points in the source, so that a new one is tried without being told."""
    src = os.path.join(sysrun.HERE, "../../src")
    found = set()
    for module in FAULT_SOURCES:
        for root, _, names in os.walk(os.path.join(src, module)):
            for name in names:
                if name.endswith(".c"):
                    text = sysrun.read(os.path.join(root, name))
                    found.update(re.findall(pattern + r'\("([^"]+)"', text))
    restart = sysrun.read(os.path.join(sysrun.HERE, "restoring.py"))
    return sorted(p for p in found - NOT_IN_A_CHECKPOINT if f'"{p}"' not in restart)


def victim(name="work_counter"):
    return sysrun.victims()[name]


def fault(point):
    return {"QCKPT_TESTING": "1", "QCKPT_FAULT": point}


def verify(job, expect=0):
    status, out, err = job.tool("verify", "-d", job.ckpt)
    if status != expect:
        raise sysrun.Failed(f"verify: status {status}, expected {expect}: {out}{err}")


def dies_at(point):
    mem = victim("mem_private")
    want = sysrun.undisturbed(mem)
    with sysrun.Job(sysrun.base(), mem, "faults") as job:
        job.run()
        job.wait_ready()
        job.checkpoint("--stop")
        job.wait_stopped()
        epoch = job.epoch_number()
        job.restart(env=fault(point))
        job.wait_epoch_after(epoch)
        status, _, err = job.tool("checkpoint", "-d", job.ckpt)
        if status == 0 and job.process.poll() is None:
            raise sysrun.Skipped(f"{point} is not passed in this checkpoint")
        if status == 0 or not err.strip():
            raise sysrun.Failed(f"checkpoint: status {status}, stderr \"{err.strip()}\"")
        if point.startswith(IN_THE_WRITER):
            verify(job)
            job.go()
            job.finish(want)
            return
        status = job.wait(20)
        if status == 0:
            raise sysrun.Failed("run: status 0 although the supervisor died")
        if left := job.left_behind(5):
            raise sysrun.Failed(f"the supervisor died, but these live: {left}")
        verify(job)
        job.restart()
        job.go()
        job.finish(want)


def fails_at(point):
    mem = victim("mem_private")
    want = sysrun.undisturbed(mem)
    with sysrun.Job(sysrun.base(), mem, "faults") as job:
        job.run(env=fault(point + ":fail"))
        job.wait_ready()
        status, _, err = job.tool("checkpoint", "-d", job.ckpt)
        expect = 0 if point in PUBLISHED_ALL_THE_SAME | HAS_A_FALLBACK else 1
        if status == 0 and expect == 1 and point not in MUST_FAIL:
            raise sysrun.Skipped(f"{point} is not passed in this checkpoint")
        if status != expect:
            raise sysrun.Failed(f"checkpoint: status {status}, expected {expect}: {err}")
        status, _, _ = job.tool("checkpoint", "-d", job.ckpt, "--stop")
        if status == 0:
            job.wait_stopped()
            job.restart()
        job.go()
        job.finish(want)


def killed_at_random():
    """Ten times: the supervisor is killed somewhere in a checkpoint."""
    want = sysrun.undisturbed(victim("mem_private"))
    rng = random.Random(1)
    with sysrun.Job(sysrun.base(), victim("mem_private"), "faults") as job:
        job.run()
        job.wait_ready()
        job.checkpoint()
        for _ in range(10):
            request = threading.Thread(target=job.tool, args=("checkpoint", "-d", job.ckpt))
            request.start()
            time.sleep(rng.uniform(0, 0.06))
            epoch = job.epoch_number()
            job.power_cut(rng.choice(("front", "supervisor")))
            request.join()
            verify(job)
            job.restart()
            job.wait_epoch_after(epoch)
            job.checkpoint()
        job.go()
        job.finish(want)


class Tmpfs:
    """A small file system in a mount namespace of its own; `prefix` enters it."""

    def __init__(self, where, megabytes):
        self.where = where
        os.mkdir(where)
        flags = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        script = (f"mount -t tmpfs -o size={megabytes}m,mode=0700 qckpt-test '{where}' && "
                  "echo mounted && exec sleep 1000")
        self.holder = subprocess.Popen(["unshare", *flags, "--mount", "sh", "-c", script],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self.holder.stdout.readline() != b"mounted\n":
            self.close()
            raise sysrun.Skipped("no mount namespace can be made here")
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "--mount"]
        if flags:
            self.prefix += ["--user", "--preserve-credentials"]

    def shell(self, command):
        subprocess.run([*self.prefix, "sh", "-c", command], check=True)

    def close(self):
        self.holder.kill()
        self.holder.wait()


def disk_full():
    """ENOSPC for real: the checkpoint fails, the job runs on, the old one verifies."""
    mem = victim("mem_private")
    want = sysrun.undisturbed(mem)
    mount = os.path.join(sysrun.base(), "full")
    fs = Tmpfs(mount, 32)
    try:
        with sysrun.Job(sysrun.base(), mem, "faults", ckpt=mount + "/ckpt",
                        prefix=fs.prefix) as job:
            job.run()
            job.wait_ready()
            job.checkpoint(prefix=fs.prefix)
            fs.shell(f"dd if=/dev/zero of={mount}/fill bs=1M 2>/dev/null; "
                     f"truncate -s -1M {mount}/fill")
            _, err = job.checkpoint(expect=1, prefix=fs.prefix)
            if "No space left" not in err:
                raise sysrun.Failed(f"the message does not say why: {err}")
            status, out, err = job.tool("verify", "-d", job.ckpt, prefix=fs.prefix)
            if status != 0:
                raise sysrun.Failed(f"verify: status {status}: {out}{err}")
            fs.shell(f"ls -a {mount}/ckpt/gen | grep '^\\.0' && exit 1; rm {mount}/fill")
            job.checkpoint("--stop", prefix=fs.prefix)
            job.wait_stopped()
            job.restart()
            job.go()
            job.finish(want)
    finally:
        fs.close()


def cannot_be_stopped():
    """A deadline for the freeze: then all is undone, and the next checkpoint works."""
    slow = victim("slow_vfork")
    want = sysrun.undisturbed(slow)
    with sysrun.Job(sysrun.base(), slow, "faults") as job:
        job.run()
        job.wait_ready()
        start = time.monotonic()
        _, err = job.checkpoint(expect=1)
        took = time.monotonic() - start
        if took > 10 or "3 s" not in err:
            raise sysrun.Failed(f"after {took:.1f} s: {err}")
        job.go()
        job.finish(want)


def two_at_once():
    """Requests that meet are both answered, the job goes on."""
    mem = victim("mem_private")
    want = sysrun.undisturbed(mem)
    with sysrun.Job(sysrun.base(), mem, "faults") as job:
        job.run()
        job.wait_ready()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            job.tool("checkpoint", "-d", job.ckpt))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if bad := [a for a in answers if a[0] != 0]:
            raise sysrun.Failed(f"{len(bad)} of 4 requests failed: {bad[0]}")
        job.go()
        job.finish(want)


def by_itself():
    """--interval saves without being asked; --keep says how many stay."""
    mem = victim("mem_private")
    want = sysrun.undisturbed(mem)
    with sysrun.Job(sysrun.base(), mem, "faults") as job:
        job.run("--interval", "1", "--keep", "1")
        job.wait_ready()
        log = os.path.join(job.ckpt, "log.jsonl")
        sysrun.wait_until(10, "two checkpoints",
                          lambda: sysrun.read(log).count('"event":"checkpoint"') >= 2)
        job.go()
        job.finish(want)
        kept = [n for n in os.listdir(os.path.join(job.ckpt, "gen")) if n[0] != "."]
        if len(kept) != 1:
            raise sysrun.Failed(f"kept {kept}, expected one")


def signals_reach_the_job():
    """Before and after a restart SIGTERM to the front ends the job, and tells of it."""
    with sysrun.Job(sysrun.base(), victim("fd_pipe"), "faults") as job:
        job.run()
        job.wait_ready()
        epoch = job.epoch_number()
        job.checkpoint("--stop")
        job.wait_stopped()
        job.restart()
        job.wait_epoch_after(epoch)
        # Only a job that runs can be saved: wait for it by doing so.
        job.checkpoint()
        job.process.send_signal(signal.SIGTERM)
        if (status := job.wait()) != -signal.SIGTERM:
            raise sysrun.Failed(f"status {status}, expected the death by SIGTERM")


def tests():
    for point in points("fault_point") + points("[^_]fault"):
        yield f"death at {point}", lambda p=point: dies_at(p)
    for point in points("fault_fails") + points("[^_]fault"):
        yield f"failure at {point}", lambda p=point: fails_at(p)
    yield "killed anywhere in a checkpoint", killed_at_random
    yield "a full disk", disk_full
    yield "a process that cannot be stopped", cannot_be_stopped
    yield "several requests at once", two_at_once
    yield "checkpoints by itself", by_itself
    yield "a signal to the front", signals_reach_the_job


sysrun.run_tests(list(tests()))
