/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of a TCP or UDP socket; shared by inet.c and inet_restore.c.
 */
#ifndef NATIVE_FILES_INET_H
#define NATIVE_FILES_INET_H

#include "native/files/kind.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum inet_state {
    INET_ALONE = 1, /* TCP: not connected; UDP: any */
    INET_LISTEN,
    INET_PAIR,  /* connected with `peer`, which is in the job */
    INET_CUT,   /* connected to somebody outside, or cut off */
    INET_WAITS, /* for the listener `peer`, which is in the job, to accept it */
};

struct inet_address {
    struct sockaddr_storage storage;
    uint32_t size; /* 0: none */
};

/* What `detail` holds; the options follow. */
struct inet_socket {
    uint32_t domain, type, state;
    uint32_t peer; /* index of a file, or IMAGE_NONE */
    uint32_t backlog;
    bool shut_send;             /* shutdown(2) of this end's sending */
    bool established, has_data; /* while saving */
    struct inet_address local, remote;
    struct files_queue queue;
    size_t options_at; /* while restoring: where the options are in `detail` */
};

void inet_socket_free(struct inet_socket *n);
#define auto_inet __attribute__((cleanup(inet_socket_free)))
void inet_encode(struct enc *c, const struct inet_socket *n);
/* Sees to it that nothing waits unsent at `from` that `to` has no room for. What could
 * not be made to flow was taken, put back, and is in `q`, with all that was before it;
 * else `q` is left empty. */
int inet_drain(const struct saved *from, const struct saved *to, struct files_queue *q,
               struct err *e);
int inet_check(const struct files_restore *r, uint32_t index, struct err *e);
int inet_open(struct files_restore *r, uint32_t index, struct err *e);

#endif
