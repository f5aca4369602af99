/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A netlink socket, as getaddrinfo leaves for a moment: may be reopened, may be
 * refused. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "victim.h"

int main(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
    } request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
                 {AF_UNSPEC}};
    char buf[8192];

    NEED(fd >= 0);
    NEED(bind(fd, (struct sockaddr *)&kernel, sizeof(kernel)) == 0);
    victim_ready_refused(getpid(), "(?i)netlink|socket");
    victim_wait_go();
    CHECK("a request",
          sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel,
                 sizeof(kernel)) == sizeof(request));
    CHECK("is answered", recv(fd, buf, sizeof(buf), 0) > 0);
    return victim_end();
}
