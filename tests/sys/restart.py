#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every victim that can be carried is stopped at a checkpoint and restarted once."""
import os
import shutil
import time

import sysrun


def take_host_away(job):
    """What the victim says is temporary is not there on another host."""
    link = os.path.join(job.work, "temporary")
    if os.path.islink(link):
        shutil.rmtree(os.path.dirname(os.readlink(link)))


def stop_and_restart(victim):
    want = sysrun.undisturbed(victim)
    with sysrun.Job(sysrun.base(), victim, "restart") as job:
        job.run()
        job.wait_ready()
        if victim.works:
            time.sleep(0.4)
        epoch = job.epoch_number()
        job.checkpoint("--stop")
        job.wait_stopped()
        if left := job.left_behind(5):
            raise sysrun.Failed(f"stopped, but these live: {left}")
        take_host_away(job)
        job.restart()
        job.wait_epoch_after(epoch)
        job.go()
        job.finish(want)


sysrun.run_tests([(name, lambda v=v: stop_and_restart(v))
                  for name, v in sysrun.victims().items() if v.carried])
