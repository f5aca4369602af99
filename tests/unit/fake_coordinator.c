/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stand-in for dmtcp_coordinator, so that the door is tested where DMTCP is not.
 *
 * What it does was recorded from dmtcp_coordinator 3.2.0 and 4.2.0 by strace: it takes
 * the listening socket that it finds at 821, writes its port into --port-file, accepts
 * one at a time and reads the first message of each blocking, and lets everybody pass a
 * barrier by a message and the barrier's name with its NUL, each by a write of its own.
 *
 * Byte 120 of a client's first message is its request: 'w' joins as a worker; "s", "c",
 * "r", "o" write DMT:SUSPEND, DMT:WriteCkpt, DMT:Restart or another text of 12 bytes to
 * every worker; 'k' is DMTCP's kill. FAKE_COORDINATOR=port, silent or fails: misbehaves
 * at its start; hello: reads a message of 208 bytes and what is behind it, and says
 * what it has read; alone: ends if anybody else holds a connection that it has just
 * accepted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 821, WORKERS_MAX = 8, HELLO_SIZE = 208, WORD = 120, HELLO_MORE = 8 };

static void on_signal(int signal_number)
{
    (void)signal_number;
}

static void must_write(int fd, const void *data, size_t size)
{
    if (write(fd, data, size) != (ssize_t)size)
        exit(4);
}

static void write_port(const char *path, int port)
{
    char text[32];
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    must_write(fd, text, snprintf(text, sizeof(text), "%d", port));
    close(fd);
}

static void broadcast(const int *workers, int count, const char *name)
{
    char message[100] = "message";

    for (int i = 0; i < count; i++) {
        must_write(workers[i], message, sizeof(message));
        must_write(workers[i], name, strlen(name) + 1);
    }
}

/* What has gone is out of the set. DMTCP's coordinator hears of the end of one that has
 * not once more. */
static void check_alone(int fd)
{
    struct epoll_event event = {.events = EPOLLOUT};
    int set = epoll_create1(0);

    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
        exit(6);
    close(fd);
    if (epoll_wait(set, &event, 1, 0) != 0) {
        fprintf(stderr, "somebody else holds the connection\n");
        exit(7);
    }
    close(set);
}

static void tell_hello(int fd)
{
    char message[HELLO_SIZE + HELLO_MORE];

    /* By the size of the message, as DMTCP does. */
    if (read(fd, message, HELLO_SIZE) == HELLO_SIZE &&
        read(fd, message + HELLO_SIZE, HELLO_MORE) == HELLO_MORE)
        must_write(fd, message, sizeof(message));
    close(fd);
}

static void serve(const char *mode)
{
    int workers[WORKERS_MAX], count = 0;

    for (;;) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof(peer);
        int fd = accept(LISTENER, (struct sockaddr *)&peer, &size);
        char message[HELLO_SIZE], request;

        /* It waits in epoll_wait; this socket does not block, and we have no more. */
        if (fd < 0 && errno == EAGAIN) {
            usleep(1000);
            continue;
        }
        if (fd < 0)
            continue;
        /* DMTCP keeps the address that accept told it. */
        if (peer.ss_family != AF_INET || size != sizeof(struct sockaddr_in))
            exit(5);
        if (mode && strcmp(mode, "alone") == 0) {
            check_alone(fd);
            continue;
        }
        if (mode && strcmp(mode, "hello") == 0) {
            tell_hello(fd);
            continue;
        }
        request = read(fd, message, sizeof(message)) == HELLO_SIZE ? message[WORD] : 0;
        switch (request) {
        case 'w':
            if (count < WORKERS_MAX)
                workers[count++] = fd;
            must_write(fd, "welcome", 8);
            continue;
        case 's':
            broadcast(workers, count, "DMT:SUSPEND");
            break;
        case 'c':
            broadcast(workers, count, "DMT:WriteCkpt");
            break;
        case 'r':
            broadcast(workers, count, "DMT:Restart");
            break;
        case 'o':
            broadcast(workers, count, "DMT:another");
            break;
        case 'k':
            fprintf(stderr, "\033[0;33mkilled by a command\033[0m\n\033[0m");
            exit(3);
        }
        close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *mode = getenv("FAKE_COORDINATOR"), *path = NULL;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sockaddr_in name;
    socklen_t size = sizeof(name);

    sigaction(SIGALRM, &action, NULL);
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--port-file") == 0)
            path = argv[i + 1];
    if (!path || getsockname(LISTENER, (struct sockaddr *)&name, &size) < 0)
        return 6;
    if (mode && strcmp(mode, "fails") == 0) {
        fprintf(stderr, "first line\nno memory for the table\n");
        return 9;
    }
    if (mode && strcmp(mode, "silent") == 0)
        for (;;)
            pause();
    write_port(path, mode && strcmp(mode, "port") == 0 ? 7779 : ntohs(name.sin_port));
    serve(mode);
}
