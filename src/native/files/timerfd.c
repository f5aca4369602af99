/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * timerfd(2). Time that passes between checkpoint and restart does not count, except
 * for a moment of the real-time clock.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t) /* since Linux 3.17 */
#endif

enum { NS_PER_S = 1000000000 };

/* What `detail` holds. */
struct timer {
    uint32_t clock, flags; /* flags: of timerfd_settime(2) */
    uint64_t ticks;
    uint64_t value_ns, interval_ns; /* value: what remained; 0: not armed */
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

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    uint64_t clock, flags, ticks, value, interval;
    struct enc c = {0};

    if (!files_info_u64(f->info, "clockid", 10, &clock) ||
        !files_info_u64(f->info, "settime flags", 8, &flags) ||
        !files_info_u64(f->info, "ticks", 10, &ticks) ||
        !read_time(f->info, "it_value", &value) ||
        !read_time(f->info, "it_interval", &interval))
        return files_refuse(f, e, "a timerfd that the kernel does not describe");
    /* The kernel stops a timer that has expired until that is read, and then goes on
     * with its interval. */
    if (value == 0 && ticks > 0)
        value = interval;
    enc_u32(&c, clock);
    enc_u32(&c, flags);
    enc_u64(&c, ticks);
    enc_u64(&c, value);
    enc_u64(&c, interval);
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
    .check = check,
    .make = open_file,
    .commit = commit,
};
