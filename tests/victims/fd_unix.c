/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unix socket pairs: queued data both ways, half closed, datagrams, packets, options.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static void pair(int type, int fd[2])
{
    NEED(socketpair(AF_UNIX, type, 0, fd) == 0);
}

static void check_receive(const char *what, int fd, const char *want)
{
    char buf[64] = "";
    ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

    victim_check(n == (ssize_t)strlen(want) && strcmp(buf, want) == 0, what,
                 "%zd bytes \"%s\", expected \"%s\"", n, buf, want);
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, SOL_SOCKET, name, &value, &len);
    return value;
}

static pid_t peer_pid(int fd)
{
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);

    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
    return cred.pid;
}

int main(void)
{
    int stream[2], half[2], dgram[2], packet[2], closed[2], split[2], size = 100000,
                                                                      on = 1;
    static char big[150000], back[150000];
    char buf[64];
    pid_t child;
    ssize_t n, got = 0;

    signal(SIGPIPE, SIG_IGN);
    pair(SOCK_STREAM, stream);
    pair(SOCK_STREAM, half);
    pair(SOCK_DGRAM, dgram);
    pair(SOCK_SEQPACKET, packet);
    pair(SOCK_STREAM, closed);
    pair(SOCK_STREAM, split);
    NEED(setsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    NEED(setsockopt(stream[0], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
    NEED(setsockopt(stream[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    size = option(stream[0], SO_SNDBUF);
    victim_fill(big, sizeof(big), 71);
    NEED(send(stream[0], big, sizeof(big), 0) == (ssize_t)sizeof(big));
    NEED(send(stream[1], "back", 4, 0) == 4);
    NEED(send(half[0], "last", 4, 0) == 4 && shutdown(half[0], SHUT_WR) == 0);
    NEED(send(dgram[0], "one", 3, 0) == 3 && send(dgram[0], "three", 5, 0) == 5 &&
         send(dgram[1], "other way", 9, 0) == 9);
    NEED(send(packet[0], "p1", 2, 0) == 2 && send(packet[0], "packet2", 7, 0) == 7);
    NEED(send(closed[1], "will", 4, 0) == 4);
    close(closed[1]);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        close(split[0]);
        victim_wait_go();
        n = read(split[1], buf, sizeof(buf));
        _exit(n == 5 && write(split[1], buf, 5) == 5 ? 0 : 1);
    }
    close(split[1]);
    victim_wait();
    while ((n = recv(stream[1], back + got, sizeof(back) - (size_t)got, MSG_DONTWAIT)) >
           0)
        got += n;
    CHECK_INT("bytes queued on a stream", got, sizeof(big));
    CHECK("their content", memcmp(big, back, sizeof(big)) == 0);
    check_receive("the way back", stream[0], "back");
    CHECK_INT("send buffer", option(stream[0], SO_SNDBUF), size);
    CHECK_INT("an option", option(stream[0], SO_PASSCRED), 1);
    CHECK_INT("type", option(packet[1], SO_TYPE), SOCK_SEQPACKET);
    check_receive("half closed: the rest", half[1], "last");
    CHECK_INT("then the end", recv(half[1], buf, 1, MSG_DONTWAIT), 0);
    CHECK("the other way is open", send(half[1], "ok", 2, 0) == 2);
    check_receive("and works", half[0], "ok");
    check_receive("first datagram", dgram[1], "one");
    check_receive("third datagram", dgram[1], "three");
    check_receive("the datagram back", dgram[0], "other way");
    check_receive("first packet", packet[1], "p1");
    check_receive("second packet", packet[1], "packet2");
    check_receive("what a closed peer left", closed[0], "will");
    CHECK_INT("then the end", recv(closed[0], buf, 1, MSG_DONTWAIT), 0);
    CHECK("no sending to it", send(closed[0], "x", 1, 0) < 0 && errno == EPIPE);
    CHECK("credentials of the peer", peer_pid(stream[0]) > 0);
    NEED(write(split[0], "hello", 5) == 5);
    CHECK_INT("a pair across processes", read(split[0], buf, sizeof(buf)), 5);
    CHECK_INT("the child's end", victim_waitpid(child), 0);
    return victim_end();
}
