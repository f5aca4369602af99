/* SPDX-License-Identifier: GPL-3.0-or-later */
/* setitimer's three timers: they go on, with their intervals; alarm() far away stays.
 */
#include <sys/time.h>

#include "victim.h"

static volatile sig_atomic_t got[65];

static void handler(int sig)
{
    got[sig]++;
}

/* Burns CPU until `sig` came twice; false when it does not come. */
static bool comes(int sig)
{
    int from = got[sig];
    int64_t end = victim_now_ms() + 10000;

    while (got[sig] < from + 2)
        if (victim_now_ms() > end)
            return false;
    return true;
}

static void check_interval(const char *what, __itimer_which_t which, long usec)
{
    struct itimerval now;

    NEED(getitimer(which, &now) == 0);
    CHECK_INT(what, now.it_interval.tv_sec * 1000000 + now.it_interval.tv_usec, usec);
}

/* A timer of an hour: what is left may only be a little less. */
static void far_away(void)
{
    struct itimerval now;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(3600);
        victim_wait_go();
        NEED(getitimer(ITIMER_REAL, &now) == 0);
        _exit(now.it_value.tv_sec >= 3570 && now.it_value.tv_sec <= 3600 ? 0 : 1);
    }
    victim_wait();
    CHECK_INT("an alarm in an hour", victim_waitpid(pid), 0);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval real = {{0, 60000}, {0, 60000}};
    struct itimerval virt = {{0, 30000}, {0, 30000}};
    struct itimerval prof = {{0, 40000}, {0, 40000}};

    sigaction(SIGALRM, &sa, NULL);
    sigaction(SIGVTALRM, &sa, NULL);
    sigaction(SIGPROF, &sa, NULL);
    NEED(setitimer(ITIMER_REAL, &real, NULL) == 0);
    NEED(setitimer(ITIMER_VIRTUAL, &virt, NULL) == 0);
    NEED(setitimer(ITIMER_PROF, &prof, NULL) == 0);
    far_away();
    check_interval("interval of the real timer", ITIMER_REAL, 60000);
    check_interval("interval of the virtual timer", ITIMER_VIRTUAL, 30000);
    check_interval("interval of the profiling timer", ITIMER_PROF, 40000);
    CHECK("SIGALRM comes", comes(SIGALRM));
    CHECK("SIGVTALRM comes", comes(SIGVTALRM));
    CHECK("SIGPROF comes", comes(SIGPROF));
    return victim_end();
}
