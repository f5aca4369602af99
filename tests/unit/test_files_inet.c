/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network sockets inside a job are saved and restored, others are cut off. */
#include "files_scenario.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_inet(int domain, struct sockaddr_storage *at, socklen_t *size)
{
    struct sockaddr_in *v4 = (void *)at;
    struct sockaddr_in6 *v6 = (void *)at;
    int sock = socket(domain, SOCK_STREAM, 0), on = 1;

    memset(at, 0, sizeof(*at));
    if (domain == AF_INET) {
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *size = sizeof(*v4);
    } else {
        v6->sin6_family = AF_INET6;
        v6->sin6_addr = in6addr_loopback;
        *size = sizeof(*v6);
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(sock, (struct sockaddr *)at, *size) < 0 || listen(sock, 7) < 0 ||
        getsockname(sock, (struct sockaddr *)at, size) < 0)
        return -1;
    return sock;
}

static int connect_inet(const struct sockaddr_storage *at, socklen_t size)
{
    int sock = socket(at->ss_family, SOCK_STREAM, 0);

    return connect(sock, (const struct sockaddr *)at, size) < 0 ? -1 : sock;
}

static uint16_t port_of(int sock)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at);

    getsockname(sock, (struct sockaddr *)&at, &size);
    return ntohs(((struct sockaddr_in *)&at)->sin_port);
}

/* What the set-up must tell the check travels in a file. */
static void note_number(int number)
{
    int fd = open(scenario_path("number"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    dprintf(fd, "%d", number);
    close(fd);
}

static int noted_number(void)
{
    char text[16] = {0};
    int fd = open(scenario_path("number"), O_RDONLY | O_CLOEXEC);

    if (read(fd, text, sizeof(text) - 1) <= 0)
        return -1;
    close(fd);
    return atoi(text);
}

static int tcp_domain;

static void set_up_tcp(void)
{
    struct sockaddr_storage at;
    socklen_t size;
    int on = 1;

    put(A, listen_inet(tcp_domain, &at, &size));
    note_number(port_of(A));
    put(B, connect_inet(&at, size));
    put(C, accept(A, NULL, NULL));
    setsockopt(B, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    say(B, "to c");
    say(C, "to b");
    fcntl(C, F_SETFL, O_NONBLOCK);
    put(D, connect_inet(&at, size));
    put(F, accept(A, NULL, NULL));
    say(D, "bye");
    shutdown(D, SHUT_WR);
}

/* Soft interrupts carry data over the loopback; on a busy host they take a while. */
static bool has_arrived(int sock)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};

    return poll(&p, 1, 20000) == 1;
}

static void check_tcp(int process)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at), length;
    int on = 0, sock;

    CHECK(has_arrived(C));
    CHECK_STR(read_fd(C), "to c");
    CHECK_STR(read_fd(C), "EAGAIN");
    CHECK_STR(read_fd(B), "to b");
    length = sizeof(on);
    CHECK_INT(getsockopt(B, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    CHECK_INT(on, 1);
    CHECK_STR(read_fd(F), "bye");
    CHECK_STR(read_fd(F), "");
    say(F, "still");
    CHECK_STR(read_fd(D), "still");
    CHECK_INT(port_of(A), noted_number());
    getsockname(A, (struct sockaddr *)&at, &size);
    sock = connect_inet(&at, size);
    CHECK(sock >= 0);
    CHECK(accept(A, NULL, NULL) >= 0);
}

static void tcp_inside_the_job_goes_on(void)
{
    tcp_domain = AF_INET;
    run_twice(set_up_tcp, check_tcp);
}

static void tcp_over_ipv6_inside_the_job_goes_on(void)
{
    struct sockaddr_storage at;
    socklen_t size;
    int probe = listen_inet(AF_INET6, &at, &size);

    if (probe < 0)
        SKIP("no IPv6 loopback");
    close(probe);
    tcp_domain = AF_INET6;
    run_twice(set_up_tcp, check_tcp);
}

static size_t stuff(int sock)
{
    char block[8192];
    size_t sent = 0;
    ssize_t n;

    for (;;) {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = (sent + i) % 251;
        n = send(sock, block, sizeof(block), MSG_DONTWAIT);
        if (n < 0)
            return sent;
        sent += n;
    }
}

static void set_up_stuffed(void)
{
    struct sockaddr_storage at;
    socklen_t size;

    put(A, listen_inet(AF_INET, &at, &size));
    put(B, connect_inet(&at, size));
    put(C, accept(A, NULL, NULL));
    note_number(stuff(B));
}

static void check_stuffed(int process)
{
    size_t total = noted_number(), got = 0;
    char block[8192];
    ssize_t n;

    shutdown(B, SHUT_WR);
    while ((n = read(C, block, sizeof(block))) > 0)
        for (ssize_t i = 0; i < n; i++, got++)
            if (block[i] != (char)(got % 251)) {
                CHECK_INT(got, -1);
                return;
            }
    CHECK_INT(got, total);
}

static void a_connection_full_to_the_brim_loses_nothing(void)
{
    run_twice(set_up_stuffed, check_stuffed);
}

/* A queue of a fixed size, which cannot be made larger. */
static void set_up_tight(void)
{
    struct sockaddr_storage at;
    socklen_t size;
    int small = 20000;

    put(A, listen_inet(AF_INET, &at, &size));
    setsockopt(A, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    put(B, connect_inet(&at, size));
    put(C, accept(A, NULL, NULL));
    note_number(stuff(B));
}

static void a_connection_with_a_small_queue_loses_nothing(void)
{
    run_twice(set_up_tight, check_stuffed);
}

static int outside = -1;
static struct sockaddr_storage outside_at;
static socklen_t outside_size;

static void set_up_foreign(void)
{
    put(A, connect_inet(&outside_at, outside_size));
    put(B, socket(AF_INET, SOCK_STREAM, 0));
}

static bool has_hung_up(int sock)
{
    struct pollfd p = {.fd = sock};

    return poll(&p, 1, 20000) == 1 && (p.revents & (POLLERR | POLLHUP));
}

static void check_foreign(int process)
{
    CHECK_STR(read_fd(A), "");
    send(A, "x", 1, MSG_NOSIGNAL);
    CHECK(has_hung_up(A)); /* the answer to that */
    CHECK_INT(send(A, "x", 1, MSG_NOSIGNAL), -1);
    CHECK(errno == EPIPE || errno == ECONNRESET);
    CHECK_STR(read_fd(B), "ENOTCONN");
    CHECK_INT(connect(B, (struct sockaddr *)&outside_at, outside_size), 0);
}

static void a_connection_that_leaves_the_job_is_closed_by_the_peer(void)
{
    outside = listen_inet(AF_INET, &outside_at, &outside_size);
    fcntl(outside, F_SETFD, FD_CLOEXEC);
    run(set_up_foreign, check_foreign, NULL);
    close(outside);
}

static void set_up_udp(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);

    put(A, socket(AF_INET, SOCK_DGRAM, 0));
    bind(A, (struct sockaddr *)&at, size);
    getsockname(A, (struct sockaddr *)&at, &size);
    note_number(port_of(A));
    put(B, socket(AF_INET, SOCK_DGRAM, 0));
    connect(B, (struct sockaddr *)&at, size);
    put(C, socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static void check_udp(int process)
{
    struct {
        struct nlmsghdr head;
        struct ifinfomsg info;
    } query = {.head = {.nlmsg_len = sizeof(query),
                        .nlmsg_type = RTM_GETLINK,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    char answer[8192];

    CHECK_INT(port_of(A), noted_number());
    say(B, "datagram");
    CHECK_STR(read_fd(A), "datagram");
    CHECK_INT(send(C, &query, sizeof(query), 0), sizeof(query));
    CHECK(recv(C, answer, sizeof(answer), 0) > 0);
}

static void udp_and_netlink_are_opened_again(void)
{
    run_twice(set_up_udp, check_udp);
}

static void set_up_raw(void)
{
    put(A, socket(AF_PACKET, SOCK_RAW, 0));
}

static void a_packet_socket_is_refused(void)
{
    int probe = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (probe < 0)
        SKIP("no packet sockets here");
    close(probe);
    refuse(set_up_raw, "a socket of address family 17");
}

/* ---- connections that nobody has accepted yet ---- */

static void set_up_waiting(void)
{
    struct sockaddr_storage at;
    socklen_t size;

    put(A, listen_inet(AF_INET, &at, &size));
    put(B, connect_inet(&at, size));
}

static void check_waiting(int process)
{
    int sock = accept(A, NULL, NULL);

    say(B, "late");
    CHECK_STR(read_fd(sock), "late");
}

static void tcp_connections_in_a_backlog_wait_again(void)
{
    run(set_up_waiting, check_waiting, NULL);
}

static void set_up_eager(void)
{
    struct sockaddr_storage at;
    socklen_t size;

    put(B, listen_inet(AF_INET, &at, &size));
    put(A, connect_inet(&at, size));
    say(A, "nobody reads this");
}

static void data_in_a_tcp_backlog_is_refused(void)
{
    refuse(set_up_eager, "was not accepted yet");
}

int main(void)
{
    RUN(tcp_inside_the_job_goes_on);
    RUN(tcp_over_ipv6_inside_the_job_goes_on);
    RUN(a_connection_full_to_the_brim_loses_nothing);
    RUN(a_connection_with_a_small_queue_loses_nothing);
    RUN(a_connection_that_leaves_the_job_is_closed_by_the_peer);
    RUN(udp_and_netlink_are_opened_again);
    RUN(a_packet_socket_is_refused);
    RUN(tcp_connections_in_a_backlog_wait_again);
    RUN(data_in_a_tcp_backlog_is_refused);
    return tap_done();
}
