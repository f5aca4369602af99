/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One checkpoint at a time: the engine saves into a stage of the store, the store
 * publishes it, and those who asked get an answer.
 */
#ifndef JOB_SAVING_H
#define JOB_SAVING_H

#include "job/control.h"
#include "job/events.h"
#include "job/job.h"

#include <stdbool.h>
#include <stdint.h>

struct store_stage;

/* The first seven are the owner's, set once, not owned. */
struct saving {
    const struct job_config *config;
    struct events *events;
    struct control *control;
    const struct engine *engine;
    struct engine_job *job;
    const char *no_checkpoints; /* why every checkpoint is refused; NULL: it is not */
    const char *cpu;            /* the CPU contract of each generation */
    const char *cpu_all;        /* ... and that of all its hosts; "" for one host */

    bool is_active; /* between begin and its end */
    bool stop;
    struct store_stage *stage;
    bool is_asked; /* somebody waits for it; else the timer wanted it */
    uint64_t since_us, told_us;
    bool may_pass;          /* the last one failed, but another try may succeed soon */
    char last_failure[256]; /* of the timer's: the same is not logged again */
};

/* What the caller has to know; the rest has been logged and answered. */
enum saving_news {
    SAVING_GOES_ON,
    SAVING_IDLE,    /* published, or failed: the job runs */
    SAVING_STOPPED, /* published, and the job was killed at its image */
    SAVING_FENCED,  /* a later run has taken over: the job has to be killed */
};

/* Begins a checkpoint for everybody who is queued, or for nobody (the timer). Freezes
 * the job and lets it run again before it returns. */
enum saving_news saving_begin(struct saving *s, bool stop);

/* To be called when saving_fd is readable. */
enum saving_news saving_step(struct saving *s);
int saving_fd(struct saving *s);

/* Waits until the files are written, and publishes. */
enum saving_news saving_complete(struct saving *s);

/* Forgets the checkpoint, because the job is over; its processes must be gone. */
void saving_abandon(struct saving *s, const struct err *why);

#endif
