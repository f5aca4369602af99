/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seccomp filter before the coordinator, and the answers to what it asks:
 * seccomp(2), seccomp_unotify(2). Linux 5.9 is needed, for SECCOMP_IOCTL_NOTIF_ADDFD.
 *
 * Three calls ask: accept and accept4; write of exactly 12 or 14 bytes, which is how
 * long "DMT:Restart", "DMT:SUSPEND" and "DMT:WriteCkpt" are with their NUL; and read of
 * exactly the bytes of a message (hello.h). Every other call, and every call by another
 * ABI than x86-64's own, goes its way unasked.
 */
#ifndef DMTCP_GUARD_H
#define DMTCP_GUARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

enum guard_kind { GUARD_NONE, GUARD_ACCEPT, GUARD_BARRIER, GUARD_READ, GUARD_OTHER };

/* Barriers by the name that the coordinator writes. */
enum guard_barrier { BARRIER_NONE, BARRIER_SUSPEND, BARRIER_WRITTEN, BARRIER_RESTART };

/* A call of the coordinator's that waits for an answer. */
struct guard_call {
    enum guard_kind kind;
    uint64_t id;
    pid_t pid;
    enum guard_barrier barrier; /* of GUARD_BARRIER */
    /* Of GUARD_ACCEPT: where the peer's name belongs; of GUARD_READ: the data. */
    uint64_t address, length;
    int fd;    /* of GUARD_READ: the caller's */
    int flags; /* of GUARD_ACCEPT: accept4's */
};

/* Whether the kernel has what is needed: ERR_REFUSED says what is missing. Touches
 * nothing. */
int guard_check(struct err *e);

/* Puts the filter on the calling thread, for good. Its listener, close-on-exec, or
 * -errno. Allocates nothing. */
int guard_install(void);

/* Prepares a listener that came from guard_install: 0, or -errno (-EINVAL: the kernel
 * is too old). */
int guard_prepare(int listener);

/* Takes the next call; does not wait when poll(2) reported POLLIN. GUARD_NONE: the call
 * has gone meanwhile, as when a signal interrupted it. */
void guard_receive(int listener, struct guard_call *call);

/* Whether the call still waits. */
bool guard_waits(int listener, uint64_t id);

/* The four answers. -1: the call has gone. */
int guard_continue(int listener, uint64_t id);
int guard_fail(int listener, uint64_t id, int code);

/* Gives `fd` to the coordinator as the result of its accept, and `peer` as the name. It
 * is closed here, and then -1, before the coordinator runs on, for which it has the
 * number *theirs. */
int guard_give(int listener, const struct guard_call *call, int *fd,
               const struct sockaddr_in *peer, int *theirs);

/* Gives `data` as what it has read: all that it asked for. */
int guard_fill(int listener, const struct guard_call *call, const void *data);

#endif
