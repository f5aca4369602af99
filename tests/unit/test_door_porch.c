/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long the door waits for the first message of a connection. */
#include "dmtcp/hello.h"
#include "dmtcp/porch.h"

#include "tap.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct porch porch;
static struct sockaddr_in name; /* of a socket that listens */

static int listen_here(void)
{
    socklen_t size = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name = (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(bind(fd, (struct sockaddr *)&name, size), 0);
    CHECK_INT(listen(fd, PORCH_MAX), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    return fd;
}

/* One who has connected and been put into the porch; his own end. */
static int guest(int listener, long long now_ms)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);
    int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    CHECK_INT(connect(own, (struct sockaddr *)&name, sizeof(name)), 0);
    fd = accept(listener, (struct sockaddr *)&address, &size);
    CHECK(fd >= 0);
    porch_add(&porch, &fd, &address, now_ms);
    return own;
}

static bool somebody_leaves(long long now_ms)
{
    struct sockaddr_in address;
    int fd = -1;
    bool leaves = porch_look(&porch, &name, now_ms, &fd, &address);

    if (leaves)
        close(fd);
    return leaves;
}

static void say(int fd, size_t size)
{
    static const char hello[HELLO_SIZE] = "DMTCP_CKPT_V0\n";

    CHECK_INT(send(fd, hello, size, MSG_NOSIGNAL), (long long)size);
}

static void who_is_silent_for_a_minute_is_sent_away(void)
{
    int listener = listen_here(), first, second, timeout_ms;
    struct pollfd fds[PORCH_MAX];

    porch_init(&porch);
    first = guest(listener, 1000);
    second = guest(listener, 2000);
    say(second, 20);
    CHECK_INT(porch_poll(&porch, fds, 2000, &timeout_ms), 2);
    CHECK_INT(timeout_ms, PORCH_WAIT_MS - 1000);
    CHECK(!somebody_leaves(1000 + PORCH_WAIT_MS - 1));
    CHECK(somebody_leaves(1000 + PORCH_WAIT_MS));
    CHECK(!somebody_leaves(1000 + PORCH_WAIT_MS));
    CHECK(somebody_leaves(2000 + PORCH_WAIT_MS));
    CHECK_INT(porch_poll(&porch, fds, 0, &timeout_ms), 0);
    CHECK_INT(timeout_ms, -1);
    close(first);
    close(second);
    close(listener);
}

/* Only a whole message is worth a look: who sends it byte by byte keeps nobody busy. */
static void a_whole_message_makes_the_door_knock(void)
{
    int listener = listen_here(), own, fd, timeout_ms;
    struct pollfd fds[PORCH_MAX];
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    porch_init(&porch);
    own = guest(listener, 0);
    say(own, 20);
    CHECK_INT(porch_poll(&porch, fds, 0, &timeout_ms), 1);
    CHECK_INT(poll(fds, 1, 100), 0);
    CHECK(porch_take(&porch, &address) < 0);
    say(own, HELLO_SIZE - 20);
    CHECK_INT(poll(fds, 1, 60000), 1);
    CHECK(!somebody_leaves(0));
    fd = accept(listener, (struct sockaddr *)&address, &size);
    CHECK(fd >= 0);
    CHECK(porch_is_knock(&porch, &address));
    CHECK(!porch_is_knock(&porch, &address));
    close(fd);
    fd = porch_take(&porch, &address);
    CHECK(fd >= 0);
    CHECK(porch_take(&porch, &address) < 0);
    close(fd);
    close(own);
    close(listener);
}

int main(void)
{
    RUN(who_is_silent_for_a_minute_is_sent_away);
    RUN(a_whole_message_makes_the_door_knock);
    return tap_done();
}
