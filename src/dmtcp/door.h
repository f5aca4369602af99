/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The DMTCP coordinator of one job, and the guard before it.
 *
 *     caller
 *       `- door                      forked from the caller, executes nothing
 *            `- dmtcp_coordinator    on a socket of ours, under a seccomp filter
 *
 * The filter hands two kinds of the coordinator's system calls to the door, which
 * answers each at once (seccomp_unotify(2), Linux 5.9):
 *
 * - accept: the door accepts for it, and lets in only processes of this user and of
 *   root, when their first message is there. A coordinator left alone obeys everyone on
 *   the host, and waits for ever for the first word of somebody who connects and says
 *   nothing.
 * - the write that lets the job's processes pass a barrier. Two of them are moments
 *   that a checkpoint and a restart need, and DMTCP has no other way to be held there:
 *   those wait until the caller says door_release.
 *
 * When the caller dies, by whatever signal, so do the door and the coordinator; when
 * the door dies, the coordinator does. Both are in a session of their own: what is sent
 * to the job's process group does not reach them.
 */
#ifndef DMTCP_DOOR_H
#define DMTCP_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct door;

/* Nothing is kept after door_open. Paths are absolute; both directories exist. */
struct door_how {
    const char *coordinator; /* the program dmtcp_coordinator */
    const char *workdir;     /* its --ckptdir; coordinator.port and coordinator.log */
    const char *tmpdir;      /* its --tmpdir */
    /* Names or IPv4 addresses of the job's other hosts, ended by NULL: the coordinator
     * listens on every address and takes connections from these hosts too, whoever
     * makes them there. NULL: it listens on 127.0.0.1 only. */
    const char *const *hosts;
    unsigned timeout_s; /* until the coordinator must be ready; at least 1 */
};

enum door_event {
    DOOR_NOTHING,  /* nothing has happened */
    DOOR_WRITTEN,  /* held: every process has written its image and stands still */
    DOOR_RESTORED, /* held: every process has its memory back and has not yet run */
    DOOR_STRANGER, /* somebody who has no business here was turned away */
    DOOR_CLOSED,   /* the coordinator is gone; nothing follows: poll no more */
};

/* A text of door_next fits into this. */
enum { DOOR_TEXT_SIZE = 512 };

/*
 * Starts both; the coordinator listens when this returns. Call it from the thread that
 * lives as long as the job (prctl(2), PR_SET_PDEATHSIG). NULL and `e`, and nothing left
 * running, when the kernel or a security module does not allow the guard (ERR_REFUSED,
 * naming what is needed), the coordinator does not start or does not take our socket,
 * which tells of an unknown version of DMTCP (ERR_FAILED), or does not get ready in
 * time (ERR_TIMEOUT).
 */
struct door *door_open(const struct door_how *how, struct err *e);

/* The TCP port for dmtcp_launch, dmtcp_restart and dmtcp_command. */
int door_port(const struct door *d);

/* The door is a child of the caller's but not of the job. A caller that reaps it by a
 * waitpid for anybody still learns by DOOR_CLOSED that it ended. */
pid_t door_pid(const struct door *d);

/* Poll it for POLLIN: door_next has something. */
int door_fd(const struct door *d);

/*
 * The next event; never waits. `text` tells of DOOR_STRANGER who it was, of DOOR_CLOSED
 * how the coordinator ended and the last line of its log; it is empty otherwise.
 * Strangers are told at most once in ten seconds, with the number of those left out.
 * After DOOR_CLOSED every call answers DOOR_CLOSED with the same text.
 */
enum door_event door_next(struct door *d, char *text, size_t size);

/* After DOOR_CLOSED: how the coordinator ended, as wait(2) gives it. 0: by itself,
 * after the last process of the job. SIGKILL also when the door was killed, and it with
 * it. */
int door_end_status(const struct door *d);

/* Waits, without taking an event, until the coordinator is gone; false: it still runs
 * after timeout_ms. */
bool door_await_end(const struct door *d, int timeout_ms);

/* Lets the coordinator, which answers nobody while it is held, go on after DOOR_WRITTEN
 * or DOOR_RESTORED; does nothing when it is not held. ERR_GONE: the coordinator has
 * ended. */
int door_release(struct door *d, struct err *e);

/*
 * Ends the coordinator (SIGKILL, held or not) and the door, and reaps both. Processes
 * of the job that still run end or stand still for want of a coordinator: end them
 * first. NULL is allowed.
 */
void door_close(struct door *d);

#endif
