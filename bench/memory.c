/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job for measurements: MIB megabytes of memory that no compression makes smaller,
 * and a loop that writes to one page after the other and keeps the longest time between
 * two turns.
 *
 *     memory MIB [4k]     with 4k: no transparent huge pages
 *
 * Prints "ready" when the memory is filled, and the longest gap when it gets SIGUSR1.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static volatile sig_atomic_t ask;

static void on_usr1(int signo)
{
    (void)signo;
    ask = 1;
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    size_t size = (size_t)atoi(argc > 1 ? argv[1] : "64") << 20;
    uint64_t *words =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t x = 88172645463325252ull;
    double last, gap = 0;

    if (words == MAP_FAILED)
        return 1;
    if (argc > 2)
        madvise(words, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size / sizeof(*words); i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[i] = x;
    }
    signal(SIGUSR1, on_usr1);
    puts("ready");
    fflush(stdout);
    last = now_ms();
    for (size_t page = 0;; page = (page + 7919) % (size / 4096)) {
        double now;

        words[page * 512]++;
        nanosleep(&(struct timespec){0, 50000}, NULL);
        now = now_ms();
        if (now - last > gap)
            gap = now - last;
        last = now;
        if (!ask)
            continue;
        ask = 0;
        printf("gap %.2f ms\n", gap);
        fflush(stdout);
        gap = 0;
    }
}
