/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every victim shares.
 *
 * A victim sets up a state of the kernel, calls victim_wait(), and then looks whether
 * the state is still there. In between the driver (tests/sys) may have saved, killed
 * and restarted it any number of times; it must also pass when nobody does. It prints
 * one line a check, "ok WHAT" or "FAIL WHAT: saw ...", and ends with 0, 1, or 77 for
 * "cannot be tried on this host".
 *
 * The name says what is expected:
 *
 *   work_*    never stands still; what it prints is compared with an undisturbed run's
 *
 *   refuse_*  cannot be saved: the checkpoint is refused, and it does not notice
 *
 *   may_*     is either carried or refused
 *
 *   others    are carried
 *
 * Environment (all optional): VICTIM_READY, the file that says "ready"; VICTIM_GO, the
 * file whose existence ends the wait. Files a victim makes are in its directory.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VICTIM_SKIP 77

static int victim_failures;

/* One line, one write: lines of several processes never mix, none is printed twice. */
__attribute__((format(printf, 1, 2))) static inline void victim_say(const char *fmt,
                                                                    ...)
{
    char line[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(3);
}

/* Reports one check; true when it held. */
__attribute__((format(printf, 3, 4))) static inline bool
victim_check(bool ok, const char *what, const char *fmt, ...)
{
    char saw[512];
    va_list ap;

    if (ok) {
        victim_say("ok %s", what);
        return true;
    }
    va_start(ap, fmt);
    vsnprintf(saw, sizeof(saw), fmt, ap);
    va_end(ap);
    victim_say("FAIL %s: saw %s", what, saw);
    victim_failures++;
    return false;
}

#define CHECK(what, cond) \
    victim_check((cond), (what), "not (%s), errno %d", #cond, errno)

static inline bool CHECK_INT(const char *what, long long saw, long long want)
{
    return victim_check(saw == want, what, "%lld, expected %lld", saw, want);
}

static inline bool CHECK_STR(const char *what, const char *saw, const char *want)
{
    return victim_check(strcmp(saw, want) == 0, what, "\"%s\", expected \"%s\"", saw,
                        want);
}

/* A step of the set-up that must work for the test to mean anything. */
#define NEED(cond)                                                              \
    do {                                                                        \
        if (!(cond)) {                                                          \
            victim_say("FAIL set-up at line %d: %s: errno %d", __LINE__, #cond, \
                       errno);                                                  \
            _exit(1);                                                           \
        }                                                                       \
    } while (0)

static inline void victim_skip(const char *why)
{
    victim_say("skip %s", why);
    _exit(VICTIM_SKIP);
}

static inline int64_t victim_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Sleeps in full even when signals arrive. */
static inline void victim_sleep_ms(int ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        continue;
}

/* Writes the ready file whole or not at all; its text is what the driver should know.
 */
static inline void victim_ready_text(const char *text)
{
    const char *path = getenv("VICTIM_READY");
    char tmp[4096];
    int fd;

    if (!path)
        return;
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    NEED(fd >= 0);
    NEED(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    NEED(close(fd) == 0);
    NEED(rename(tmp, path) == 0);
}

static inline void victim_ready(void)
{
    victim_ready_text("ready\n");
}

/* Ready, and to be refused: the message must name `pid` and match `object` (a regex).
 */
static inline void victim_ready_refused(pid_t pid, const char *object)
{
    char text[512];

    snprintf(text, sizeof(text), "refuse %d %s\n", (int)pid, object);
    victim_ready_text(text);
}

/* May the wait end? Without a driver: after the sixth question. */
static inline bool victim_go(void)
{
    static int asked;
    const char *path = getenv("VICTIM_GO");

    if (path)
        return access(path, F_OK) == 0;
    return ++asked > 5;
}

static inline void victim_wait_go(void)
{
    while (!victim_go())
        victim_sleep_ms(20);
}

static inline void victim_wait(void)
{
    victim_ready();
    victim_wait_go();
}

static inline int victim_end(void)
{
    return victim_failures ? 1 : 0;
}

/* A step of a simple generator: the content of memory and files is a function of it. */
static inline uint64_t victim_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static inline void victim_fill(void *at, size_t size, uint64_t seed)
{
    uint64_t *words = at;

    for (size_t i = 0; i < size / sizeof(*words); i++)
        words[i] = victim_mix(seed + i);
}

/* The index of the first byte group that differs from victim_fill, -1 for none. */
static inline long victim_differs(const void *at, size_t size, uint64_t seed)
{
    const uint64_t *words = at;

    for (size_t i = 0; i < size / sizeof(*words); i++)
        if (words[i] != victim_mix(seed + i))
            return (long)(i * sizeof(*words));
    return -1;
}

/* Waits for a child whatever signals arrive; its raw status, -1 for an error. */
static inline int victim_waitpid(pid_t pid)
{
    int status;
    pid_t got;

    do
        got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    return got == pid ? status : -1;
}

#endif
