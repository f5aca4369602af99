/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nanosleep and its relatives last as long as asked for; nobody sees EINTR. */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "victim.h"

#define LONG_MS 400
/* How much longer than asked for: a loaded machine, and a restart in between. */
/* Seconds of it may pass at one checkpoint, on a busy machine. */
#define SLACK_MS 60000

static int by_nanosleep(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};

    return nanosleep(&ts, NULL);
}

static int by_nanosleep_rest(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L}, rest;

    return nanosleep(&ts, &rest);
}

static int by_clock_relative(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};

    return clock_nanosleep(CLOCK_BOOTTIME, 0, &ts, NULL);
}

static int by_clock_absolute(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += LONG_MS * 1000000L;
    ts.tv_sec += ts.tv_nsec / 1000000000L;
    ts.tv_nsec %= 1000000000L;
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int by_poll(void)
{
    return poll(NULL, 0, LONG_MS);
}

static int by_ppoll(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};

    return ppoll(NULL, 0, &ts, NULL);
}

static int by_select(void)
{
    struct timeval tv = {0, LONG_MS * 1000L};

    return select(0, NULL, NULL, NULL, &tv);
}

static int by_pselect(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};

    return pselect(0, NULL, NULL, NULL, &ts, NULL);
}

static int by_epoll(void)
{
    struct epoll_event ev;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int r;

    NEED(fd >= 0);
    r = epoll_wait(fd, &ev, 1, LONG_MS);
    close(fd);
    return r;
}

static int by_futex(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};
    int word = 1;
    long r = syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 1, &ts, NULL, 0);

    return r < 0 && errno == ETIMEDOUT ? 0 : -1;
}

static int by_cond(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    pthread_condattr_t attr;
    struct timespec ts;
    int r;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c, &attr);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += LONG_MS * 1000000L;
    ts.tv_sec += ts.tv_nsec / 1000000000L;
    ts.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&m);
    do
        r = pthread_cond_timedwait(&c, &m, &ts);
    while (r == 0);
    pthread_mutex_unlock(&m);
    return r == ETIMEDOUT ? 0 : -1;
}

static int by_sigtimedwait(void)
{
    struct timespec ts = {0, LONG_MS * 1000000L};
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 9);
    r = sigtimedwait(&set, NULL, &ts);
    return r < 0 && errno == EAGAIN ? 0 : -1;
}

struct way {
    const char *name;
    int (*call)(void);
    /* The kernel's own rule (signal(7)): these see EINTR after a stop, handler or not.
     */
    bool interruptible;
    int rounds, bad, error;
    int64_t shortest, longest;
    pthread_t thread;
};

static struct way ways[] = {
    {.name = "nanosleep", .call = by_nanosleep},
    {.name = "nanosleep with a rest", .call = by_nanosleep_rest},
    {.name = "clock_nanosleep", .call = by_clock_relative},
    {.name = "clock_nanosleep until", .call = by_clock_absolute},
    {.name = "poll", .call = by_poll},
    {.name = "ppoll", .call = by_ppoll},
    {.name = "select", .call = by_select},
    {.name = "pselect", .call = by_pselect},
    {.name = "epoll_wait", .call = by_epoll, .interruptible = true},
    {.name = "futex", .call = by_futex},
    {.name = "pthread_cond_timedwait", .call = by_cond},
    {.name = "sigtimedwait", .call = by_sigtimedwait, .interruptible = true},
};
#define COUNT (sizeof(ways) / sizeof(ways[0]))

static volatile bool end;

static void *run(void *arg)
{
    struct way *w = arg;

    w->shortest = INT64_MAX;
    while (!end) {
        int64_t start = victim_now_ms(), took;
        int r;

        errno = 0;
        r = w->call();
        took = victim_now_ms() - start;
        w->rounds++;
        if (r != 0 && !(w->interruptible && r < 0 && errno == EINTR)) {
            w->bad++;
            w->error = errno;
        }
        if (r == 0 && took < w->shortest)
            w->shortest = took;
        if (took > w->longest)
            w->longest = took;
    }
    return NULL;
}

int main(void)
{
    for (size_t i = 0; i < COUNT; i++)
        NEED(pthread_create(&ways[i].thread, NULL, run, &ways[i]) == 0);
    victim_sleep_ms(50);
    victim_wait();
    end = true;
    for (size_t i = 0; i < COUNT; i++) {
        struct way *w = &ways[i];

        pthread_join(w->thread, NULL);
        victim_check(w->bad == 0, w->name, "%d of %d failed, errno %d", w->bad,
                     w->rounds, w->error);
        victim_check(w->shortest >= LONG_MS - 1, w->name, "only %lld ms",
                     (long long)w->shortest);
        victim_check(w->longest < LONG_MS + SLACK_MS, w->name, "%lld ms",
                     (long long)w->longest);
    }
    return victim_end();
}
