/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cannot be saved for a while: from when a file "send" appears a descriptor is on its
 * way through a socket, until a file "take" appears. */
#include <sys/socket.h>

#include "victim.h"

static void transfer(int fd, bool send)
{
    char space[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = space,
                       .msg_controllen = sizeof(space)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int zero = STDIN_FILENO;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &zero, sizeof(int));
    NEED((send ? sendmsg(fd, &m, 0) : recvmsg(fd, &m, 0)) == 1);
}

int main(void)
{
    bool sent = false, taken = false;
    int pair[2];

    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    victim_ready();
    while (!victim_go()) {
        if (!sent && access("send", F_OK) == 0) {
            sent = true;
            transfer(pair[0], true);
            victim_ready_refused(getpid(), "SCM_RIGHTS");
        }
        if (sent && !taken && access("take", F_OK) == 0) {
            taken = true;
            transfer(pair[1], false);
        }
        victim_sleep_ms(20);
    }
    CHECK("what was sent was taken", sent == taken);
    return victim_end();
}
