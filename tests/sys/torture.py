#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Working victims are saved as often as can be while they run; they do not notice."""
import json
import os
import tempfile
import time

import sysrun

# A published generation is synced to its medium; that is not what is tried here.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
LEAST, RUNS_MAX = 3, 10


def save_one_run(victim, want, wanted):
    """The pauses in ms of as many checkpoints as the time allows, at least `wanted`; of
    fewer when the victim has ended by then."""
    pauses = []
    with tempfile.TemporaryDirectory(prefix="qckpt-sys-", dir=FAST) as fast:
        ckpt = os.path.join(fast, "ckpt")
        with sysrun.Job(sysrun.base(), victim, "torture", ckpt=ckpt) as job:
            job.run()
            job.wait_ready()
            end = time.monotonic() + 2.5
            while job.process.poll() is None and (
                    time.monotonic() < end or len(pauses) < wanted):
                out = job.try_checkpoint("--json")
                if out is None:
                    break
                pauses.append(json.loads(out).get("pause_us", 0) / 1000)
            job.go()
            job.finish(want)
    return pauses


def save_all_the_time(victim):
    want = sysrun.undisturbed(victim)
    pauses, runs = [], 0
    # On a slow machine one run may be over too soon.
    while len(pauses) < LEAST and runs < RUNS_MAX:
        pauses += save_one_run(victim, want, LEAST - len(pauses))
        runs += 1
    if len(pauses) < LEAST:
        raise sysrun.Failed(f"only {len(pauses)} checkpoints in {runs} runs, expected at "
                            f"least {LEAST}")
    return f"{len(pauses)} checkpoints, longest pause {max(pauses):.0f} ms"


sysrun.run_tests([(name, lambda v=v: save_all_the_time(v))
                  for name, v in sysrun.victims().items()
                  if v.works or v.name.startswith(("block_", "sig_chld_pending"))])
