/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* ---- the record ---- */

/* Family, address, port, scope: no structure of the C library. */
static void encode_address(struct enc *c, const struct inet_address *a)
{
    const struct sockaddr_in *v4 = (const void *)&a->storage;
    const struct sockaddr_in6 *v6 = (const void *)&a->storage;

    if (a->size == 0) {
        enc_u8(c, 0);
    } else if (a->storage.ss_family == AF_INET) {
        enc_u8(c, 4);
        enc_raw(c, &v4->sin_addr, 4);
        enc_u32(c, ntohs(v4->sin_port));
    } else {
        enc_u8(c, 6);
        enc_raw(c, &v6->sin6_addr, 16);
        enc_u32(c, ntohs(v6->sin6_port));
        enc_u32(c, v6->sin6_scope_id);
    }
}

static int decode_address(struct dec *d, struct inet_address *a)
{
    struct sockaddr_in *v4 = (void *)&a->storage;
    struct sockaddr_in6 *v6 = (void *)&a->storage;

    *a = (struct inet_address){0};
    switch (dec_u8(d)) {
    case 0:
        return 0;
    case 4:
        v4->sin_family = AF_INET;
        dec_raw(d, &v4->sin_addr, 4);
        v4->sin_port = htons(dec_u32(d));
        a->size = sizeof(*v4);
        return 0;
    case 6:
        v6->sin6_family = AF_INET6;
        dec_raw(d, &v6->sin6_addr, 16);
        v6->sin6_port = htons(dec_u32(d));
        v6->sin6_scope_id = dec_u32(d);
        a->size = sizeof(*v6);
        return 0;
    default:
        return -1;
    }
}

void inet_encode(struct enc *c, const struct inet_socket *n)
{
    enc_u32(c, n->domain == AF_INET6 ? 6 : 4);
    enc_u32(c, n->type);
    enc_u32(c, n->state);
    enc_u32(c, n->peer);
    enc_u32(c, n->backlog);
    enc_u8(c, n->shut_send);
    encode_address(c, &n->local);
    encode_address(c, &n->remote);
    files_queue_encode(c, &n->queue);
}

static int decode(const struct image_file *file, struct inet_socket *n, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *n = (struct inet_socket){.domain = dec_u32(&d) == 6 ? AF_INET6 : AF_INET};
    n->type = dec_u32(&d);
    n->state = dec_u32(&d);
    n->peer = dec_u32(&d);
    n->backlog = dec_u32(&d);
    n->shut_send = dec_u8(&d);
    if (decode_address(&d, &n->local) < 0 || decode_address(&d, &n->remote) < 0 ||
        files_queue_decode(&d, &n->queue) < 0)
        d.failed = true;
    n->options_at = d.pos;
    files_sockopt_decode(&d, -1);
    if ((n->type != SOCK_STREAM && n->type != SOCK_DGRAM) || n->state < INET_ALONE ||
        n->state > INET_WAITS || (n->type == SOCK_DGRAM && n->state != INET_ALONE))
        d.failed = true;
    if (dec_end(&d, "network socket", e) == 0)
        return 0;
    inet_socket_free(n);
    return err_set(e, ERR_CORRUPT, "the record of a network socket is damaged");
}

static int check_peer(const struct files_restore *r, uint32_t index,
                      const struct inet_socket *n, struct err *e)
{
    auto_inet struct inet_socket peer = {0};
    bool mutual;

    if (n->state != INET_PAIR && n->state != INET_WAITS)
        return 0;
    if (n->peer >= r->img->n_files || n->peer == index ||
        r->img->files[n->peer].kind != IMAGE_FILE_INET)
        return err_set(e, ERR_CORRUPT, "the peer of a network socket is missing");
    if (decode(&r->img->files[n->peer], &peer, e) < 0)
        return -1;
    if (n->state == INET_WAITS)
        mutual = peer.state == INET_LISTEN;
    else
        mutual = peer.peer == index && peer.state == INET_PAIR;
    return mutual ? 0
                  : err_set(e, ERR_CORRUPT, "the peer of a network socket has another");
}

int inet_check(const struct files_restore *r, uint32_t index, struct err *e)
{
    auto_inet struct inet_socket n = {0};

    if (decode(&r->img->files[index], &n, e) < 0)
        return -1;
    return check_peer(r, index, &n, e);
}

/* ---- making it ---- */

static void set_options(const struct image_file *file, const struct inet_socket *n,
                        int sock)
{
    struct dec d = {
        .data = file->detail.data, .size = file->detail.size, .pos = n->options_at};

    files_sockopt_decode(&d, sock);
}

static const char *address_text(const struct inet_address *a, char out[64])
{
    const struct sockaddr_in *v4 = (const void *)&a->storage;
    const struct sockaddr_in6 *v6 = (const void *)&a->storage;
    char host[INET6_ADDRSTRLEN] = "?";

    if (a->storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(out, 64, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(out, 64, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
    return out;
}

static uint16_t port_of(const struct inet_address *a)
{
    /* In both families the port follows the family (ipv6(7)). */
    return a->size ? ((const struct sockaddr_in *)&a->storage)->sin_port : 0;
}

/* The same port on all addresses of this host. */
static struct inet_address any_address(const struct inet_address *a)
{
    struct inet_address any = *a;

    if (a->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&any.storage)->sin_addr.s_addr = htonl(INADDR_ANY);
    else
        ((struct sockaddr_in6 *)&any.storage)->sin6_addr = in6addr_any;
    return any;
}

/* The address of this host itself for a socket of the domain. IPv6 sockets use the
 * IPv4 one: there may be no ::1. */
static struct inet_address loopback(uint32_t domain)
{
    struct inet_address a = {0};
    struct sockaddr_in *v4 = (void *)&a.storage;
    struct sockaddr_in6 *v6 = (void *)&a.storage;

    if (domain == AF_INET) {
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.size = sizeof(*v4);
        return a;
    }
    v6->sin6_family = AF_INET6;
    a.size = sizeof(*v6);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6->sin6_addr);
    return a;
}

static bool somebody_listens(const struct inet_address *local)
{
    struct inet_address at = loopback(local->storage.ss_family);
    auto_fd int sock = socket(local->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ((struct sockaddr_in *)&at.storage)->sin_port = port_of(local);
    return sock >= 0 &&
           (connect(sock, (struct sockaddr *)&at.storage, at.size) == 0 ||
            connect(sock, (const struct sockaddr *)&local->storage, local->size) == 0);
}

/* Connections of the run before that it closed itself keep the port for a minute,
 * unless they had SO_REUSEADDR, too (inet_csk_bind_conflict). */
static int bind_patiently(int sock, const struct inet_address *local)
{
    enum { STEP_MS = 250, STEPS = 70 * 1000 / STEP_MS };
    int type = 0;
    socklen_t size = sizeof(type);

    getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &size);
    for (int i = 0;; i++) {
        char text[64];

        if (bind(sock, (const struct sockaddr *)&local->storage, local->size) == 0)
            return 0;
        if (errno != EADDRINUSE || type != SOCK_STREAM || i == STEPS)
            return -1;
        if (somebody_listens(local)) {
            errno = EADDRINUSE;
            return -1;
        }
        if (i == 0)
            log_info("%s is kept by connections that were closed within the last "
                     "minute: waiting for it",
                     address_text(local, text));
        poll(NULL, 0, STEP_MS);
    }
}

static int bind_again(int sock, const struct inet_address *local, struct err *e)
{
    struct inet_address any = any_address(local);
    char text[64];
    int on = 1, status;

    /* It stays set, so that the next restart need not wait for the port. */
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    status = bind_patiently(sock, local);
    if (status < 0 && (errno == EADDRNOTAVAIL || errno == ENODEV)) {
        log_warning("this host does not have the address %s of the job: all its "
                    "addresses stand for it",
                    address_text(local, text));
        status = bind_patiently(sock, &any);
    }
    if (status < 0)
        return err_sys(e,
                       "bind %s, which the job had; restart on a host where it is free",
                       address_text(local, text));
    return 0;
}

static int open_alone(struct files_restore *r, uint32_t index,
                      const struct inet_socket *n, struct err *e)
{
    auto_fd int sock = socket(n->domain, n->type | SOCK_CLOEXEC, 0);

    if (sock < 0)
        return err_sys(e, "a network socket");
    set_options(&r->img->files[index], n, sock);
    if (port_of(&n->local) && bind_again(sock, &n->local, e) < 0) {
        /* Answers to what a UDP socket asked are lost anyway; it may ask again. */
        if (n->type != SOCK_DGRAM || n->remote.size == 0)
            return -1;
        log_warning("a UDP socket of the job gets another port: %s", e->text);
    }
    if (n->state == INET_LISTEN && listen(sock, n->backlog) < 0)
        return err_sys(e, "listen again");
    if (n->type == SOCK_DGRAM && port_of(&n->remote) &&
        connect(sock, (const struct sockaddr *)&n->remote.storage, n->remote.size) < 0)
        log_warning("a UDP socket of the job cannot reach its peer from here: %m");
    return files_pool_put(r, index, &sock, e);
}

/* Changes the address into the form that the other family has for it. */
static struct inet_address in_domain(const struct inet_address *a, uint32_t domain)
{
    struct inet_address out;

    if (a->storage.ss_family == domain)
        return *a;
    out = loopback(domain);
    ((struct sockaddr_in *)&out.storage)->sin_port = port_of(a);
    return out;
}

/* The connection that `from` made, not one that a stranger made meanwhile. */
static int accept_from(int listener, int from, struct err *e)
{
    struct inet_address mine, other;
    socklen_t size = sizeof(mine.storage);

    if (getsockname(from, (struct sockaddr *)&mine.storage, &size) < 0)
        return err_sys(e, "a connection inside the job");
    mine.size = size;
    for (;;) {
        auto_fd int sock = -1;

        size = sizeof(other.storage);
        sock =
            accept4(listener, (struct sockaddr *)&other.storage, &size, SOCK_CLOEXEC);
        if (sock < 0)
            return err_sys(e, "a connection inside the job");
        other.size = size;
        if (port_of(&other) == port_of(&mine))
            return take_fd(&sock);
    }
}

/* Two connected sockets: ends[0] of the first domain, ends[1] of the second. */
static int make_connection(uint32_t first, uint32_t second, int ends[2], struct err *e)
{
    auto_fd int listener = socket(second, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto_fd int sock = socket(first, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct inet_address at = loopback(second), to;
    socklen_t size = sizeof(at.storage);

    if (listener < 0 || sock < 0 ||
        bind(listener, (struct sockaddr *)&at.storage, at.size) < 0 ||
        listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&at.storage, &size) < 0)
        return err_sys(e, "a connection inside the job");
    to = in_domain(&at, first);
    if (connect(sock, (struct sockaddr *)&to.storage, to.size) < 0)
        return err_sys(e, "a connection inside the job");
    ends[1] = accept_from(listener, sock, e);
    if (ends[1] < 0)
        return -1;
    ends[0] = take_fd(&sock);
    return 0;
}

/* Sends what waited at `to`; what does not fit there waits at `from` as it would in any
 * connection. */
static int fill(int from, int to, const struct files_queue *q, struct err *e)
{
    int low = 1, wanted = INT_MAX, status;
    socklen_t size = sizeof(low);
    struct timeval limit = {.tv_sec = 10}, none = {0};

    if (files_queue_bytes(q) == 0)
        return 0;
    getsockopt(to, SOL_SOCKET, SO_RCVLOWAT, &low, &size);
    setsockopt(to, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted)); /* more room */
    setsockopt(from, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    status = files_queue_fill(q, from, FILES_FILL_WAITING, e);
    setsockopt(from, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
    setsockopt(to, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
    return status;
}

static int open_pair(struct files_restore *r, uint32_t index,
                     const struct inet_socket *n, const struct inet_socket *p,
                     struct err *e)
{
    int ends[2];

    if (make_connection(n->domain, p->domain, ends, e) < 0)
        return -1;
    auto_fd int mine = ends[0];
    auto_fd int theirs = ends[1];
    if (fill(theirs, mine, &n->queue, e) < 0 || fill(mine, theirs, &p->queue, e) < 0)
        return -1;
    set_options(&r->img->files[index], n, mine);
    set_options(&r->img->files[n->peer], p, theirs);
    if ((n->shut_send && shutdown(mine, SHUT_WR) < 0) ||
        (p->shut_send && shutdown(theirs, SHUT_WR) < 0))
        return err_sys(e, "shut a connection inside the job down");
    if (files_pool_put(r, index, &mine, e) < 0)
        return -1;
    return files_pool_put(r, n->peer, &theirs, e);
}

static int open_cut(struct files_restore *r, uint32_t index,
                    const struct inet_socket *n, struct err *e)
{
    char text[64];
    int ends[2];

    if (n->remote.size)
        log_warning("the connection to %s comes back as closed by the peer",
                    address_text(&n->remote, text));
    if (make_connection(n->domain, n->domain, ends, e) < 0)
        return -1;
    auto_fd int mine = ends[0];
    auto_fd int theirs = ends[1];
    if (fill(theirs, mine, &n->queue, e) < 0)
        return -1;
    set_options(&r->img->files[index], n, mine);
    return files_pool_put(r, index, &mine, e);
}

/* The listener is opened first, and has the connection waiting again. */
static int open_waiting(struct files_restore *r, uint32_t index,
                        const struct inet_socket *n, struct err *e)
{
    auto_fd int sock = socket(n->domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct inet_address at = {0}, to;
    socklen_t size = sizeof(at.storage);

    if (sock < 0)
        return err_sys(e, "a network socket");
    if (r->pool[n->peer] < 0 && inet_open(r, n->peer, e) < 0)
        return -1;
    if (getsockname(r->pool[n->peer], (struct sockaddr *)&at.storage, &size) < 0)
        return err_sys(e, "a connection inside the job");
    at.size = size;
    to = in_domain(&at, n->domain);
    if (connect(sock, (struct sockaddr *)&to.storage, to.size) < 0)
        return err_sys(e, "a connection inside the job");
    set_options(&r->img->files[index], n, sock);
    return files_pool_put(r, index, &sock, e);
}

static int open_state(struct files_restore *r, uint32_t index,
                      const struct inet_socket *n, struct err *e)
{
    auto_inet struct inet_socket peer = {0};

    if (n->state == INET_CUT)
        return open_cut(r, index, n, e);
    if (n->state == INET_WAITS)
        return open_waiting(r, index, n, e);
    if (n->state != INET_PAIR)
        return open_alone(r, index, n, e);
    if (decode(&r->img->files[n->peer], &peer, e) < 0)
        return -1;
    return open_pair(r, index, n, &peer, e);
}

int inet_open(struct files_restore *r, uint32_t index, struct err *e)
{
    auto_inet struct inet_socket n = {0};

    if (decode(&r->img->files[index], &n, e) < 0)
        return -1;
    return open_state(r, index, &n, e);
}
