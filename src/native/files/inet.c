/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TCP and UDP, saving. A connection whose two ends are in the job is saved with what
 * waits in it; any other comes back as closed by the peer. inet_restore.c makes them
 * again.
 */
#include "native/files/inet.h"

#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* States in tcp_info, which only the C library's older header names. */
enum tcp_state {
    STATE_ESTABLISHED = 1,
    STATE_FIN_WAIT1 = 4,
    STATE_FIN_WAIT2 = 5,
    STATE_CLOSE = 7,
    STATE_LAST_ACK = 9,
    STATE_LISTEN = 10,
    STATE_CLOSING = 11,
};

void inet_socket_free(struct inet_socket *n)
{
    files_queue_free(&n->queue);
}

static void forget(void *notes)
{
    inet_socket_free(notes);
    free(notes);
}

static void read_address(struct inet_address *a, int sock, bool peer)
{
    socklen_t size = sizeof(a->storage);
    struct sockaddr *address = (struct sockaddr *)&a->storage;

    a->size = 0;
    if ((peer ? getpeername(sock, address, &size)
              : getsockname(sock, address, &size)) == 0)
        a->size = size;
}

/* Of a TCP socket, what the kernel has it in. */
static int tcp_state(struct inet_socket *n, const struct saved *known, struct err *e)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    char byte;
    ssize_t got;

    if (getsockopt(known->copy, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return err_sys(e, "process %d descriptor %d: TCP_INFO", known->pid, known->fd);
    switch (info.tcpi_state) {
    case STATE_LISTEN:
        n->state = INET_LISTEN;
        n->backlog = info.tcpi_sacked; /* what listen(2) was told */
        break;
    case STATE_CLOSE:
        /* Never connected, or not any more: only the latter reads an end. */
        got = recv(known->copy, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        n->state = got < 0 && errno == ENOTCONN ? INET_ALONE : INET_CUT;
        break;
    default:
        n->established = info.tcpi_state == STATE_ESTABLISHED;
        n->has_data = info.tcpi_bytes_sent > 0 || info.tcpi_bytes_received > 0;
        n->state = INET_CUT; /* unless its peer is found */
        n->shut_send =
            info.tcpi_state == STATE_FIN_WAIT1 || info.tcpi_state == STATE_FIN_WAIT2 ||
            info.tcpi_state == STATE_CLOSING || info.tcpi_state == STATE_LAST_ACK;
    }
    return 0;
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct saved *known = &s->files[index];
    struct inet_socket *n = calloc(1, sizeof(*n));
    int domain = 0, type = 0;
    socklen_t size = sizeof(domain);

    if (!n)
        return err_sys(e, "a socket");
    known->notes = n;
    if (getsockopt(known->copy, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        getsockopt(known->copy, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
    n->domain = domain;
    n->type = type;
    n->peer = IMAGE_NONE;
    read_address(&n->local, known->copy, false);
    read_address(&n->remote, known->copy, true);
    if (type == SOCK_STREAM)
        return tcp_state(n, known, e);
    /* What waits in a UDP socket may be lost; whoever uses UDP expects that. */
    n->state = INET_ALONE;
    return 0;
}

/* Address and port, with IPv4 in the form that IPv6 sockets have it in. */
struct endpoint {
    uint8_t address[16];
    uint16_t port;
};

static bool to_endpoint(const struct inet_address *a, struct endpoint *out)
{
    const struct sockaddr_in *v4 = (const void *)&a->storage;
    const struct sockaddr_in6 *v6 = (const void *)&a->storage;

    memset(out, 0, sizeof(*out));
    if (a->size == 0)
        return false;
    if (a->storage.ss_family == AF_INET) {
        out->address[10] = out->address[11] = 0xff;
        memcpy(out->address + 12, &v4->sin_addr, 4);
        out->port = v4->sin_port;
    } else {
        memcpy(out->address, &v6->sin6_addr, 16);
        out->port = v6->sin6_port;
    }
    return true;
}

static bool is_mirrored(const struct inet_socket *a, const struct inet_socket *b)
{
    struct endpoint a_local, a_remote, b_local, b_remote;

    return to_endpoint(&a->local, &a_local) && to_endpoint(&a->remote, &a_remote) &&
           to_endpoint(&b->local, &b_local) && to_endpoint(&b->remote, &b_remote) &&
           memcmp(&a_local, &b_remote, sizeof(a_local)) == 0 &&
           memcmp(&a_remote, &b_local, sizeof(a_local)) == 0;
}

static bool is_any(const struct endpoint *a)
{
    static const uint8_t v4_any[16] = {[10] = 0xff, [11] = 0xff}, v6_any[16];

    return memcmp(a->address, v4_any, 16) == 0 || memcmp(a->address, v6_any, 16) == 0;
}

/* The listener of the job that may have this connection in its backlog. */
static uint32_t find_listener(const struct files_save *s, const struct inet_socket *n)
{
    struct endpoint remote, local, own;

    if (!to_endpoint(&n->remote, &remote) || !to_endpoint(&n->local, &own))
        return IMAGE_NONE;
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct inet_socket *other = s->files[i].notes;

        if (s->img->files[i].kind != IMAGE_FILE_INET || other->state != INET_LISTEN ||
            !to_endpoint(&other->local, &local) || local.port != remote.port)
            continue;
        /* Of all addresses that a listener takes, those of this host are at both ends
         * of a connection inside the host. */
        if (memcmp(local.address, remote.address, 16) == 0 ||
            (is_any(&local) && memcmp(own.address, remote.address, 16) == 0))
            return i;
    }
    return IMAGE_NONE;
}

/* A connection to a listener of the job whose other end has no descriptor: nobody has
 * accepted it yet, or it was accepted and closed, which shows in its state. */
static int find_waiting(const struct files_save *s, uint32_t index, struct err *e)
{
    const struct saved *known = &s->files[index];
    struct inet_socket *n = known->notes;
    uint32_t listener;

    if (n->state != INET_CUT || !n->established)
        return 0;
    listener = find_listener(s, n);
    if (listener == IMAGE_NONE)
        return 0;
    /* With data on either side some may be where no descriptor leads. */
    if (n->has_data)
        return files_refuse_now(known, e,
                                "a connection that holds data and was not accepted "
                                "yet, or is just being closed: try again");
    n->state = INET_WAITS;
    n->peer = listener;
    return 0;
}

static void find_peer(const struct files_save *s, uint32_t index)
{
    struct inet_socket *n = s->files[index].notes;

    if (n->state != INET_CUT || n->type != SOCK_STREAM)
        return;
    for (uint32_t i = 0; i < s->n_files; i++) {
        struct inet_socket *other = s->files[i].notes;

        if (i == index || s->img->files[i].kind != IMAGE_FILE_INET ||
            other->type != SOCK_STREAM || !is_mirrored(n, other))
            continue;
        n->peer = i;
        other->peer = index;
        n->state = other->state = INET_PAIR;
        return;
    }
}

/* Reads what waits in a TCP socket; one MSG_PEEK sees the whole queue. */
static int peek(struct inet_socket *n, const struct saved *known, struct err *e)
{
    auto_free char *buffer = NULL;
    int waiting = 0;
    ssize_t got;

    if (ioctl(known->copy, SIOCINQ, &waiting) < 0 || waiting <= 0)
        return 0;
    buffer = malloc(waiting);
    if (!buffer)
        return err_sys(e, "what waits in a socket");
    got = recv(known->copy, buffer, waiting, MSG_PEEK | MSG_DONTWAIT);
    if (got < waiting)
        return err_set(
            e, ERR_FAILED,
            "process %d descriptor %d: %zd of %d waiting bytes could be read",
            known->pid, known->fd, got, waiting);
    if (files_queue_add(&n->queue, buffer, waiting) < 0)
        return err_sys(e, "what waits in a socket");
    return 0;
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    const struct saved *known = &s->files[index];
    struct inet_socket *n = known->notes;
    struct enc c = {0};

    find_peer(s, index);
    if (find_waiting(s, index, e) < 0)
        return -1;
    if (n->state == INET_PAIR &&
        inet_drain(&s->files[n->peer], known, &n->queue, e) < 0)
        return -1;
    if ((n->state == INET_PAIR || n->state == INET_CUT) && n->queue.n_messages == 0 &&
        peek(n, known, e) < 0)
        return -1;
    inet_encode(&c, n);
    files_sockopt_encode(&c, known->copy, n->domain, n->type);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

/* Resets the connection when the job is killed: neither end waits in a state that keeps
 * the port from being bound again. */
static void before_kill(const struct saved *known, int copy)
{
    const struct inet_socket *n = known->notes;
    struct linger at_once = {.l_onoff = 1};

    if (n->type == SOCK_STREAM && n->state != INET_LISTEN)
        setsockopt(copy, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

const struct file_kind file_kind_inet = {
    .name = "a network socket",
    .save = save,
    .pair = pair,
    .before_kill = before_kill,
    .forget = forget,
    .check = inet_check,
    .make = inet_open,
};
