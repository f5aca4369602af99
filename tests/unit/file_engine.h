/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An engine for tests of the supervisor: its jobs are real processes that keep all they
 * know in the file "state" of their working directory, and a checkpoint is a copy of
 * that file. A restart puts the file back and executes the command again.
 */
#ifndef TESTS_UNIT_FILE_ENGINE_H
#define TESTS_UNIT_FILE_ENGINE_H

#include "base/err.h"
#include "engine/engine.h"

extern const struct engine file_engine;

/* What the engine does wrong, on demand; set before job_run, zero: nothing. */
struct file_engine_faults {
    bool refuse;             /* begin: ERR_REFUSED */
    unsigned momentary;      /* begin: so many times ERR_REFUSED, which may pass */
    unsigned momentary_ms;   /* such a try takes this long */
    bool finish_fails;       /* finish: ERR_SYS, ENOSPC */
    unsigned write_ms;       /* writing takes this long */
    const char *write_until; /* writing takes until this file is there */
    bool restart_corrupt;    /* restart: ERR_CORRUPT, for the newest state seen first */
    bool restart_wrong_host; /* restart: ERR_WRONG_HOST */
    bool restart_hopeless;   /* restart: ERR_FAILED */
    /* A restart of generation restart_fails_at fails with restart_error; 0: none does
     */
    uint64_t restart_fails_at;
    struct err restart_error;
    const char *restart_until; /* a restart commits when this file is there */
    int lost_status;           /* a job that exits so was lost by the engine */
};
extern struct file_engine_faults file_engine_faults;

#endif
