/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connections from a job's supervisor to the job's other hosts: on each, this
 * program looks after the processes there (dmtcp/part.h), started by ssh, which must
 * work without a password as it does for the job itself.
 *
 * A process of its own tells the other ends every few seconds that this one lives, also
 * while the supervisor waits for a file system. It dies with the supervisor.
 */
#ifndef DMTCP_LINKS_H
#define DMTCP_LINKS_H

#include "base/gate.h"
#include "cpu/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum { LINK_LINE_SIZE = CPU_TEXT_SIZE + 16 };

struct link {
    const char *host; /* as Grid Engine calls it; not owned */
    char name[256];   /* as it calls itself */
    pid_t ssh;        /* 0: it has ended */
    int fd;           /* -1: it has ended */
    char *cpu;        /* what it offers, as cpu_format has it; owned */
    char *keep; /* what a generation has to say of it (base/gate.h), or NULL; owned */
    char line[LINK_LINE_SIZE]; /* what it has begun to say */
    size_t used;
    bool command_ended; /* see links_start */
    bool is_empty;      /* nothing of the job runs there, when it was heard of last */
    unsigned owed;      /* answers to links_count that have not come yet */
};

struct links {
    struct link *link; /* owned */
    size_t n;
    pid_t heart;                   /* 0: none */
    char *self, *workdir, *tmpdir; /* as in links_how; owned */
};

struct links_how {
    const char *const *hosts; /* ended by NULL; must live as long as the links */
    const char *self;         /* this program, under the same path on each host */
    const char *workdir, *tmpdir;
    unsigned timeout_s; /* until all are ready */
};

/* All, or none and ERR_REFUSED, which names the host and has what ssh said. */
int links_open(const struct links_how *how, struct links *out, struct err *e);

/* Lets one execute a program, ended by NULL. ERR_FAILED: the connection is broken. */
int links_start(struct link *link, char *const *argv, struct err *e);

/* Whether one has ended with what ran there: its host, or NULL. Does not wait. */
const char *links_broken(struct links *l);

/* Whether a host's command has ended. Call links_broken before. */
const struct link *links_ended_command(const struct links *l);

struct links_count {
    size_t under_dmtcp, foreign;
    uint64_t image_bytes;
    char foreign_name[32]; /* of one of them */
};

/* Counts the job's processes on one of them. */
int links_count(struct link *link, unsigned timeout_s, struct links_count *out,
                struct err *e);

/* Kills the job's processes on all of them; waits for some seconds at most. */
void links_kill(struct links *l);

/* Ends them, and with them what is left of the job there. A host whose connection has
 * broken is connected to once more for that, for some seconds. */
void links_close(struct links *l);

#endif
