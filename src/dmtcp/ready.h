/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether DMTCP may be asked for a checkpoint now. It cannot be told to give one up,
 * and it ends a job that it cannot save: all that can be known is found out before.
 *
 * Nothing here touches the job.
 */
#ifndef DMTCP_READY_H
#define DMTCP_READY_H

#include "dmtcp/command.h"

#include <stdbool.h>
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

/* What is in the way, and since when. All zero: nobody has looked yet. */
struct ready_watch {
    uint64_t since_us;   /* of the first look */
    uint64_t suspect_us; /* when `suspect` was seen first */
    pid_t suspect;
};

/* Asks DMTCP whether every process of the job runs. ERR_REFUSED: none is under DMTCP,
 * or they do not for timeout_s since the watch's first look. */
int ready_runs(struct session *s, struct ready_watch *w, unsigned timeout_s, bool *runs,
               struct err *e);

/* Waits for it. */
int ready_wait_running(struct session *s, unsigned timeout_s, struct err *e);

/*
 * One look, without waiting: nothing is in the way of a checkpoint at this moment. A
 * program that is about to load its libraries, or a child that has just ended, is for
 * a moment; `*is_ready` is false then, look again. ERR_REFUSED: a process is not under
 * DMTCP, is stopped, or has not been waited for, and has been so for too long. A job
 * in which there is something new all the time is let pass after a while.
 */
int ready_look(struct session *s, struct ready_watch *w, bool *is_ready, struct err *e);

/* Finds out what a checkpoint will be. ERR_REFUSED: there is no room for the images;
 * the job may not write files as large; a process on another host is not under DMTCP.
 */
int ready_prepare(struct session *s, struct ready *ready, struct err *e);

/* Counts the processes on another host of the job; ERR_REFUSED as above. */
int ready_count_part(struct link *link, struct links_count *count, struct err *e);

/* ERR_REFUSED for processes.unwaited, momentary: -1. */
int ready_refuse_unwaited(pid_t pid, struct err *e);

/* "process 4711 (name) is not under DMTCP", or "". */
void ready_name_hindrance(const struct session *s, char *out, size_t size);

#endif
