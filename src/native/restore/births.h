/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who forks whom, and when, so that a tree of processes gets the sessions it had.
 *
 * A process is in the session of its parent at its birth, or made its own. From what
 * the tree looks like in the end the plan finds a history that leads there:
 *
 *  - a process is forked by its parent, before or after that one makes its session;
 *  - one that was adopted (its parent had died) is forked by the leader of its session
 *    through a helper that ends, so that the same subreaper adopts it;
 *  - a session or group whose leader is gone gets a temporary leader that ends.
 */
#ifndef NATIVE_RESTORE_BIRTHS_H
#define NATIVE_RESTORE_BIRTHS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct image;

#define BIRTHS_TOP UINT32_MAX /* the replica of the supervisor */

struct birth {
    int32_t pid, sid, pgid;
    uint32_t process;   /* index into image.processes; IMAGE_NONE: temporary */
    uint32_t parent;    /* the node that forks this one, or BIRTHS_TOP */
    bool zombie;        /* ends before the job runs; its parent does not wait for it */
    bool early;         /* is forked before `parent` makes its session */
    int32_t helper_pid; /* is forked through a helper with this pid; else 0 */
};

struct births {
    struct birth *node; /* owned; [i] is image.processes[i], then temporary ones */
    uint32_t n;
    uint32_t n_alive; /* those that are neither temporary nor zombies */
};

/* ERR_FAILED names the process whose place in the tree cannot be made again. */
int births_plan(struct births *births, const struct image *img, struct err *e);
void births_free(struct births *births);

static inline bool birth_ends(const struct birth *n)
{
    return n->process == UINT32_MAX || n->zombie;
}

#endif
