/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that are connected with each other: sockets, terminals, epoll. */
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
#include <pty.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/* Descriptors of the set-ups, above what the test program uses itself. */
enum { A = 10, B, C, D, F };

static void put(int at, int fd)
{
    if (fd < 0 || dup2(fd, at) < 0)
        abort();
    if (fd != at)
        close(fd);
}

static const char *read_fd(int fd)
{
    static char text[256];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = 0;
    return n < 0 ? strerrorname_np(errno) : text;
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
}

static void run(void (*set_up)(void), void (*check)(int), void (*meanwhile)(void))
{
    struct scenario s = {.set_up = set_up, .check = check, .meanwhile = meanwhile};

    scenario_dir();
    CHECK(scenario_run(&s));
    scenario_clean();
}

/* Also without a restart: saving must leave no trace. */
static void run_twice(void (*set_up)(void), void (*check)(int))
{
    struct scenario s = {.set_up = set_up, .check = check, .live = true};

    run(set_up, check, NULL);
    scenario_dir();
    CHECK(scenario_run(&s));
    scenario_clean();
}

static void refuse(void (*set_up)(void), const char *part)
{
    struct scenario s = {.set_up = set_up};

    scenario_dir();
    CHECK_INT(scenario_save(&s), -1);
    CHECK_INT(s.e.kind, ERR_REFUSED);
    CHECK_HAS(s.e.text, " descriptor 10 is ");
    CHECK_HAS(s.e.text, part);
    image_free(s.image);
    scenario_clean();
}

/* ---- unix sockets ---- */

static void put_pair(int type, int a, int b)
{
    int ends[2];

    if (socketpair(AF_UNIX, type, 0, ends) < 0)
        abort();
    put(a, ends[0]);
    put(b, ends[1]);
}

static void set_up_pair(void)
{
    int size = 40000;

    put_pair(SOCK_STREAM, A, B);
    setsockopt(A, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    say(A, "from a");
    say(A, " in two");
    say(B, "from b");
    fcntl(B, F_SETFL, O_NONBLOCK);
    put_pair(SOCK_SEQPACKET, C, D);
    say(C, "first");
    say(C, "second");
    shutdown(C, SHUT_WR);
}

static void check_pair(int process)
{
    int size = 0;
    socklen_t length = sizeof(size);

    CHECK_STR(read_fd(B), "from a in two");
    CHECK_STR(read_fd(B), "EAGAIN");
    CHECK_STR(read_fd(A), "from b");
    CHECK_INT(getsockopt(A, SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    CHECK_INT(size, 80000);
    CHECK_STR(read_fd(D), "first");
    CHECK_STR(read_fd(D), "second");
    CHECK_STR(read_fd(D), "");
    say(D, "back");
    CHECK_STR(read_fd(C), "back");
}

static void unix_pairs_keep_what_waits_in_them(void)
{
    run_twice(set_up_pair, check_pair);
}

static void set_up_gone(void)
{
    put_pair(SOCK_STREAM, A, B);
    say(B, "last words");
    close(B);
}

static void check_gone(int process)
{
    CHECK_STR(read_fd(A), "last words");
    CHECK_STR(read_fd(A), "");
    CHECK_INT(send(A, "x", 1, MSG_NOSIGNAL), -1);
    CHECK_INT(errno, EPIPE);
}

static void a_unix_socket_whose_peer_is_gone_still_has_its_data(void)
{
    run_twice(set_up_gone, check_gone);
}

static struct sockaddr_un unix_address(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", scenario_path(name));
    return address;
}

static int connect_unix(int type, const char *name)
{
    struct sockaddr_un address = unix_address(name);
    int sock = socket(AF_UNIX, type, 0);

    return connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : sock;
}

static int bind_unix(int type, const char *name)
{
    struct sockaddr_un address = unix_address(name);
    int sock = socket(AF_UNIX, type, 0);

    return bind(sock, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : sock;
}

static int outside = -1;

static void set_up_unix_names(void)
{
    put(A, bind_unix(SOCK_STREAM, "listener"));
    chmod(scenario_path("listener"), 0600);
    listen(A, 3);
    put(B, connect_unix(SOCK_STREAM, "listener"));
    put(C, accept(A, NULL, NULL));
    say(B, "to the server");
    put(D, connect_unix(SOCK_STREAM, "outside"));
}

static void check_unix_names(int process)
{
    struct stat st;

    CHECK_STR(read_fd(C), "to the server");
    say(C, "answer");
    CHECK_STR(read_fd(B), "answer");
    CHECK_STR(read_fd(D), "");
    CHECK(stat(scenario_path("listener"), &st) == 0 && (st.st_mode & 0777) == 0600);
    close(B);
    put(B, connect_unix(SOCK_STREAM, "listener"));
    close(C);
    put(C, accept(A, NULL, NULL));
    say(B, "again");
    CHECK_STR(read_fd(C), "again");
}

static void a_unix_server_listens_again_and_strangers_are_cut_off(void)
{
    scenario_dir();
    outside = bind_unix(SOCK_STREAM, "outside");
    fcntl(outside, F_SETFD, FD_CLOEXEC);
    listen(outside, 1);
    run(set_up_unix_names, check_unix_names, NULL);
    close(outside);
}

static void set_up_datagrams(void)
{
    put(A, bind_unix(SOCK_DGRAM, "receiver"));
    put(B, connect_unix(SOCK_DGRAM, "receiver"));
    say(B, "one");
    say(B, "two");
    put_pair(SOCK_DGRAM, C, D);
    say(C, "three");
    say(C, "");
    say(C, "four");
}

static void check_datagrams(int process)
{
    CHECK_STR(read_fd(A), "one");
    CHECK_STR(read_fd(A), "two");
    say(B, "five");
    CHECK_STR(read_fd(A), "five");
    CHECK_STR(read_fd(D), "three");
    CHECK_STR(read_fd(D), "");
    CHECK_STR(read_fd(D), "four");
    say(D, "back");
    CHECK_STR(read_fd(C), "back");
}

static void unix_datagrams_keep_their_boundaries(void)
{
    run_twice(set_up_datagrams, check_datagrams);
}

static void set_up_rights(void)
{
    char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {.iov_base = "x", .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = room,
                         .msg_controllen = sizeof(room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    put_pair(SOCK_STREAM, A, B);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &(int){0}, sizeof(int));
    if (sendmsg(B, &msg, 0) != 1)
        abort();
}

static void descriptors_on_their_way_are_refused(void)
{
    refuse(set_up_rights, "descriptors are being passed");
}

/* ---- network sockets ---- */

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

static void check_tcp(int process)
{
    struct sockaddr_storage at;
    socklen_t size = sizeof(at), length;
    int on = 0, sock;

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

static struct sockaddr_storage outside_at;
static socklen_t outside_size;

static void set_up_foreign(void)
{
    put(A, connect_inet(&outside_at, outside_size));
    put(B, socket(AF_INET, SOCK_STREAM, 0));
}

static void check_foreign(int process)
{
    CHECK_STR(read_fd(A), "");
    send(A, "x", 1, MSG_NOSIGNAL);
    usleep(10000);
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
    mkdir(scenario_path("there"), 0700);
    put(C, bind_unix(SOCK_STREAM, "there/waiting"));
    listen(C, 2);
    put(D, connect_unix(SOCK_STREAM, "there/waiting"));
}

/* Another host. */
static void meanwhile_waiting(void)
{
    CHECK_INT(unlink(scenario_path("there/waiting")), 0);
    CHECK_INT(rmdir(scenario_path("there")), 0);
}

static void check_waiting(int process)
{
    int sock = accept(A, NULL, NULL);

    say(B, "late");
    CHECK_STR(read_fd(sock), "late");
    sock = accept(C, NULL, NULL);
    say(sock, "later");
    CHECK_STR(read_fd(D), "later");
}

static void connections_in_a_backlog_wait_again(void)
{
    run(set_up_waiting, check_waiting, meanwhile_waiting);
}

static void set_up_eager_tcp(void)
{
    struct sockaddr_storage at;
    socklen_t size;

    put(B, listen_inet(AF_INET, &at, &size));
    put(A, connect_inet(&at, size));
    say(A, "nobody reads this");
}

static void set_up_eager_unix(void)
{
    put(B, bind_unix(SOCK_STREAM, "waiting"));
    listen(B, 2);
    put(A, connect_unix(SOCK_STREAM, "waiting"));
    say(A, "nobody reads this");
}

static void data_in_a_backlog_is_refused(void)
{
    refuse(set_up_eager_tcp, "was not accepted yet");
    refuse(set_up_eager_unix, "was not accepted yet");
}

/* ---- terminals ---- */

static void set_up_pty(void)
{
    struct winsize size = {.ws_row = 33, .ws_col = 111};
    struct termios settings;
    int master, slave;

    if (openpty(&master, &slave, NULL, NULL, &size) < 0)
        abort();
    put(A, master);
    put(B, slave);
    tcgetattr(B, &settings);
    settings.c_lflag &= ~(ECHO | ICANON);
    settings.c_oflag &= ~OPOST;
    tcsetattr(B, TCSANOW, &settings);
    put(C, open("/dev/ptmx", O_RDWR | O_NOCTTY));
    say(A, "in");
    say(B, "out");
}

static void check_pty(int process)
{
    struct winsize size = {0};
    struct termios settings;
    unsigned a = 0, c = 0;

    CHECK_INT(ioctl(B, TIOCGWINSZ, &size), 0);
    CHECK_INT(size.ws_row, 33);
    CHECK_INT(size.ws_col, 111);
    CHECK_INT(tcgetattr(B, &settings), 0);
    CHECK_INT(settings.c_lflag & (ECHO | ICANON), 0);
    CHECK_STR(read_fd(A), "out");
    CHECK_STR(read_fd(B), "in");
    say(A, "typed");
    CHECK_STR(read_fd(B), "typed");
    say(B, "printed\n");
    CHECK_STR(read_fd(A), "printed\n");
    CHECK_INT(ioctl(A, TIOCGPTN, &a), 0);
    CHECK_INT(ioctl(C, TIOCGPTN, &c), 0);
    CHECK(a != c);
    close(B);
    CHECK_STR(read_fd(A), "EIO");
}

static void a_pseudo_terminal_keeps_its_settings(void)
{
    run_twice(set_up_pty, check_pty);
}

/* By lines, with echo, and the master in packet mode. */
static void set_up_canonical(void)
{
    int master, slave, on = 1;

    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        abort();
    put(A, master);
    put(B, slave);
    say(A, "one\ntwo\n");
    ioctl(A, TIOCPKT, &on);
}

static void check_canonical(int process)
{
    struct termios settings;
    char status = 1, rest[64];
    ssize_t n;

    CHECK_STR(read_fd(B), "one\n");
    CHECK_STR(read_fd(B), "two\n");
    CHECK_INT(tcgetattr(B, &settings), 0);
    CHECK_INT(settings.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
    CHECK_INT(settings.c_oflag & OPOST, OPOST);
    n = read(A, rest, sizeof(rest));
    CHECK_INT(n, 1 + 10); /* a packet: its status and the echo of both lines */
    status = rest[0];
    CHECK_INT(status, TIOCPKT_DATA);
    CHECK(n == 11 && memcmp(rest + 1, "one\r\ntwo\r\n", 10) == 0);
}

static void lines_for_a_terminal_stay_lines(void)
{
    run_twice(set_up_canonical, check_canonical);
}

/* ---- epoll ---- */

static void watch(int epoll, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        abort();
}

static void set_up_epoll(void)
{
    int extra;

    put(A, epoll_create1(0));
    put(B, eventfd(1, 0));
    put(C, eventfd(0, 0));
    watch(A, B, EPOLLIN, 0x1122334455667788);
    watch(A, C, EPOLLIN | EPOLLET, 2);
    put(D, epoll_create1(0));
    watch(D, A, EPOLLIN, 3);
    /* An entry whose number is gone, while the description lives on. */
    extra = dup(C);
    watch(D, extra, EPOLLOUT, 4);
    close(extra);
}

static void check_epoll(int process)
{
    struct epoll_event events[4];
    uint64_t seen = 0;

    CHECK_INT(epoll_wait(A, events, 4, 0), 1);
    CHECK(events[0].data.u64 == 0x1122334455667788);
    CHECK_INT(epoll_wait(D, events, 4, 0), 2);
    seen = events[0].data.u64 * 10 + events[1].data.u64;
    CHECK(seen == 34 || seen == 43);
    CHECK_INT(eventfd_write(C, 1), 0);
    CHECK_INT(epoll_wait(A, events, 4, 0), 2);
    CHECK_INT(epoll_wait(A, events, 4, 0), 1);
    CHECK_INT(epoll_ctl(A, EPOLL_CTL_DEL, B, NULL), 0);
    CHECK_INT(epoll_wait(A, events, 4, 0), 0);
}

static void epoll_watches_what_it_watched(void)
{
    run_twice(set_up_epoll, check_epoll);
}

static void set_up_shared_epoll(void)
{
    put(A, epoll_create1(0));
    put(B, eventfd(0, 0));
    watch(A, B, EPOLLIN, 5);
    if (scenario_fork() == 0) {
        put(B, eventfd(0, 0)); /* the number means something else here */
        scenario_stop();
    }
}

static void check_shared_epoll(int process)
{
    struct epoll_event event;

    if (process == 1) {
        CHECK_INT(epoll_wait(A, &event, 1, 5000), 1);
        CHECK_INT(event.data.u64, 5);
    } else {
        CHECK_INT(eventfd_write(B, 1), 0);
        usleep(50000);
    }
}

static void an_epoll_instance_may_be_shared(void)
{
    run_twice(set_up_shared_epoll, check_shared_epoll);
}

int main(void)
{
    scenario_failed = &tap_test_failed;
    RUN(unix_pairs_keep_what_waits_in_them);
    RUN(a_unix_socket_whose_peer_is_gone_still_has_its_data);
    RUN(a_unix_server_listens_again_and_strangers_are_cut_off);
    RUN(unix_datagrams_keep_their_boundaries);
    RUN(descriptors_on_their_way_are_refused);
    RUN(tcp_inside_the_job_goes_on);
    RUN(tcp_over_ipv6_inside_the_job_goes_on);
    RUN(a_connection_full_to_the_brim_loses_nothing);
    RUN(a_connection_with_a_small_queue_loses_nothing);
    RUN(a_connection_that_leaves_the_job_is_closed_by_the_peer);
    RUN(connections_in_a_backlog_wait_again);
    RUN(data_in_a_backlog_is_refused);
    RUN(udp_and_netlink_are_opened_again);
    RUN(a_packet_socket_is_refused);
    RUN(a_pseudo_terminal_keeps_its_settings);
    RUN(lines_for_a_terminal_stay_lines);
    RUN(epoll_watches_what_it_watched);
    RUN(an_epoll_instance_may_be_shared);
    return tap_done();
}
