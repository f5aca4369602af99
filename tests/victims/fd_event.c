/* SPDX-License-Identifier: GPL-3.0-or-later */
/* eventfd (counter, semaphore, non-blocking), timerfd (three kinds), signalfd. */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "victim.h"

static uint64_t take(int fd)
{
    uint64_t v = 0;

    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

static int timer(clockid_t clock, long first_ms, long interval_ms, int flags)
{
    struct itimerspec its = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                             {first_ms / 1000, first_ms % 1000 * 1000000}};
    int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);

    NEED(fd >= 0);
    if (flags & TFD_TIMER_ABSTIME) {
        struct timespec now;

        clock_gettime(clock, &now);
        its.it_value.tv_sec += now.tv_sec;
    }
    NEED(timerfd_settime(fd, flags, &its, NULL) == 0);
    return fd;
}

static long left_s(int fd)
{
    struct itimerspec its;

    return timerfd_gettime(fd, &its) == 0 ? (long)its.it_value.tv_sec : -1;
}

static bool becomes_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    int r;

    do
        r = poll(&p, 1, 3000);
    while (r < 0 && errno == EINTR);
    return r == 1 && p.revents == POLLIN;
}

static void check_signalfd(int fd)
{
    struct signalfd_siginfo si;

    CHECK("signalfd is readable", becomes_readable(fd));
    CHECK_INT("read", read(fd, &si, sizeof(si)), sizeof(si));
    CHECK_INT("the signal", si.ssi_signo, SIGRTMIN + 1);
    CHECK_INT("its value", si.ssi_int, 77);
    CHECK("no other", read(fd, &si, sizeof(si)) < 0 && errno == EAGAIN);
    kill(getpid(), SIGUSR1);
    CHECK("a new signal",
          read(fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1);
}

int main(void)
{
    int plain = eventfd(5, EFD_CLOEXEC | EFD_NONBLOCK);
    int semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    int far = timer(CLOCK_MONOTONIC, 3600000, 0, 0);
    int absolute = timer(CLOCK_BOOTTIME, 1800000, 0, TFD_TIMER_ABSTIME);
    int real = timer(CLOCK_REALTIME, 900000, 60000, 0);
    int ticking = timer(CLOCK_MONOTONIC, 20, 20, 0);
    int expired = timer(CLOCK_MONOTONIC, 1, 0, 0), unset;
    union sigval v = {.sival_int = 77};
    sigset_t set;
    int sig;

    unset = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sig = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    NEED(plain >= 0 && semaphore >= 0 && sig >= 0 && unset >= 0);
    NEED(sigqueue(getpid(), SIGRTMIN + 1, v) == 0);
    victim_sleep_ms(10);
    victim_wait();
    CHECK_INT("eventfd", (long long)take(plain), 5);
    CHECK_INT("then empty", (long long)take(plain), 0);
    CHECK_INT("semaphore", (long long)take(semaphore), 1);
    CHECK_INT("semaphore again", (long long)take(semaphore), 1);
    CHECK_INT("timer of an hour", left_s(far) > 3500 && left_s(far) < 3600, 1);
    CHECK_INT("absolute timer", left_s(absolute) > 1700 && left_s(absolute) < 1800, 1);
    CHECK_INT("real-time timer", left_s(real) > 800 && left_s(real) < 900, 1);
    CHECK_INT("a timer that is not set", left_s(unset), 0);
    take(ticking);
    CHECK("ticking timer", becomes_readable(ticking) && take(ticking) >= 1);
    CHECK_INT("an expiry that was not read", (long long)take(expired), 1);
    CHECK_INT("is read once", (long long)take(expired), 0);
    check_signalfd(sig);
    return victim_end();
}
