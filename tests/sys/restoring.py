#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts that fail, die, or have to do without what newer kernels offer.

Until the last step a failed restart has changed nothing: no process is left, no file is
cut, and the next restart works.
"""
import os
import re
import shutil
import time

import sysrun

STEPS = ("native.restore-stubs", "native.restore-memory", "native.restore-commit")
WITHOUT = {
    "native.set-tid": ("work_threads", "work_forkstorm", "proc_tree", "work_shell"),
    "native.vdso": ("work_time", "work_threads", "work_python", "block_sleep"),
}


def fault(point):
    return {"QCKPT_TESTING": "1", "QCKPT_FAULT": point}


def stopped(job):
    job.run()
    job.wait_ready()
    if job.victim.works:
        time.sleep(0.3)
    job.checkpoint("--stop")
    job.wait_stopped()


def expect_failure(job, point, says):
    """A restart that goes wrong at that point; what the victim wrote stays."""
    before = sysrun.read(job.out)
    with open(job.out, "ab") as out:
        out.write(b"written after the checkpoint\n")
    job.restart(env=fault(point))
    status = job.wait(30)
    if status == 0:
        raise sysrun.Failed("restart: status 0 although it had to fail")
    if says not in sysrun.read(job.err):
        raise sysrun.Failed(f"the message does not say \"{says}\"")
    if left := job.left_behind(5):
        raise sysrun.Failed(f"the restart failed, but these live: {left}")
    if sysrun.read(job.out) != before + "written after the checkpoint\n":
        raise sysrun.Failed("a failed restart has cut the output")


def goes_wrong(point, says):
    want = sysrun.undisturbed(sysrun.victims()["work_shell"])
    with sysrun.Job(sysrun.base(), sysrun.victims()["work_shell"], "restoring") as job:
        stopped(job)
        expect_failure(job, point, says)
        job.restart()
        job.finish(want)


def does_without(point, name):
    """Three generations with the older way of doing it."""
    victim = sysrun.victims()[name]
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "restoring") as job:
        stopped(job)
        for _ in range(2):
            epoch = job.epoch_number()
            job.restart(env=fault(point + ":fail"))
            job.wait_epoch_after(epoch)
            if job.tool("checkpoint", "-d", job.ckpt, "--stop")[0] != 0:
                break  # it has ended
            job.wait_stopped()
        else:
            job.restart(env=fault(point + ":fail"))
        job.go()
        job.finish(want)


def copied(name):
    """A victim that may be deleted or changed: (victim, its bytes, its output)."""
    source = sysrun.victims()["work_counter"]
    copy = os.path.join(sysrun.base(), name)
    shutil.copy(source.path, copy)
    with open(copy, "rb") as f:
        program = f.read()
    return sysrun.Victim(name, copy), program, sysrun.undisturbed(source)


def deleted_program():
    """A program that is rebuilt while it runs is in the image."""
    victim, _, want = copied("work_deleted")
    with sysrun.Job(sysrun.base(), victim, "restoring") as job:
        job.run()
        job.wait_ready()
        os.unlink(victim.path)
        for again in range(2):
            job.checkpoint("--stop")
            job.wait_stopped()
            if again:
                shutil.copy("/bin/true", victim.path)
            epoch = job.epoch_number()
            job.restart()
            job.wait_epoch_after(epoch)
        job.finish(want)


def changed_program():
    """A program that was rebuilt since is named, and nothing is run."""
    victim, program, want = copied("work_copy")
    copy = victim.path
    with sysrun.Job(sysrun.base(), victim, "restoring") as job:
        stopped(job)
        note = program.index(b"GNU\0", program.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0"))
        other = bytearray(program)
        other[note + 4] ^= 1
        os.unlink(copy)
        with open(copy, "wb") as f:
            f.write(other)
        os.chmod(copy, 0o755)
        job.restart()
        if job.wait(30) == 0 or not re.search("work_copy.*build id", sysrun.read(job.err)):
            raise sysrun.Failed("the changed program was not named")
        if left := job.left_behind(5):
            raise sysrun.Failed(f"the restart failed, but these live: {left}")
        with open(copy, "wb") as f:
            f.write(program)
        job.restart()
        job.finish(want)


def killed_process():
    """A process that is killed while it is restored, as for want of memory, costs no work:
    no number of such runs makes an older generation be taken."""
    victim = sysrun.victims()["mem_fork"]
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "restoring") as job:
        job.run()
        job.wait_ready()
        job.checkpoint()
        job.checkpoint("--stop")
        job.wait_stopped()
        for _ in range(7):
            job.restart(env=fault("native.restore-process" + ":fail"))
            if job.wait(30) == 0:
                raise sysrun.Failed("restart: status 0 although it had to fail")
            if left := job.left_behind(5):
                raise sysrun.Failed(f"the restart failed, but these live: {left}")
        log = sysrun.read(os.path.join(job.ckpt, "log.jsonl"))
        failed = re.findall('"restart-failed","generation":(\\d+).*?"text":"([^"]*)', log)
        if [n for n, _ in failed] != ["2"] * 7:
            raise sysrun.Failed(f"generations that failed: {failed}")
        says = "one of the new processes was killed: .*no reason to take an older"
        if bad := [text for _, text in failed if not re.search(says, text)]:
            raise sysrun.Failed(f"counted: {bad[0]}")
        job.restart()
        job.go()
        job.finish(want)


def clocks_stand_still():
    """What counts from the boot does not count while the job is stopped: also from a
    generation of a restarted job."""
    victim = sysrun.victims()["timer_away"]
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "restoring") as job:
        job.run(env={"VICTIM_AWAY_MS": "2000"})
        job.wait_ready()
        for _ in range(2):
            epoch = job.epoch_number()
            job.checkpoint("--stop")
            job.wait_stopped()
            time.sleep(1)
            job.restart()
            job.wait_epoch_after(epoch)
        job.go()
        job.finish(want)


def tests():
    for step in STEPS:
        yield f"fails at {step}", lambda s=step: goes_wrong(s + ":fail", "fails for a test")
        yield f"dies at {step}", lambda s=step: goes_wrong(s, "")
    for point, names in WITHOUT.items():
        for name in names:
            yield f"without {point}: {name}", lambda p=point, n=name: does_without(p, n)
    yield "a process that is killed meanwhile", killed_process
    yield "clocks stand still while the job is stopped", clocks_stand_still
    yield "a changed program", changed_program
    yield "a deleted program", deleted_program


sysrun.run_tests(list(tests()))
