/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Restarting from the newest generation that is good, or the one before, and so on.
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

/*
 * Tries the generations, newest first, or config->generation alone. Each that cannot be
 * used is logged with the reason. What is damaged counts as not there; when a whole
 * generation cannot be restarted here, for want of a kernel feature or of memory, this
 * fails: a launch from the beginning would throw away what another host could continue.
 * When the gate is closed no generation is of any use, and its error is the result.
 * ERR_WRONG_HOST: this host lacks what the newest usable generation needs, be it that a
 * newer qckpt made it. None before that one is tried, even if it needs less: it would
 * repeat what another host need not.
 */
int ladder_restart(const struct job_config *config, struct events *events,
                   const struct ladder_gate *gate, struct ladder_result *result,
                   struct err *e);

#endif
