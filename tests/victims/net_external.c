/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client of servers outside the job, one on TCP and one on a unix socket. Its
 * connections may live on or come back as closed by the peer; then it connects anew.
 * VICTIM_SERVER is "PORT PATH"; without it the victim cannot be tried.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static uint16_t port;
static char path[100];

static int connect_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -1;
    return fd;
}

static int connect_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -1;
    return fd;
}

/* The server echoes. 1: it did; 0: the connection is closed; -1: neither. */
static int echo(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    char c = 0;
    ssize_t n;

    if (write(fd, "e", 1) != 1)
        return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? 0 : -1;
    if (poll(&p, 1, 3000) != 1)
        return -1;
    n = read(fd, &c, 1);
    if (n == 1 && c == 'e')
        return 1;
    return n == 0 || errno == ECONNRESET || errno == ENOTCONN ? 0 : -1;
}

static void check(const char *what, int fd, int (*reconnect)(void))
{
    int r = echo(fd);

    victim_check(r >= 0, what, "neither an answer nor a closed connection, errno %d",
                 errno);
    close(fd);
    fd = reconnect();
    CHECK("a new connection", fd >= 0);
    CHECK_INT("works", echo(fd), 1);
    close(fd);
}

int main(void)
{
    const char *server = getenv("VICTIM_SERVER");
    int tcp, un;

    if (!server || sscanf(server, "%hu %99s", &port, path) != 2)
        victim_skip("VICTIM_SERVER is not set");
    signal(SIGPIPE, SIG_IGN);
    tcp = connect_tcp();
    un = connect_unix();
    NEED(tcp >= 0 && un >= 0);
    NEED(echo(tcp) == 1 && echo(un) == 1);
    victim_wait();
    check("TCP", tcp, connect_tcp);
    check("unix", un, connect_unix);
    return victim_end();
}
