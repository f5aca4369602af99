/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a job's event log tells about its runs.
 */
#ifndef CMD_JOBLOG_H
#define CMD_JOBLOG_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct json_t;
struct store;

/* The events of the end of the log (256 KiB), oldest first, as an array; empty when
 * there is no log. A line that a full disk cut short is left out. NULL: no memory. The
 * caller owns it. */
struct json_t *joblog_read(struct store *store);

/* Runs on hosts whose CPUs lack what the job needs. */
struct joblog_wrong_hosts {
    unsigned in_a_row; /* since the job last ran */
    uint64_t runs;     /* of those with an epoch above `after`, also before this part of
                          the log when the starter has noted them */
    /* The last thing is that the job waits for another host: why, and what comes. */
    bool is_waiting;
    char since[STR_TIME_SIZE]; /* the first of those in a row */
    char why[1024], next[512];
};

void joblog_wrong_hosts(const struct json_t *events, uint64_t after,
                        struct joblog_wrong_hosts *found);

#endif
