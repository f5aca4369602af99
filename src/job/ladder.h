/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Restarting from the newest generation; from an older one only when that is damaged,
 * or fails again and again.
 */
#ifndef JOB_LADDER_H
#define JOB_LADDER_H

#include "job/contract.h"
#include "job/events.h"
#include "job/job.h"

struct err;

/* Whether this run may still start the job, see struct engine_restart, and on which CPU
 * it would. */
struct ladder_gate {
    struct contract *contract;
    int (*may_commit)(void *arg, struct err *e);
    void *arg;
};

struct ladder_result {
    const struct engine *engine; /* the one that made the generation */
    struct engine_job *job;      /* NULL: there is nothing to restart from */
    uint64_t generation;
    char host[256]; /* where it was saved */
};

/* In so many runs a generation must have failed, for a reason that may lie in it,
 * before an older one is tried. */
enum { LADDER_RUNS = 5 };

/*
 * Tries the generations, newest first, or config->generation alone. Each that cannot be
 * used is logged with the reason, and job/failure.h says what that means:
 *
 *   damage       it counts as not there, and the one before is tried
 *   wrong host   ERR_WRONG_HOST, be it that a newer qckpt made it. None before it is
 *                tried, even if it needs less: it would repeat what another host need
 *                not
 *   the moment   this fails: later, or elsewhere, it may succeed
 *   anything     this fails, until it has done so in LADDER_RUNS runs (the store keeps
 *   else         count); from then on the one before is tried after it, in each run
 *
 * A launch from the beginning is none of these: it would throw away what another host
 * could continue. When the gate is closed no generation is of any use, and its error is
 * the result.
 */
int ladder_restart(const struct job_config *config, struct events *events,
                   const struct ladder_gate *gate, struct ladder_result *result,
                   struct err *e);

#endif
