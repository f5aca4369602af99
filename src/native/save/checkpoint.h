/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Saving a job: freeze, look, copy, thaw, write. One checkpoint at a time.
 */
#ifndef NATIVE_SAVE_CHECKPOINT_H
#define NATIVE_SAVE_CHECKPOINT_H

#include "native/memory/writer.h"
#include "native/native.h"
#include "native/save/freeze.h"
#include "native/save/interrupted.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

/* What outlives single checkpoints of one job. Zeroed at first. */
struct checkpoint_memory {
    struct interrupted interrupted;
    struct freeze_late late;
    pid_t *ignored; /* children of the supervisor that are not the job's; owned */
    uint32_t n_ignored;
    /* The root ended while it was frozen, and its status was collected here. */
    bool root_ended;
    int root_status;
};

void checkpoint_memory_free(struct checkpoint_memory *m);

struct checkpoint_request {
    int dirfd;
    bool stop;
    unsigned freeze_timeout_s;
    enum writer_compress compress;
    bool carry_tmpdir;
    const char *tmpdir, *job_script;
};

struct checkpoint_stats {
    uint32_t processes, threads;
    uint64_t pause_us;
    struct writer_stats memory;
};

struct checkpoint;

/* Returns when the job goes on (or, with stop, stands still) and writing has begun. On
 * failure the job runs on as before. */
struct checkpoint *checkpoint_begin(const struct native_root *root,
                                    struct checkpoint_memory *memory,
                                    const struct checkpoint_request *r, struct err *e);

/* The writer, see writer.h. */
struct writer *checkpoint_writer(const struct checkpoint *c);

/* Waits for the files to be complete, and drops the copies of the processes. */
int checkpoint_finish(struct checkpoint *c, struct checkpoint_stats *stats,
                      struct err *e);

/* Whether the job stands still at the image, until checkpoint_end. */
bool checkpoint_is_stopped(const struct checkpoint *c);

/* Ends the checkpoint and frees it: a job that stands still goes on, or is killed at
 * its image. Abandons the writer if it still runs. NULL is allowed. */
void checkpoint_end(struct checkpoint *c, bool kill_job);

#endif
