/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * timerfd(2). Time that passes between checkpoint and restart does not count, except
 * for a moment of the real-time clock.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t) /* since Linux 3.17 */
#endif

enum {
    NS_PER_S = 1000000000,
    NS_PER_MS = 1000000,
    INFO_MAX = 1 << 16,
    /* How long the kernel may take to serve a timer that is due. */
    DUE_MS = 5,
    DUE_PERIODIC_MS = 100,
};

/* What `detail` holds. */
struct timer {
    uint32_t clock, flags; /* flags: of timerfd_settime(2) */
    uint64_t ticks;
    uint64_t value_ns, interval_ns; /* value: what remained; 0: not armed */
};

/* While it is being saved. */
struct notes {
    struct timer timer;
    uint64_t seen_ns; /* when, by CLOCK_MONOTONIC */
};

static bool read_time(const char *info, const char *name, uint64_t *ns)
{
    const char *line = strstr(info, name);
    uint64_t s, rest;

    if (!line ||
        sscanf(line + strlen(name), ": (%" SCNu64 ", %" SCNu64 ")", &s, &rest) != 2)
        return false;
    *ns = s * NS_PER_S + rest;
    return true;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static bool read_info(const char *info, struct notes *n)
{
    uint64_t clock, flags;

    n->seen_ns = now_ns();
    if (!files_info_u64(info, "clockid", 10, &clock) ||
        !files_info_u64(info, "settime flags", 8, &flags) ||
        !files_info_u64(info, "ticks", 10, &n->timer.ticks) ||
        !read_time(info, "it_value", &n->timer.value_ns) ||
        !read_time(info, "it_interval", &n->timer.interval_ns))
        return false;
    n->timer.clock = clock;
    n->timer.flags = flags;
    return true;
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct notes *n = calloc(1, sizeof(*n));

    if (!n)
        return err_sys(e, "a timerfd");
    s->files[index].notes = n;
    if (!read_info(f->info, n))
        return files_refuse(f, e, "a timerfd that the kernel does not describe");
    return 0;
}

/*
 * Whether this may be a moment between two states. fdinfo shows a timer that is due and
 * has not been served yet as one that does not run, and one that is served just then
 * with its last nanoseconds and with its tick.
 */
static bool is_between(const struct timer *t)
{
    return (t->value_ns == 0) == (t->ticks == 0);
}

/* The job stands still: what has ticked keeps its tick. */
static int look_again(const struct saved *known, struct notes *n, struct err *e)
{
    uint64_t due_ms = n->timer.interval_ns ? DUE_PERIODIC_MS : DUE_MS;
    uint64_t end_ns = n->seen_ns + due_ms * NS_PER_MS;
    const struct timespec nap = {.tv_nsec = NS_PER_MS / 10};
    bool is_last;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", known->host_pid, known->fd);
    do {
        auto_free char *info = NULL;

        is_last = now_ns() >= end_ns;
        if (io_read_file(AT_FDCWD, path, INFO_MAX, &info, NULL, e) < 0)
            return err_wrap(e, "process %d descriptor %d", known->pid, known->fd);
        if (!read_info(info, n))
            return files_refuse_saved(known, e,
                                      "a timerfd that the kernel does not describe");
        if (n->timer.ticks || n->timer.value_ns)
            return 0;
        if (!is_last)
            nanosleep(&nap, NULL);
    } while (!is_last);
    return 0;
}

static int encode(struct files_save *s, uint32_t index, struct err *e)
{
    struct notes *n = s->files[index].notes;
    struct timer *t = &n->timer;
    struct enc c = {0};

    if (is_between(t) && look_again(&s->files[index], n, e) < 0)
        return -1;
    /* The kernel stops a timer that has expired until that is read, and then goes on
     * with its interval. */
    if (t->value_ns == 0 && t->ticks > 0)
        t->value_ns = t->interval_ns;
    enc_u32(&c, t->clock);
    enc_u32(&c, t->flags);
    enc_u64(&c, t->ticks);
    enc_u64(&c, t->value_ns);
    enc_u64(&c, t->interval_ns);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

static int decode(const struct image_file *file, struct timer *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct timer){.clock = dec_u32(&d), .flags = dec_u32(&d)};
    out->ticks = dec_u64(&d);
    out->value_ns = dec_u64(&d);
    out->interval_ns = dec_u64(&d);
    return dec_end(&d, "timerfd", e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct timer timer;

    return decode(&r->img->files[index], &timer, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    struct timer timer;
    auto_fd int fd = -1;

    if (decode(&r->img->files[index], &timer, e) < 0)
        return -1;
    fd = timerfd_create(timer.clock, TFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "a timerfd of clock %u", timer.clock);
    return files_pool_put(r, index, &fd, e);
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static int commit(const struct files_restore *r, uint32_t index, struct err *e)
{
    int fd = r->pool[index], flags = 0;
    struct itimerspec spec;
    struct timer timer;

    if (decode(&r->img->files[index], &timer, e) < 0)
        return -1;
    if (timer.clock == CLOCK_REALTIME && (timer.flags & TFD_TIMER_ABSTIME) &&
        timer.value_ns) {
        /* A moment of the day stays that moment. */
        timer.value_ns += r->img->realtime_ns;
        flags = timer.flags & (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
    }
    spec.it_value = to_timespec(timer.value_ns);
    spec.it_interval = to_timespec(timer.interval_ns);
    if (timer.value_ns && timerfd_settime(fd, flags, &spec, NULL) < 0)
        return err_sys(e, "start a timerfd");
    if (timer.ticks && ioctl(fd, TFD_IOC_SET_TICKS, &timer.ticks) < 0)
        return err_sys(e, "set the ticks of a timerfd");
    return 0;
}

const struct file_kind file_kind_timerfd = {
    .name = "a timerfd",
    .save = save,
    .pair = encode,
    .forget = free,
    .check = check,
    .make = open_file,
    .commit = commit,
};
