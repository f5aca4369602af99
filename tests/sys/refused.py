#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be saved is refused by name, and the job runs on untouched.

A victim of may_* may also be carried; then it is stopped and restarted like any other.
"""
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
                  for name, v in sysrun.victims().items() if v.refused or v.may])
