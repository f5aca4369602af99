/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job restarted from the images of a generation.
 *
 *     the job's other hosts are connected to, and whether all of them will do is asked
 *     every sum of every file is checked: DMTCP restores flipped bits as they are
 *     dmtcp_restart makes the processes and their memory
 *     (the door)  nothing has run yet: the caller may still give it up; the standard
 *                 files are cut back
 *     the processes open their files again and run
 */
#ifndef DMTCP_RESTART_H
#define DMTCP_RESTART_H

#include <stdbool.h>

struct err;
struct gate;
struct session;

struct restart_how {
    int dirfd;                                   /* of the generation */
    const char *tmpdir;                          /* this run's, or NULL */
    int (*may_commit)(void *arg, struct err *e); /* see struct engine_restart */
    void *arg;
    const struct gate *hosts; /* the same */
};

/* Whether the job has or had processes on several hosts, this run or another. */
int restart_is_across_hosts(int dirfd, bool *is, struct err *e);

/* s->root is the job's root process then; *gzip is whether its images are compressed.
 * On failure nothing of the job is left. */
int restart_job(struct session *s, const struct restart_how *how, bool *gzip,
                struct err *e);

#endif
