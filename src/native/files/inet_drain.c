/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a TCP socket could not send yet because its peer has no room. No ordinary user
 * can read it there; both ends are in the job and stand still.
 */
#include "base/err.h"
#include "base/scope.h"
#include "native/files/inet.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.14 */
#endif

enum { STEP_MS = 2, FLOW_MS = 40, STUCK_MS = 200, TAKE_MS = 3000, PIECE = 1 << 18 };

static int queued(int sock, unsigned long what)
{
    int bytes = 0;

    return ioctl(sock, what, &bytes) < 0 ? 0 : bytes;
}

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* SO_RCVLOWAT enlarges a queue as the kernel does itself (tcp_set_rcvlowat, since Linux
 * 4.18), and MSG_PEEK makes it tell the sender. */
static void let_flow(int from, int to)
{
    long end = now_ms() + FLOW_MS;
    char byte;

    while (queued(from, SIOCOUTQNSD) > 0 && now_ms() < end) {
        recv(to, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        poll(NULL, 0, STEP_MS);
    }
}

/* Takes everything that was sent or is waiting to be. */
static int take(int from, int to, struct files_queue *q, struct err *e)
{
    auto_free char *buffer = malloc(PIECE);
    long end = now_ms() + TAKE_MS;

    if (!buffer)
        return err_sys(e, "what waits in a socket");
    for (;;) {
        /* Asked before reading: what is acknowledged by then can be read. */
        bool all = queued(from, SIOCOUTQ) == 0;
        ssize_t n = recv(to, buffer, PIECE, MSG_DONTWAIT);

        if (n > 0 && files_queue_add(q, buffer, n) < 0)
            return err_sys(e, "what waits in a socket");
        if (n <= 0 && all)
            return 0;
        if (now_ms() > end) {
            err_set(e, ERR_TIMEOUT, "a connection does not drain");
            return err_momentary(e);
        }
        if (n <= 0)
            poll(NULL, 0, 1);
    }
}

/* What fitted into the queues once need not fit again: it was packed differently. */
struct send_buffer {
    int size, locked; /* as they were; size 0: not changed */
};

static void enlarge(int sock, size_t bytes, struct send_buffer *was)
{
    socklen_t length = sizeof(was->size);
    int wanted = (int)(bytes > INT_MAX / 4 ? INT_MAX / 2 : 2 * bytes);

    if (was->size != 0 ||
        getsockopt(sock, SOL_SOCKET, SO_SNDBUF, &was->size, &length) < 0)
        return;
    if (getsockopt(sock, SOL_SOCKET, SO_BUF_LOCK, &was->locked, &length) < 0)
        was->locked = -1;
    wanted += was->size;
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

/* The kernel doubles what is set (socket(7)), and tells the double. */
static void restore_size(int sock, const struct send_buffer *was)
{
    int half = was->size / 2;

    if (was->size == 0)
        return;
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half));
    if (was->locked >= 0)
        setsockopt(sock, SOL_SOCKET, SO_BUF_LOCK, &was->locked, sizeof(was->locked));
}

static int send_all(int from, const struct files_queue *q, struct send_buffer *was,
                    struct err *e)
{
    long begun = now_ms();

    for (uint32_t i = 0; i < q->n_messages; i++) {
        const char *data = q->messages[i].data;
        size_t left = q->messages[i].size;

        while (left > 0) {
            ssize_t n = send(from, data, left, MSG_DONTWAIT | MSG_NOSIGNAL);
            struct pollfd p = {.fd = from, .events = POLLOUT};

            if (n > 0) {
                data += n;
                left -= n;
            } else if (errno != EAGAIN || now_ms() > begun + TAKE_MS) {
                return err_sys(e, "put back %zu bytes", left);
            } else {
                if (now_ms() > begun + STUCK_MS)
                    enlarge(from, files_queue_bytes(q), was);
                poll(&p, 1, STEP_MS);
            }
        }
    }
    return 0;
}

static int give(int from, const struct files_queue *q, struct err *e)
{
    struct send_buffer was = {0};
    int status = send_all(from, q, &was, e);

    restore_size(from, &was);
    return status;
}

static int take_and_give(const struct saved *from, const struct saved *to,
                         struct files_queue *q, struct err *e)
{
    const struct inet_socket *sender = from->notes;

    if (sender->shut_send)
        return files_refuse_now(from, e,
                                "a connection that was shut down with %d bytes that "
                                "the other end has no room for: try again when it "
                                "has read",
                                queued(from->copy, SIOCOUTQNSD));
    if (take(from->copy, to->copy, q, e) == 0 && give(from->copy, q, e) == 0)
        return 0;
    if (q->n_messages == 0)
        return -1;
    /* Neither end may run on with a hole in what it sends or reads. */
    kill(from->host_pid, SIGKILL);
    kill(to->host_pid, SIGKILL);
    return err_wrap(e, "process %d descriptor %d: the job was killed", from->pid,
                    from->fd);
}

int inet_drain(const struct saved *from, const struct saved *to, struct files_queue *q,
               struct err *e)
{
    int low = 1, wanted = INT_MAX, status = 0;
    socklen_t size = sizeof(low);

    if (queued(from->copy, SIOCOUTQNSD) == 0)
        return 0;
    getsockopt(to->copy, SOL_SOCKET, SO_RCVLOWAT, &low, &size);
    setsockopt(to->copy, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
    let_flow(from->copy, to->copy);
    if (queued(from->copy, SIOCOUTQNSD) > 0)
        status = take_and_give(from, to, q, e);
    setsockopt(to->copy, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
    return status;
}
