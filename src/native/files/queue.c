/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes and messages that wait in pipes and sockets.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEEK_SIZE = 1 << 20 };

void files_queue_free(struct files_queue *q)
{
    for (uint32_t i = 0; i < q->n_messages; i++)
        free(q->messages[i].data);
    free(q->messages);
    *q = (struct files_queue){0};
}

int files_queue_add(struct files_queue *q, const void *data, size_t size)
{
    void *copy = malloc(size + 1);
    struct image_blob *added;

    if (!copy)
        return -1;
    memcpy(copy, data, size);
    added = image_append((void **)&q->messages, &q->n_messages, sizeof(*q->messages));
    if (!added) {
        free(copy);
        return -1;
    }
    *added = (struct image_blob){.data = copy, .size = size};
    return 0;
}

void files_queue_encode(struct enc *c, const struct files_queue *q)
{
    enc_u32(c, q->n_messages);
    for (uint32_t i = 0; i < q->n_messages; i++)
        enc_bytes(c, q->messages[i].data, q->messages[i].size);
}

int files_queue_decode(struct dec *d, struct files_queue *q)
{
    uint32_t n = dec_u32(d);

    *q = (struct files_queue){0};
    for (uint32_t i = 0; i < n && !d->failed; i++) {
        size_t size;
        const void *data = dec_bytes(d, &size);

        if (!d->failed && files_queue_add(q, data ? data : "", size) < 0)
            d->failed = true;
    }
    if (d->failed)
        files_queue_free(q);
    return d->failed ? -1 : 0;
}

size_t files_queue_bytes(const struct files_queue *q)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < q->n_messages; i++)
        bytes += q->messages[i].size;
    return bytes;
}

/* One MSG_PEEK. 0: nothing more waits. */
static int peek_one(int sock, void *buffer, size_t size, size_t *got,
                    const struct saved *s, struct err *e)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = size};
    /* Room for credentials, which come first, but not for descriptors. */
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    int passes = 0;
    socklen_t length = sizeof(passes);
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (getsockopt(sock, SOL_SOCKET, SO_PASSCRED, &passes, &length) == 0 && passes) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    do
        n = recvmsg(sock, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == ENOTCONN || errno == ECONNRESET
                   ? 0
                   : err_sys(e, "process %d descriptor %d: what waits in it", s->pid,
                             s->fd);
    if (msg.msg_flags & MSG_CTRUNC)
        return files_refuse_now(s, e,
                                "a socket in which descriptors are being passed "
                                "(SCM_RIGHTS): try again when they have arrived");
    if ((size_t)n > size)
        return files_refuse_saved(s, e,
                                  "a socket with a message of %zd bytes, more "
                                  "than can be saved",
                                  n);
    *got = n;
    return 1;
}

static int set_peek_offset(int sock, int offset)
{
    return setsockopt(sock, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
}

/* Message after message (or run after run of bytes), by a peek offset that advances. */
static int peek_all(struct files_queue *q, int sock, int type, char *buffer,
                    const struct saved *s, struct err *e)
{
    struct pollfd p = {.fd = sock, .events = POLLRDHUP};
    size_t got = 0;
    int more;

    while ((more = peek_one(sock, buffer, PEEK_SIZE, &got, s, e)) > 0) {
        if (got == 0 &&
            (type != SOCK_DGRAM || (poll(&p, 1, 0) > 0 && (p.revents & POLLRDHUP))))
            return 0; /* the end */
        if (files_queue_add(q, buffer, got) < 0)
            return err_sys(e, "what waits in descriptor %d of process %d", s->fd,
                           s->pid);
    }
    return more;
}

int files_queue_peek(struct files_queue *q, int sock, int type, const struct saved *s,
                     struct err *e)
{
    auto_free char *buffer = NULL;
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    int before = -1, result;
    socklen_t size = sizeof(before);

    if (poll(&ready, 1, 0) == 0 || !(ready.revents & POLLIN))
        return 0;
    buffer = malloc(PEEK_SIZE);
    if (!buffer)
        return err_sys(e, "what waits in a socket");
    if (getsockopt(sock, SOL_SOCKET, SO_PEEK_OFF, &before, &size) < 0 ||
        set_peek_offset(sock, 0) < 0)
        return err_sys(e, "process %d descriptor %d: SO_PEEK_OFF", s->pid, s->fd);
    result = peek_all(q, sock, type, buffer, s, e);
    set_peek_offset(sock, before);
    return result;
}

int files_queue_fill(const struct files_queue *q, int fd, enum files_fill how,
                     struct err *e)
{
    int flags = MSG_NOSIGNAL | (how == FILES_FILL_SOCKET ? MSG_DONTWAIT : 0);

    for (uint32_t i = 0; i < q->n_messages; i++) {
        const char *data = q->messages[i].data;
        size_t left = q->messages[i].size;

        do {
            ssize_t n = how == FILES_FILL_PIPE ? write(fd, data, left)
                                               : send(fd, data, left, flags);

            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return err_sys(e, "put back %zu of %zu waiting bytes", left,
                               files_queue_bytes(q));
            data += n;
            left -= n;
        } while (left > 0);
    }
    return 0;
}
