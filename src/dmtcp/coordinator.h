/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting dmtcp_coordinator under its filter, from the process of the door.
 */
#ifndef DMTCP_COORDINATOR_H
#define DMTCP_COORDINATOR_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* DMTCP keeps its own descriptors from 820 on (PROTECTED_FD_START); at 821 the
 * coordinator looks for a socket that listens, before it would open one itself. */
enum { COORDINATOR_SOCKET = 821, COORDINATOR_FILES = 1024 };

struct coordinator_how {
    const char *program;
    char *const *argv, *const *envp;
    int listener, log; /* close-on-exec, and not COORDINATOR_SOCKET */
};

struct coordinator {
    pid_t pid;
    int pidfd;    /* readable when it has ended */
    int listener; /* of its seccomp filter */
};

/*
 * Forks and executes it: the caller's descriptors 0 and 1, 2 (the log) and 821 (the
 * socket), no signal ignored or blocked; it dies with the calling thread. All signals
 * must be blocked or harmless in the caller. Nothing runs after a failure.
 */
int coordinator_start(const struct coordinator_how *how, struct coordinator *c,
                      struct err *e);

#endif
