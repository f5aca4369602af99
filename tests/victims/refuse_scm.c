/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A descriptor on its way through a unix socket: it is in nobody's table. */
#include <sys/socket.h>

#include "victim.h"

int main(void)
{
    char space[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = space,
                       .msg_controllen = sizeof(space)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int pair[2], p[2], fd;

    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(p) == 0);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &p[1], sizeof(int));
    NEED(sendmsg(pair[0], &m, 0) == 1);
    close(p[1]);
    victim_ready_refused(getpid(), "(?i)descriptor|SCM_RIGHTS|socket");
    victim_wait_go();
    NEED(recvmsg(pair[1], &m, 0) == 1);
    c = CMSG_FIRSTHDR(&m);
    if (CHECK("the descriptor arrives", c && c->cmsg_type == SCM_RIGHTS)) {
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
        CHECK("and works", write(fd, "y", 1) == 1 && read(p[0], &byte, 1) == 1);
    }
    return victim_end();
}
