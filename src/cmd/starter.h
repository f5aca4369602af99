/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The starter's own state, shared by the files that it consists of: hook_starter.c (the
 * decision and the supervised run), starter_past.c (what the job's directory says of
 * earlier runs) and starter_end.c (how a starter ends that does not become a
 * supervisor).
 */
#ifndef CMD_STARTER_H
#define CMD_STARTER_H

#include "cmd/hook_common.h"
#include "cmd/joblog.h"
#include "job/job.h"

#include <signal.h>

struct err;

struct starter {
    const char *name; /* as it was called: "qckpt-starter", "dmtcp_starter" */
    struct ge_job job;
    struct ge_spool *spool; /* NULL: not readable */
    struct settings *settings;
    unsigned retry_delay_s;
    struct ge_start start;
    struct ge_command command;
    struct store *store;
    sigset_t mask; /* of signals, as it was given to us */
    bool has_generation;
    uint64_t last_epoch; /* the run that made the newest generation */
    bool was_front;      /* job_run has been called */
    struct engine_choice choice;
    char hosts_refused[512]; /* why a job of several hosts cannot be saved */
};

/* ---- starter_past.c: the first four end the process where the job cannot go on ----
 */

/* Opens the job's directory; waits for it when there may be a checkpoint in it. */
void starter_open_store(struct starter *s);

/* Ends unless the job has ended, or has not, for certain. */
void starter_look_for_end(struct starter *s);

/* Sets has_generation and last_epoch. */
void starter_look_for_generations(struct starter *s);

/* Ends when the job's checkpoint must be in a directory of another host. */
void starter_look_for_missing_past(struct starter *s);

/* Whether the job has a checkpoint or has ended, as far as that can be seen before the
 * directory is opened. */
bool starter_has_past(const struct starter *s);

/* Looks again: this run may have made one. */
bool starter_has_generation_now(struct starter *s);

/* More runs since the last checkpoint than a person should wait to hear of. A run on a
 * wrong host is no failure, and waiting for the right one has no end. */
bool starter_has_failed_often(struct starter *s);

/* The runs on wrong hosts since the last checkpoint. */
void starter_read_wrong_hosts(struct starter *s, struct joblog_wrong_hosts *found);

/* ---- starter_end.c ---- */

/* On the job's stderr, and in its event log when there is one. */
void starter_tell(struct starter *s, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* On the job's stderr alone. */
void starter_tell_stderr(const struct starter *s, enum log_level level,
                         const char *text);

_Noreturn void starter_exit(int status);

/* Executes the job as Grid Engine would have. */
_Noreturn void starter_become_job(struct starter *s);

/* The same, saying why it will not be saved. */
_Noreturn void starter_run_unsupervised(struct starter *s, const struct err *why);

/* The job has, or may have, a checkpoint, and cannot go on here and now: Grid Engine
 * queues it again, at once or after the delay that it does not have itself. */
_Noreturn void starter_queue_again(struct starter *s, const struct err *why);
_Noreturn void starter_queue_again_later(struct starter *s, const struct err *why);

/* The job waits in the error state. */
_Noreturn void starter_ask_for_a_person(struct starter *s, const struct err *why);

#endif
