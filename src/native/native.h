/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The built-in engine: saves and restarts a tree of processes on one host without root,
 * preload or daemon. engine/engine_native.c puts it behind struct engine.
 *
 * The first run is bare: the job's processes are ordinary descendants of the caller. A
 * restart puts them into fresh user, pid, mount, ipc and time namespaces, where every
 * old pid is free.
 */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include <stdint.h>
#include <sys/types.h>

struct err;
struct start_how;

/* What both ways of starting leave behind; the checkpoint side works on it. Pids are as
 * the caller sees them. */
struct native_root {
    pid_t parent;  /* whose children the job is: the caller itself, or the replica */
    pid_t init;    /* restart: pid 1 of the namespaces; else 0 */
    pid_t root;    /* the job's root process */
    int status_fd; /* restart: the root's wait status arrives here; else -1 */
    int32_t inner_parent_pid; /* `parent` as the job sees it */
    int stdio[3];             /* the caller's own copies of what the run was given */
    char *tmpdir;             /* owned; NULL when unknown */
};

/* Fills stdio (new copies) and tmpdir of `root`; forget closes and frees what a root
 * owns, status_fd too. */
int native_root_remember(struct native_root *root, const int stdio[3],
                         const char *tmpdir, struct err *e);
void native_root_forget(struct native_root *root);

/* launch.c: forks and execs; 0 and *root filled, or -1: the program could not be
 * started (e->sys is errno of execve). */
int native_start(const struct start_how *how, struct native_root *root, struct err *e);

struct native_restart {
    int stdio[3];
    const char *tmpdir, *job_script;             /* this run's, or NULL */
    int (*may_commit)(void *arg, struct err *e); /* see struct engine_restart */
    void *arg;
};

/* restore.c: restarts from `image` and `memory` in dirfd. */
int native_restore(int dirfd, const struct native_restart *how,
                   struct native_root *root, struct err *e);

/* probe.c: whether jobs can be saved and restored here; the error names the cure. */
int native_probe(struct err *e);

#endif
