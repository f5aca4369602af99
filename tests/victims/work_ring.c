/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ring of processes over pipes, socket pairs and loopback TCP; data is always on its
 * way. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "victim.h"

#define ROUNDS 110
#define BLOCK 24000

static void send_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);

        NEED(n > 0);
        done += (size_t)n;
    }
}

static bool receive_all(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)data + done, size - done);

        NEED(n >= 0);
        if (n == 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Takes blocks from `in`, changes each word, hands them to `out` until `in` ends. */
static void pass_on(int in, int out)
{
    static uint64_t block[BLOCK / 8];

    while (receive_all(in, block, sizeof(block))) {
        for (size_t i = 0; i < BLOCK / 8; i++)
            block[i] = victim_mix(block[i] + i);
        send_all(out, block, sizeof(block));
    }
    _exit(0);
}

static void tcp_pair(int pair[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    NEED(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0);
    NEED(listen(listener, 1) == 0);
    NEED(getsockname(listener, (struct sockaddr *)&a, &len) == 0);
    pair[1] = socket(AF_INET, SOCK_STREAM, 0);
    NEED(connect(pair[1], (struct sockaddr *)&a, sizeof(a)) == 0);
    pair[0] = accept(listener, NULL, NULL);
    NEED(pair[0] >= 0);
    close(listener);
}

int main(void)
{
    int link[4][2];
    pid_t child[3];
    uint64_t seed = 5;

    NEED(pipe(link[0]) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, link[1]) == 0);
    tcp_pair(link[2]);
    NEED(pipe(link[3]) == 0);
    for (int i = 0; i < 3; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        if (child[i] > 0)
            continue;
        for (int k = 0; k < 4; k++) {
            if (k != i)
                close(link[k][0]);
            if (k != i + 1)
                close(link[k][1]);
        }
        pass_on(link[i][0], link[i + 1][1]);
    }
    for (int k = 0; k < 4; k++) {
        if (k != 3)
            close(link[k][0]);
        if (k != 0)
            close(link[k][1]);
    }
    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        static uint64_t block[BLOCK / 8];

        victim_fill(block, sizeof(block), seed);
        send_all(link[0][1], block, sizeof(block));
        victim_sleep_ms(15);
        NEED(receive_all(link[3][0], block, sizeof(block)));
        for (size_t i = 0; i < BLOCK / 8; i++)
            seed = victim_mix(seed + block[i]);
        victim_say("round %d %016llx", round, (unsigned long long)seed);
    }
    close(link[0][1]);
    for (int i = 0; i < 3; i++)
        CHECK_INT("status of a child", victim_waitpid(child[i]), 0);
    return victim_end();
}
