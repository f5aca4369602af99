/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unix sockets are saved and restored with what waits in them. */
#include "files_scenario.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

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

/* ---- connections that nobody has accepted yet ---- */

static void set_up_waiting(void)
{
    mkdir(scenario_path("there"), 0700);
    put(A, bind_unix(SOCK_STREAM, "there/waiting"));
    listen(A, 2);
    put(B, connect_unix(SOCK_STREAM, "there/waiting"));
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

    say(sock, "late");
    CHECK_STR(read_fd(B), "late");
}

static void unix_connections_in_a_backlog_wait_again(void)
{
    run(set_up_waiting, check_waiting, meanwhile_waiting);
}

static void set_up_eager(void)
{
    put(B, bind_unix(SOCK_STREAM, "waiting"));
    listen(B, 2);
    put(A, connect_unix(SOCK_STREAM, "waiting"));
    say(A, "nobody reads this");
}

static void data_in_a_unix_backlog_is_refused(void)
{
    refuse(set_up_eager, "was not accepted yet");
}

int main(void)
{
    RUN(unix_pairs_keep_what_waits_in_them);
    RUN(a_unix_socket_whose_peer_is_gone_still_has_its_data);
    RUN(a_unix_server_listens_again_and_strangers_are_cut_off);
    RUN(unix_datagrams_keep_their_boundaries);
    RUN(descriptors_on_their_way_are_refused);
    RUN(unix_connections_in_a_backlog_wait_again);
    RUN(data_in_a_unix_backlog_is_refused);
    return tap_done();
}
