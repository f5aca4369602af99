/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known about a job from its directory and, when it runs here, from its
 * supervisor.
 */
#ifndef CMD_STATE_H
#define CMD_STATE_H

#include "base/err.h"
#include "cmd/joblog.h"
#include "store/store.h"

struct job_view {
    /* "running" "checkpointing" "suspended": its supervisor says so. "ended": by
     * itself, with `status`. "elsewhere": it was started on another host and nothing
     * says that it ended. "waiting": its starter waits, or waited and ended, for a host
     * that has what its checkpoint needs, see wrong_hosts. "stopped": nothing runs, and
     * there is a checkpoint. "lost": nothing runs, and there is none. "unsupervised":
     * it was started without supervision, and its end is not known. "new": nothing was
     * ever started. */
    const char *state;
    int status;
    bool has_epoch;
    struct store_epoch epoch;
    struct store_generation *generations; /* owned */
    size_t count;
    struct json_t *record;      /* job.json; owned; NULL: none, or see no_record */
    struct err no_record;       /* why it cannot be read; else of kind ERR_NONE */
    const char *no_checkpoints; /* why the job has none and gets none; NULL: it may */
    const char
        *unsupervised; /* the reason, a sentence; NULL: it is not, or is not known */
    struct joblog_wrong_hosts wrong_hosts;
    struct json_t *events; /* the last ones, oldest first, an array; owned */
};

int job_view_read(struct store *store, size_t max_events, struct job_view *view,
                  struct err *e);
void job_view_release(struct job_view *view);

#endif
