/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the supervisor notices SIGSTOP and SIGCONT of the front's process group.
 *
 * Grid Engine and shells suspend a job by stopping its process group. SIGSTOP cannot be
 * caught, and the supervisor and the job live in other sessions: so a process that does
 * nothing stays in the front's group, and its parent, the supervisor, sees it stop and
 * continue (waitid(2), WSTOPPED and WCONTINUED).
 */
#ifndef JOB_SENTINEL_H
#define JOB_SENTINEL_H

#include <sys/types.h>

struct err;

/* To be called by the supervisor while it is still in the front's session. The sentinel
 * dies with its parent. Returns its pid, or -1. */
pid_t sentinel_start(struct err *e);

enum sentinel_news {
    SENTINEL_NONE,
    SENTINEL_STOPPED,
    SENTINEL_CONTINUED,
    SENTINEL_GONE, /* nothing will be seen any more */
};

/* To be called on SIGCHLD until it returns SENTINEL_NONE or SENTINEL_GONE. */
enum sentinel_news sentinel_look(pid_t sentinel);

/* Ends it. */
void sentinel_end(pid_t sentinel);

#endif
