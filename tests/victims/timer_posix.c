/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POSIX timers with gaps in their ids: values, intervals, owner thread, overruns, none.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "victim.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define COUNT 8

/* The kernel's ids: glibc's timer_t is the same number for these kinds. */
static int ids[COUNT];
static volatile sig_atomic_t ticks, last_value, wrong_thread;
static volatile long thread_tid;
static volatile bool end;

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    ticks++;
    last_value = info->si_value.sival_int;
    if (syscall(SYS_gettid) != thread_tid)
        wrong_thread = 1;
}

static void *thread(void *arg)
{
    thread_tid = syscall(SYS_gettid);
    while (!end)
        victim_sleep_ms(5);
    return arg;
}

static int create(clockid_t clock, struct sigevent *ev)
{
    int id = -1;

    NEED(syscall(SYS_timer_create, clock, ev, &id) == 0);
    return id;
}

static void set(int id, long first_ms, long interval_ms)
{
    struct itimerspec its = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                             {first_ms / 1000, first_ms % 1000 * 1000000}};

    NEED(syscall(SYS_timer_settime, id, 0, &its, NULL) == 0);
}

static void create_all(void)
{
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    struct sigevent queued = {.sigev_notify = SIGEV_SIGNAL,
                              .sigev_signo = SIGRTMIN + 3};
    struct sigevent to_thread = {.sigev_notify = SIGEV_THREAD_ID,
                                 .sigev_signo = SIGUSR1,
                                 .sigev_value.sival_int = 1234};

    to_thread.sigev_notify_thread_id = (int)thread_tid;
    queued.sigev_value.sival_int = 55;
    for (int i = 0; i < COUNT; i++)
        ids[i] = create(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, i == 3   ? &to_thread
                                                                  : i == 5 ? &queued
                                                                           : &none);
    /* Gaps: 0, 2 and 4 are gone. */
    for (int i = 0; i < 6; i += 2)
        NEED(syscall(SYS_timer_delete, ids[i]) == 0);
    set(ids[1], 3600000, 1000);
    set(ids[3], 40, 40);
    set(ids[5], 30, 30);
    set(ids[7], 2000000, 0);
}

static void check_left(const char *what, int id, long left_s, long interval_ms)
{
    struct itimerspec its;

    if (!CHECK(what, syscall(SYS_timer_gettime, id, &its) == 0))
        return;
    victim_check(its.it_value.tv_sec > left_s - 60 && its.it_value.tv_sec <= left_s,
                 what, "%ld s left, expected nearly %ld", (long)its.it_value.tv_sec,
                 left_s);
    CHECK_INT(what, its.it_interval.tv_sec * 1000 + its.it_interval.tv_nsec / 1000000,
              interval_ms);
}

static void check_queued(void)
{
    struct timespec wait = {2, 0};
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    CHECK_INT("the queued timer's signal", sigtimedwait(&set, &info, &wait),
              SIGRTMIN + 3);
    CHECK_INT("its code", info.si_code, SI_TIMER);
    CHECK_INT("its value", info.si_value.sival_int, 55);
    CHECK_INT("again", sigtimedwait(&set, &info, &wait), SIGRTMIN + 3);
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = handler,
                           .sa_flags = SA_SIGINFO | SA_RESTART};
    sigset_t block;
    pthread_t t;
    int from;

    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &block, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    NEED(pthread_create(&t, NULL, thread, NULL) == 0);
    while (!thread_tid)
        victim_sleep_ms(1);
    create_all();
    victim_wait();
    from = ticks;
    for (int i = 0; i < 6000 && ticks < from + 2; i++)
        victim_sleep_ms(10);
    CHECK("the thread's timer ticks", ticks >= from + 2);
    CHECK_INT("its value", last_value, 1234);
    CHECK_INT("always to the thread", wrong_thread, 0);
    check_left("an hour to go", ids[1], 3600, 1000);
    check_left("one shot", ids[7], 2000, 0);
    check_queued();
    for (int i = 0; i < 6; i += 2) {
        struct itimerspec its;

        CHECK("a deleted id stays free",
              syscall(SYS_timer_gettime, ids[i], &its) < 0 && errno == EINVAL);
    }
    CHECK("a new timer is created", create(CLOCK_MONOTONIC, NULL) >= 0);
    for (int i = 1; i < COUNT; i += i < 5 ? 2 : 1)
        CHECK_INT("delete", syscall(SYS_timer_delete, ids[i]), 0);
    end = true;
    pthread_join(t, NULL);
    return victim_end();
}
