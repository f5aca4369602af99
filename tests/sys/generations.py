#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three times over: saved while it runs, then everything is killed, then restarted.

What the job did between its checkpoint and the kill is done again; nothing of it may be
seen twice.
"""
import random
import time

import sysrun

ROUNDS = 3


def kill_and_restart(victim):
    want = sysrun.undisturbed(victim)
    rng = random.Random(victim.name)
    with sysrun.Job(sysrun.base(), victim, "generations") as job:
        job.run()
        job.wait_ready()
        for i in range(ROUNDS):
            time.sleep(rng.uniform(0.02, 0.4) if victim.works else 0.05)
            job.checkpoint()
            epoch = job.epoch_number()
            time.sleep(rng.uniform(0.0, 0.3) if victim.works else 0.05)
            job.power_cut("front" if i % 2 else "supervisor")
            job.restart()
            job.wait_epoch_after(epoch)
            # A restarted job answers requests once it runs.
            wait_for_supervisor(job)
        job.go()
        job.finish(want)


def wait_for_supervisor(job):
    def answers():
        if job.process.poll() is not None:
            return True
        return job.tool("show", "-d", job.ckpt)[0] == 0

    sysrun.wait_until(30, "an answer of the supervisor", answers)


sysrun.run_tests([(name, lambda v=v: kill_and_restart(v))
                  for name, v in sysrun.victims().items() if v.carried])
