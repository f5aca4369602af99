/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Processes with threads end all the time, by exit and by a signal, at any moment. */
#include <pthread.h>

#include "victim.h"

#define ROUNDS 110
#define THREADS 3

static void *spin(void *arg)
{
    for (volatile long i = 0;; i++)
        if (i % 20000 == 0)
            victim_sleep_ms(1);
    return arg;
}

/* Ends with three threads running, by exit or by a signal. */
static void short_life(int round)
{
    pthread_t t;

    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&t, NULL, spin, NULL) == 0);
    if (round % 4 == 0)
        victim_sleep_ms(2);
    if (round % 3 == 1)
        raise(SIGKILL);
    _exit(round % 200);
}

int main(void)
{
    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        int want = round % 3 == 1 ? SIGKILL : (round % 200) << 8;
        pid_t pid = fork();
        int status;

        NEED(pid >= 0);
        if (pid == 0)
            short_life(round);
        status = victim_waitpid(pid);
        if (status != want)
            victim_say("FAIL round %d: saw status %x, expected %x", round, status,
                       want);
        victim_say("round %d", round);
        victim_sleep_ms(8);
    }
    return 0;
}
