/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char commit_word = 'C';

int report_pair(int *receiver, int *sender, struct err *e)
{
    int fds[2], on = 1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_sys(e, "make a socket pair");
    if (setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
        err_sys(e, "ask for senders' pids");
        close(fds[0]);
        close(fds[1]);
        return -1;
    }
    *receiver = fds[0];
    *sender = fds[1];
    return 0;
}

void report_send(int fd, enum report_kind kind, const struct err *err)
{
    struct report r = {.kind = kind, .pid = getpid()};

    if (err)
        r.err = *err;
    while (send(fd, &r, sizeof(r), MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static pid_t sender_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred cred;

            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            return cred.pid;
        }
    return 0;
}

static int wait_readable(int fd, int timeout_ms, struct err *e)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;

    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(e, "wait for the new processes");
    if (n == 0)
        return err_set(e, ERR_TIMEOUT, "the new processes were not ready within %d s",
                       timeout_ms / 1000);
    return 0;
}

int report_receive(int fd, int timeout_ms, struct report *r, pid_t *sender,
                   struct err *e)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec iov = {r, sizeof(*r)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    if (wait_readable(fd, timeout_ms, e) < 0)
        return -1;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(e, "hear from the new processes");
    *sender = sender_of(&m);
    if (n != sizeof(*r) || *sender <= 0)
        return err_set(e, ERR_FAILED,
                       "the new processes ended before the job was restored");
    r->err.text[sizeof(r->err.text) - 1] = '\0';
    return 0;
}

int report_allow_commit(int fd, struct err *e)
{
    if (send(fd, &commit_word, 1, MSG_NOSIGNAL) != 1)
        return err_sys(e, "tell the namespace's init to go on");
    return 0;
}

int report_wait_for_commit(int fd, struct err *e)
{
    char word = 0;
    ssize_t n;

    do
        n = recv(fd, &word, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n == 1 && word == commit_word)
        return 0;
    return err_set(e, ERR_GONE, "the program that restores has ended");
}
