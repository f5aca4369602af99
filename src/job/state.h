/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The supervisor's own state, shared by the files that it consists of: supervisor.c
 * (the process and its loop), start.c (how a job begins) and finish.c (how it ends).
 */
#ifndef JOB_STATE_H
#define JOB_STATE_H

#include "job/contract.h"
#include "job/events.h"
#include "job/job.h"
#include "job/saving.h"
#include "job/supervisor.h"

#include <signal.h>
#include <sys/types.h>

struct control;

/* How often a run looks whether it has been superseded, and how long the next run waits
 * for that when it cannot ask: two copies must not write to the same files. */
enum { FENCE_CHECK_S = 10, FENCE_WAIT_S = 12 };

struct supervisor {
    const struct supervisor_args *args;
    const struct job_config *config;
    struct events events;
    struct control *control;
    struct contract contract;
    struct saving saving;
    const struct engine *engine;
    struct engine_job *job;     /* NULL before it is started and after it is over */
    const char *no_checkpoints; /* the job was launched so: why; else NULL */
    struct job_config unsaved;  /* `config` of a job that its engine could not start */
    char engine_failure[1200];
    unsigned interval_s; /* 0: none */
    pid_t sentinel;      /* -1: none any more */
    int signals;
    bool suspended;
    sigset_t held;     /* signals that came while the job stood at its image */
    bool fence_failed; /* the last check could not be made: logged once */
    uint64_t interval_at_us, fence_at_us;
    unsigned tries; /* that failed, one after the other, and may succeed soon */
    bool is_over;
    struct supervisor_report report;
};

/* ---- start.c ---- */

/* Takes the next epoch and makes whoever held the one before let go. */
int supervisor_take_epoch(struct supervisor *s, struct err *e);

/* Restarts or launches the job; or, when it is done already or cannot be executed, sets
 * is_over. */
int supervisor_start(struct supervisor *s, struct err *e);

/* ---- finish.c: each sets is_over ---- */

void supervisor_over(struct supervisor *s, enum job_outcome outcome, int wait_status);

/* Kills every process of the job. */
void supervisor_kill_job(struct supervisor *s);

/* A later run has taken over: this copy of the job must not go on. */
void supervisor_superseded(struct supervisor *s, const struct err *why);

/* The front is gone, killed by Grid Engine or by somebody else: then the job must not
 * go on unseen. */
void supervisor_front_died(struct supervisor *s);

/* The job's root process has ended. */
void supervisor_job_ended(struct supervisor *s, int wait_status);

/* The engine failed the job: what is left of it is killed. */
void supervisor_job_lost(struct supervisor *s);

#endif
