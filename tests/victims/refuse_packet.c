/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A packet socket: bound to an interface of this host. */
#include <sys/socket.h>

#include "victim.h"

int main(void)
{
    int fd = socket(AF_PACKET, SOCK_DGRAM, 0);

    if (fd < 0)
        victim_skip("packet sockets need privileges");
    victim_ready_refused(getpid(), "(?i)packet|socket");
    victim_wait_go();
    CHECK("it is open", fcntl(fd, F_GETFD) >= 0);
    return victim_end();
}
