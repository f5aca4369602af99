#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three times over: saved while it runs, then everything is killed, then restarted.

What the job did between its checkpoint and the kill is done again; nothing of it may be
seen twice.
"""
import os
import random
import time

import sysrun

ROUNDS = 3


def kill_and_restart(victim):
    want = sysrun.undisturbed(victim)
    rng = random.Random(victim.name + os.environ.get("SEED", ""))
    with sysrun.Job(sysrun.base(), victim, "generations") as job:
        job.run()
        job.wait_ready()
        done = 0
        while done < ROUNDS and one_round(job, rng, done):
            done += 1
        job.go()
        job.finish(want)
    if done == 0:
        raise sysrun.TooLate("it ended before it could be killed")
    return f"{done} restarts"


def one_round(job, rng, number):
    """False when a working victim has ended meanwhile, on a slow machine."""
    works = job.victim.works
    time.sleep(rng.uniform(0.02, 0.4) if works else 0.05)
    if job.try_checkpoint() is None:
        return False
    epoch = job.epoch_number()
    time.sleep(rng.uniform(0.0, 0.3) if works else 0.05)
    if job.process.poll() is not None:
        return False
    job.power_cut("front" if number % 2 else "supervisor")
    job.restart()
    return job.wait_epoch_after(epoch)


sysrun.run_tests([(name, lambda v=v: kill_and_restart(v))
                  for name, v in sysrun.victims().items() if v.carried])
