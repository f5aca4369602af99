/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pipes with contents: some bytes, full, a chosen size, packets, closed ends,
 * non-blocking. */
#include <sys/ioctl.h>

#include "victim.h"

static int fill(int fd)
{
    char block[4096];
    int flags = fcntl(fd, F_GETFL), n, total = 0;

    memset(block, 'f', sizeof(block));
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while ((n = (int)write(fd, block, sizeof(block))) > 0)
        total += n;
    while ((n = (int)write(fd, block, 1)) > 0)
        total += n;
    fcntl(fd, F_SETFL, flags);
    return total;
}

static int queued(int fd)
{
    int n = -1;

    ioctl(fd, FIONREAD, &n);
    return n;
}

int main(void)
{
    int some[2], full[2], large[2], packet[2], no_writer[2], no_reader[2], split[2];
    char buf[64] = "";
    int total, got = 0, n;
    pid_t child;

    signal(SIGPIPE, SIG_IGN);
    NEED(pipe(some) == 0 && pipe(full) == 0 && pipe2(large, O_NONBLOCK) == 0);
    NEED(pipe2(packet, O_DIRECT) == 0 && pipe(no_writer) == 0 && pipe(no_reader) == 0);
    NEED(pipe(split) == 0);
    NEED(write(some[1], "in flight", 9) == 9);
    total = fill(full[1]);
    NEED(fcntl(large[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18);
    NEED(write(packet[1], "one", 3) == 3 && write(packet[1], "second", 6) == 6);
    NEED(write(no_writer[1], "last words", 10) == 10);
    close(no_writer[1]);
    close(no_reader[0]);
    NEED(write(split[1], "to the child", 12) == 12);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        close(split[1]);
        victim_wait_go();
        n = (int)read(split[0], buf, sizeof(buf));
        _exit(n == 12 && memcmp(buf, "to the child", 12) == 0 &&
                      read(split[0], buf, 1) == 0
                  ? 0
                  : 1);
    }
    close(split[0]);
    victim_wait();
    CHECK_INT("some bytes", queued(some[0]), 9);
    NEED(read(some[0], buf, sizeof(buf)) == 9);
    CHECK("what they are", memcmp(buf, "in flight", 9) == 0);
    CHECK_INT("a full pipe", queued(full[0]), total);
    fcntl(full[1], F_SETFL, O_NONBLOCK);
    CHECK("is full", write(full[1], "x", 1) < 0 && errno == EAGAIN);
    fcntl(full[0], F_SETFL, O_NONBLOCK);
    while ((n = (int)read(full[0], buf, sizeof(buf))) > 0)
        got += n;
    CHECK_INT("and gives back all of it", got, total);
    CHECK_INT("chosen size", fcntl(large[0], F_GETPIPE_SZ), 1 << 18);
    CHECK("non-blocking", read(large[0], buf, 1) < 0 && errno == EAGAIN);
    CHECK_INT("first packet", read(packet[0], buf, sizeof(buf)), 3);
    CHECK_INT("second packet", read(packet[0], buf, sizeof(buf)), 6);
    CHECK_INT("last words", read(no_writer[0], buf, sizeof(buf)), 10);
    CHECK_INT("then the end", read(no_writer[0], buf, sizeof(buf)), 0);
    CHECK("no reader", write(no_reader[1], "x", 1) < 0 && errno == EPIPE);
    close(split[1]);
    CHECK_INT("the child's end", victim_waitpid(child), 0);
    return victim_end();
}
