/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections that may come in, but have not said anything yet.
 *
 * The coordinator reads the first message of a connection at once and waits for it
 * without end: whoever connects and says nothing would stop the job's checkpoints. So
 * the door keeps a connection here until a whole message has arrived.
 *
 * The coordinator calls accept when its socket is readable, and the connection kept
 * here has been taken from that. When it is ready the door knocks: it connects to the
 * socket itself, and closes that connection when it comes to it.
 */
#ifndef DMTCP_PORCH_H
#define DMTCP_PORCH_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>

/* A process that is stopped between connecting and its first message is no stranger. */
enum { PORCH_MAX = 256, PORCH_WAIT_MS = 60 * 1000 };

struct porch_guest {
    int fd;
    struct sockaddr_in address;
    long long until_ms;
    bool is_ready;
};

struct porch {
    struct porch_guest guest[PORCH_MAX];
    int n;
    int knock; /* -1: none is under way */
    struct sockaddr_in knocker;
};

void porch_init(struct porch *p);

/* Full: nobody else must be accepted. */
bool porch_is_full(const struct porch *p);

/* Takes *fd over. Not when it is full. */
void porch_add(struct porch *p, int *fd, const struct sockaddr_in *address,
               long long now_ms);

/* The next that is ready, which belongs to the caller then; -1: none is. */
int porch_take(struct porch *p, struct sockaddr_in *address);

/* Whether the connection from there is our knock, which then has done its work. */
bool porch_is_knock(struct porch *p, const struct sockaddr_in *address);

/* Fills `fds`, which has room for PORCH_MAX, with what to poll for. How many there are;
 * *timeout_ms is how long poll(2) may wait, -1 for ever. */
int porch_poll(const struct porch *p, struct pollfd *fds, long long now_ms,
               int *timeout_ms);

/* After that: knocks when somebody has become ready. Whether one has said nonsense,
 * hung up, or nothing for too long; then *fd and *address are his, to be closed. To be
 * called until it is false. */
bool porch_look(struct porch *p, const struct sockaddr_in *listener, long long now_ms,
                int *fd, struct sockaddr_in *address);

#endif
