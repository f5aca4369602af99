/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UDP sockets: bound, connected to each other, with a queued datagram. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "victim.h"

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET}, b;
    int one = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int two = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(a);
    char buf[16] = "";

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(bind(one, (struct sockaddr *)&a, sizeof(a)) == 0);
    NEED(getsockname(one, (struct sockaddr *)&a, &len) == 0);
    NEED(connect(two, (struct sockaddr *)&a, sizeof(a)) == 0);
    victim_ready_refused(getpid(), "(?i)udp|datagram|socket");
    victim_wait_go();
    CHECK_INT("send", send(two, "datagram", 8, 0), 8);
    CHECK_INT("receive", recv(one, buf, sizeof(buf), 0), 8);
    CHECK_STR("content", buf, "datagram");
    len = sizeof(b);
    NEED(getsockname(one, (struct sockaddr *)&b, &len) == 0);
    CHECK_INT("port", b.sin_port, a.sin_port);
    return victim_end();
}
