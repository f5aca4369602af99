#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be saved is refused by name, and the job runs on untouched.

A victim of may_* may also be carried; then it is stopped and restarted like any other.
"""
import os
import re

import sysrun


def refuse(victim):
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "refused") as job:
        job.run()
        job.wait_ready()
        _, pid, pattern = sysrun.read(job.ready_file).strip().split(" ", 2)
        epoch = job.epoch_number()
        status, _, err = job.tool("checkpoint", "-d", job.ckpt, "--stop")
        note = "refused"
        if status == 0 and victim.may:
            job.wait_stopped()
            job.restart()
            job.wait_epoch_after(epoch)
            note = "carried"
        else:
            check_message(status, err, pid, pattern)
            check_nothing_published(job)
        job.go()
        job.finish(want)
    return note


def refuse_after_restart():
    """A restarted job lives in namespaces of its own; what it does there is seen too."""
    victim = sysrun.victims()["late_refused"]
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "refused") as job:
        job.run()
        job.wait_ready()
        epoch = job.epoch_number()
        job.checkpoint("--stop")
        job.wait_stopped()
        os.unlink(job.ready_file)
        job.restart()
        job.wait_epoch_after(epoch)
        open(os.path.join(job.work, "late"), "w", encoding="utf-8").close()
        job.wait_ready()
        _, pid, pattern = sysrun.read(job.ready_file).strip().split(" ", 2)
        status, _, err = job.tool("checkpoint", "-d", job.ckpt)
        check_message(status, err, pid, pattern)
        status, out, err = job.tool("verify", "-d", job.ckpt)
        if status != 0:
            raise sysrun.Failed(f"verify: status {status}: {out}{err}")
        job.go()
        job.finish(want)


def refuse_until_it_passes():
    """What may be over in a moment is tried again long before the interval is over."""
    victim = sysrun.victims()["late_passes"]
    with sysrun.Job(sysrun.base(), victim, "refused") as job:
        job.run("--interval", "1h")
        job.wait_ready()
        os.unlink(job.ready_file)
        open(os.path.join(job.work, "send"), "w", encoding="utf-8").close()
        job.wait_ready()
        _, pid, pattern = sysrun.read(job.ready_file).strip().split(" ", 2)
        status, _, err = job.tool("checkpoint", "-d", job.ckpt)
        check_message(status, err, pid, pattern)
        check_nothing_published(job)
        open(os.path.join(job.work, "take"), "w", encoding="utf-8").close()
        sysrun.wait_until(20, "a checkpoint of the timer",
                          lambda: job.tool("verify", "-d", job.ckpt)[0] == 0)
        job.go()
        job.finish()


def check_message(status, err, pid, pattern):
    if status != sysrun.REFUSED:
        raise sysrun.Failed(f"status {status}, expected {sysrun.REFUSED}: {err.strip()}")
    if not re.search(rf"\b{pid}\b", err):
        raise sysrun.Failed(f"the message does not name process {pid}: {err.strip()}")
    if not re.search(pattern, err):
        raise sysrun.Failed(f"the message does not say {pattern}: {err.strip()}")


def check_nothing_published(job):
    status, _, err = job.tool("verify", "-d", job.ckpt)
    if status != sysrun.NOTHING:
        raise sysrun.Failed(f"verify after a refusal: status {status}: {err.strip()}")


sysrun.run_tests([(name, lambda v=v: refuse(v))
                  for name, v in sysrun.victims().items() if v.refused or v.may] +
                 [("refused after a restart", refuse_after_restart),
                  ("refused until it passes", refuse_until_it_passes)])
