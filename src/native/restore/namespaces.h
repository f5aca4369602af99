/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The namespaces of a restarted job: pid (every old pid is free), mount (old node-local
 * paths can be put back), ipc, time (monotonic time goes on), and user when this
 * program has no privileges of its own (user_namespaces(7), time_namespaces(7)).
 */
#ifndef NATIVE_RESTORE_NAMESPACES_H
#define NATIVE_RESTORE_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct namespaces {
    bool user; /* a user namespace is needed */
    uid_t uid;
    gid_t gid;
};

/* Finds out what this program may do. */
void namespaces_prepare(struct namespaces *ns);

/* Forks pid 1 of new namespaces. 0 in the child. The error says what forbids it. */
pid_t namespaces_clone(const struct namespaces *ns, struct err *e);

/* In pid 1, first of all: ids, mounts that do not spread, a /proc of its own. */
int namespaces_enter(const struct namespaces *ns, struct err *e);

/* In pid 1: its children live in a time namespace where the clocks show these values
 * now. Old kernels (before 5.6) have none: *supported is false then. */
int namespaces_set_clocks(uint64_t monotonic_ns, uint64_t boottime_ns, bool *supported,
                          struct err *e);

/* In pid 1: makes pids up to and including `pid` possible (Linux 6.14 has a limit for
 * each namespace), or says what to raise. */
int namespaces_allow_pid(pid_t pid, struct err *e);

#endif
