/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose connection is this?
 *
 * Both ends of a connection within one host are sockets of one kernel, which knows the
 * user of each: sock_diag(7) tells it of the other end. Nothing that the other end says
 * counts. A connection from elsewhere is judged by its address alone.
 */
#ifndef DMTCP_PEER_H
#define DMTCP_PEER_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

enum peer_kind {
    PEER_OURS,      /* this user, root, or one of the job's other hosts */
    PEER_STRANGER,  /* another user of this host: uid and inode are set */
    PEER_ELSEWHERE, /* a host that is none of the job's */
    PEER_UNKNOWN,   /* whoever it was has hung up: cannot be told any more */
};

struct peer {
    enum peer_kind kind;
    uid_t uid;      /* as our user namespace sees it */
    uint32_t inode; /* of its socket, as in the links of /proc/PID/fd */
    struct sockaddr_in address;
};

/* The job's other hosts by address, without those that are this one. */
struct peer_hosts {
    struct in_addr *addresses;
    size_t count;
};

/* Looks the names up; they end with NULL. The caller frees hosts->addresses. */
int peer_resolve(const char *const *names, struct peer_hosts *hosts, struct err *e);

/* A socket for peer_identify, close-on-exec, after a trial with our own `listener`.
 * ERR_REFUSED: users cannot be told apart here, and why. */
int peer_open(int listener, struct err *e);

/* Tells whose `connection` is that came from `address`. Does not wait. `diag` is
 * peer_open's. */
struct peer peer_identify(int diag, int connection, const struct sockaddr_in *address,
                          const struct peer_hosts *hosts);

/* A process that holds the socket, or 0. Only root can look into a stranger's; gives up
 * after a tenth of a second of work: on a busy host too it gets as far. */
pid_t peer_process(uint32_t inode);

#endif
