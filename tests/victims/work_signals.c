/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two processes play ping-pong with queued signals while a timer ticks: none is lost.
 */
#include <sys/prctl.h>
#include <sys/time.h>

#include "victim.h"

#define ROUNDS 400

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
    (void)sig;
    ticks++;
}

static int receive(int sig)
{
    sigset_t set;
    siginfo_t info;

    sigemptyset(&set);
    sigaddset(&set, sig);
    while (sigwaitinfo(&set, &info) < 0)
        NEED(errno == EINTR);
    NEED(info.si_code == SI_QUEUE);
    return info.si_value.sival_int;
}

static void play(pid_t other, int mine, int theirs, bool first)
{
    for (int round = 0; round < ROUNDS; round++) {
        union sigval v = {.sival_int = round * 3};
        int got;

        if (first)
            NEED(sigqueue(other, theirs, v) == 0);
        got = receive(mine);
        if (got != round * 3)
            victim_say("FAIL round %d: saw value %d", round, got);
        if (!first)
            NEED(sigqueue(other, theirs, v) == 0);
        if (first && round % 20 == 0)
            victim_say("round %d", round);
        if (first)
            victim_sleep_ms(4);
    }
}

int main(void)
{
    struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 7000}, {0, 7000}};
    pid_t parent = getpid(), child;
    sigset_t block;

    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN + 1);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, NULL);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        play(parent, SIGRTMIN + 1, SIGUSR2, false);
        _exit(0);
    }
    sigaction(SIGALRM, &sa, NULL);
    NEED(setitimer(ITIMER_REAL, &every, NULL) == 0);
    victim_ready();
    play(child, SIGUSR2, SIGRTMIN + 1, true);
    CHECK_INT("status of the child", victim_waitpid(child), 0);
    /* 400 rounds of 4 ms are at least 228 ticks of 7 ms; a loaded machine merges some.
     */
    CHECK("the timer ticked all the time", ticks > 100);
    return victim_end();
}
