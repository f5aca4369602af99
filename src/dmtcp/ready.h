/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether DMTCP may be asked for a checkpoint now. It cannot be told to give one up,
 * and it ends a job that it cannot save: all that can be known is found out before.
 */
#ifndef DMTCP_READY_H
#define DMTCP_READY_H

#include "dmtcp/command.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct link;
struct links_count;
struct session;

struct ready {
    char root[64]; /* the id of the job's root process, see struct image */
    struct command_list workers; /* all processes; owned by the caller */
    uint64_t image_bytes;        /* what the images may take, at most */
};

/*
 * Waits, at most timeout_s, until the job runs. ERR_REFUSED: a process is not under
 * DMTCP or is stopped, and DMTCP would wait for it for ever; there is no room for the
 * images; the job may not write files as large. The job has not been touched.
 */
int ready_for_checkpoint(struct session *s, unsigned timeout_s, struct ready *ready,
                         struct err *e);

/* Counts the processes on another host of the job; the same ERR_REFUSED. */
int ready_count_part(struct link *link, struct links_count *count, struct err *e);

/* Waits, at most timeout_s, until every process of the job runs. */
int ready_wait_running(struct session *s, unsigned timeout_s, struct err *e);

/* ERR_REFUSED for processes_unwaited: -1. */
int ready_refuse_unwaited(pid_t pid, struct err *e);

/* "process 4711 (name) is not under DMTCP", or "". */
void ready_name_hindrance(const struct session *s, char *out, size_t size);

#endif
