/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child that wants a signal at its parent's death gets it, and not earlier. */
#include <sys/prctl.h>

#include "victim.h"

static volatile sig_atomic_t died;

static void on_death(int sig)
{
    (void)sig;
    died = 1;
}

/* Waits until the parent has ended; reports how often the signal came, and when. */
static void watch(int out, pid_t parent)
{
    struct sigaction sa = {.sa_handler = on_death};
    char report[2] = {0, 0};

    sigaction(SIGUSR1, &sa, NULL);
    NEED(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    NEED(write(out, "r", 1) == 1);
    for (;;) {
        char early = (char)died;

        /* The signal comes with the parent's end: what counts is what came before. */
        if (getppid() != parent)
            break;
        report[0] = early;
        victim_sleep_ms(5);
    }
    for (int i = 0; i < 12000 && !died; i++)
        victim_sleep_ms(5);
    report[1] = (char)died;
    NEED(write(out, report, 2) == 2);
    _exit(0);
}

int main(void)
{
    int p[2], q[2];
    pid_t parent;
    char report[2], c;

    NEED(pipe(p) == 0 && pipe(q) == 0);
    parent = fork();
    if (parent == 0) {
        pid_t me = getpid();

        close(q[1]);
        if (fork() == 0)
            watch(p[1], me);
        /* Until the root closes its end: the root's go, not ours. */
        NEED(read(q[0], &c, 1) == 0);
        _exit(4);
    }
    close(q[0]);
    NEED(read(p[0], &c, 1) == 1);
    victim_wait();
    victim_sleep_ms(50);
    close(q[1]);
    CHECK_INT("end of the parent", victim_waitpid(parent), 4 << 8);
    NEED(read(p[0], report, 2) == 2);
    CHECK_INT("no signal while the parent lived", report[0], 0);
    CHECK_INT("signal when it died", report[1], 1);
    return victim_end();
}
