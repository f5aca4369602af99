/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The live processes of a job: the descendants of this process that are the job's.
 */
#ifndef DMTCP_PROCESSES_H
#define DMTCP_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Set to 1 in the environment of processes that are no part of the job. */
#define PROCESSES_OUTSIDE "QCKPT_DMTCP_OUTSIDE"

struct process {
    pid_t pid;
    unsigned threads;
    bool stopped;              /* by a signal */
    bool under_dmtcp;          /* its library is loaded */
    uint64_t image_bytes;      /* how large its image may become, at most */
    uint64_t file_limit_bytes; /* RLIMIT_FSIZE; UINT64_MAX: none */
    char name[32];
};

struct processes {
    struct process *process; /* owned */
    size_t n;
    pid_t unwaited; /* the first that has ended, but whose parent in the job has not
                     * asked for its status; 0: there is none */
};

/* Lists those that are not below a pid of `ignored`, zombies left out; only pid, name,
 * threads, and whether they are stopped. Those that end meanwhile are left out. */
int processes_list(const pid_t *ignored, size_t n_ignored, struct processes *out,
                   struct err *e);

/* Adds a process and all below it, those left out that are there. */
int processes_add_tree(pid_t pid, struct processes *all, struct err *e);

/* Leaves out those that DMTCP's ssh has made outside of the job, marked by a variable
 * (plugin/hosts.c): a restart makes them anew. */
void processes_drop_outside(struct processes *p);

/* Adds under_dmtcp. */
int processes_find_library(struct processes *p, struct err *e);

/* Adds under_dmtcp, image_bytes and file_limit_bytes. Not while the job stands still:
 * it reads a lot of /proc. */
int processes_measure(struct processes *p, struct err *e);

void processes_free(struct processes *p);
#define auto_processes __attribute__((cleanup(processes_free)))

#endif
