/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of unix sockets (unix(7)), and what the kernel tells of one by sock_diag(7).
 */
#ifndef NATIVE_FILES_UNIX_NAME_H
#define NATIVE_FILES_UNIX_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct err;
struct enc;
struct dec;

struct unix_name {
    struct sockaddr_un address;
    uint32_t size; /* of sun_path; 0: no name. The first byte is 0 for abstract ones */
    char *directory; /* where a relative path starts; NULL for others; owned */
    uint32_t mode;   /* of the path; 0: it has been unlinked */
};

/* The socket's own name, or its peer's. No name is no error. */
int unix_name_read(struct unix_name *n, int sock, bool peer, pid_t host_pid,
                   struct err *e);
/* Whether it is or was connected, though perhaps to a socket without a name. */
bool unix_name_has_peer(int sock);
void unix_name_free(struct unix_name *n);
void unix_name_encode(struct enc *c, const struct unix_name *n);
int unix_name_decode(struct dec *d, struct unix_name *n);
bool unix_name_is(const struct unix_name *a, const struct unix_name *b);
const char *unix_name_text(const struct unix_name *n);

/* Takes the name. A path at which a dead socket of ours lies is taken over; anything
 * else there is an error. A name that was unlinked is replaced by one of the kernel's.
 */
int unix_name_bind(const struct unix_name *n, int sock, int type, struct err *e);
bool unix_name_is_bound(int sock);

/* As connect(2). */
int unix_name_connect(const struct unix_name *n, int sock);
/* Connects `sock` to the name of `to`. */
int unix_name_connect_back(int sock, int to);

struct unix_diag {
    uint64_t peer_ino; /* 0: none, or it has no descriptor */
    uint32_t shut;     /* bit 0: receiving, bit 1: sending */
    uint32_t backlog;  /* of a listener */
    bool established;
};

/* Asks about the socket with this inode, in this program's network namespace. *sock is
 * opened when it is -1, and stays open. */
int unix_diag_query(int *sock, ino_t ino, struct unix_diag *out, struct err *e);

#endif
