/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP inside the job: IPv4 and IPv6 on loopback, listeners, queued data, closed halves.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "victim.h"

struct link {
    int family, listener, client, server;
    uint16_t port;
};

static socklen_t address(int family, uint16_t port, struct sockaddr_storage *ss)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (family == AF_INET) {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(*v4);
    }
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v6->sin6_addr = in6addr_loopback;
    return sizeof(*v6);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return 0;
    return ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

static int connection(int family, uint16_t port)
{
    struct sockaddr_storage ss;
    socklen_t len = address(family, port, &ss);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    NEED(fd >= 0);
    if (connect(fd, (struct sockaddr *)&ss, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool make(struct link *l, int family)
{
    struct sockaddr_storage ss;
    socklen_t len = address(family, 0, &ss);
    int on = 1;

    l->family = family;
    l->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->listener < 0 || bind(l->listener, (struct sockaddr *)&ss, len) < 0)
        return false;
    NEED(listen(l->listener, 7) == 0);
    l->port = port_of(l->listener);
    l->client = connection(family, l->port);
    l->server = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
    NEED(l->client >= 0 && l->server >= 0);
    NEED(setsockopt(l->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    NEED(setsockopt(l->client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
    NEED(write(l->client, "to the server", 13) == 13);
    NEED(write(l->server, "to the client", 13) == 13);
    return true;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, level, name, &value, &len);
    return value;
}

static void check_receive(const char *what, int fd, const char *want)
{
    char buf[64] = "";
    ssize_t n = recv(fd, buf, strlen(want), MSG_WAITALL);

    victim_check(n == (ssize_t)strlen(want) && strcmp(buf, want) == 0, what,
                 "%zd bytes \"%s\", expected \"%s\", errno %d", n, buf, want, errno);
}

static void check_link(const struct link *l, const char *name)
{
    int client, server;
    char c;

    victim_say("link %s", name);
    check_receive("queued at the server", l->server, "to the server");
    check_receive("queued at the client", l->client, "to the client");
    CHECK("new data", write(l->client, "new", 3) == 3);
    check_receive("arrives", l->server, "new");
    CHECK_INT("TCP_NODELAY", option(l->client, IPPROTO_TCP, TCP_NODELAY) != 0, 1);
    CHECK_INT("SO_KEEPALIVE", option(l->client, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_INT("the listener's port", port_of(l->listener), l->port);
    CHECK("shutdown", shutdown(l->client, SHUT_WR) == 0);
    CHECK_INT("is seen as the end", read(l->server, &c, 1), 0);
    client = connection(l->family, l->port);
    if (!CHECK("a new connection", client >= 0))
        return;
    server = accept(l->listener, NULL, NULL);
    CHECK("is accepted", server >= 0);
    CHECK("and works",
          write(server, "x", 1) == 1 && read(client, &c, 1) == 1 && c == 'x');
}

int main(void)
{
    struct link v4, v6;
    bool has_v6;
    int unused;

    signal(SIGPIPE, SIG_IGN);
    NEED(make(&v4, AF_INET));
    has_v6 = make(&v6, AF_INET6);
    unused = socket(AF_INET, SOCK_STREAM, 0);
    NEED(unused >= 0);
    victim_wait();
    check_link(&v4, "IPv4");
    if (has_v6)
        check_link(&v6, "IPv6");
    CHECK_INT("an unconnected socket", option(unused, SOL_SOCKET, SO_TYPE),
              SOCK_STREAM);
    return victim_end();
}
