/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/timers.h"

#include "base/err.h"
#include "image/image.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum {
    NS_PER_S = 1000000000,
    US_PER_S = 1000000,
    PR_TIMER_IDS = 77, /* PR_TIMER_CREATE_RESTORE_IDS, Linux 6.16 */
    TIMER_IDS_OFF = 0,
    TIMER_IDS_ON = 1,
    /* Before 6.16 ids are counted up, and the ones between must be made and deleted. */
    TIMER_ID_MAX = 1 << 20,
    ID_AT = 256,
};

/* The kernel's struct sigevent. */
struct kernel_sigevent {
    uint64_t value;
    int32_t signo, notify, tid;
    uint8_t pad[44];
};

static int create(struct restored *r, const struct image_posix_timer *from,
                  int32_t wish, int32_t *id, struct err *e)
{
    struct tracee *t = restored_leader(r);
    struct kernel_sigevent event = {.value = from->sigval,
                                    .signo = from->signo,
                                    .notify = from->notify,
                                    .tid = from->tid};

    if (inject_write(t, r->scratch, &event, sizeof(event), e) < 0 ||
        inject_write(t, r->scratch + ID_AT, &wish, sizeof(wish), e) < 0 ||
        INJECT(t, NULL, e, "make a timer", SYS_timer_create, (uint64_t)from->clock,
               r->scratch, r->scratch + ID_AT) < 0)
        return -1;
    return inject_read(t, r->scratch + ID_AT, id, sizeof(*id), e);
}

static int create_with_id(struct restored *r, const struct image_posix_timer *from,
                          struct err *e)
{
    int32_t id = -1;

    if (from->id < 0 || from->id > TIMER_ID_MAX)
        return err_set(e, ERR_REFUSED, "process %d has a timer with the id %d",
                       r->p->pid, from->id);
    while (id != from->id) {
        if (create(r, from, from->id, &id, e) < 0)
            return -1;
        if (id > from->id)
            return err_set(e, ERR_FAILED, "timer %d of process %d has the id %d now",
                           from->id, r->p->pid, id);
        if (id != from->id && INJECT(restored_leader(r), NULL, e, "delete a timer",
                                     SYS_timer_delete, (uint64_t)id) < 0)
            return -1;
    }
    return 0;
}

int timers_make(struct restored *r, struct err *e)
{
    struct inject_result ignored; /* an older kernel: ids are counted */
    const uint64_t on[6] = {PR_TIMER_IDS, TIMER_IDS_ON};
    const uint64_t off[6] = {PR_TIMER_IDS, TIMER_IDS_OFF};

    if (r->p->n_timers == 0)
        return 0;
    if (inject_call(restored_leader(r), SYS_prctl, on, &ignored, e) < 0)
        return -1;
    for (uint32_t i = 0; i < r->p->n_timers; i++)
        if (create_with_id(r, &r->p->timers[i], e) < 0)
            return -1;
    return inject_call(restored_leader(r), SYS_prctl, off, &ignored, e);
}

static int start_posix(struct restored *r, const struct image_posix_timer *from,
                       struct err *e)
{
    struct tracee *t = restored_leader(r);
    int64_t value[4] = {(int64_t)(from->interval_ns / NS_PER_S),
                        (int64_t)(from->interval_ns % NS_PER_S),
                        (int64_t)(from->value_ns / NS_PER_S),
                        (int64_t)(from->value_ns % NS_PER_S)};

    if (from->value_ns == 0)
        return 0;
    if (inject_write(t, r->scratch, value, sizeof(value), e) < 0)
        return -1;
    return INJECT(t, NULL, e, "start a timer", SYS_timer_settime, (uint64_t)from->id, 0,
                  r->scratch, 0);
}

static int start_interval(struct restored *r, int which, struct err *e)
{
    const struct image_itimer *from = &r->p->itimers[which];
    /* While its signal is pending an interval timer stands still: the kernel starts it
     * again when the signal is taken. One that does not run has no interval. */
    uint64_t value_us = from->value_us ? from->value_us : from->interval_us;
    struct tracee *t = restored_leader(r);
    int64_t value[4] = {(int64_t)(from->interval_us / US_PER_S),
                        (int64_t)(from->interval_us % US_PER_S),
                        (int64_t)(value_us / US_PER_S), (int64_t)(value_us % US_PER_S)};

    if (value_us == 0)
        return 0;
    if (inject_write(t, r->scratch, value, sizeof(value), e) < 0)
        return -1;
    return INJECT(t, NULL, e, "start an interval timer", SYS_setitimer, (uint64_t)which,
                  r->scratch, 0);
}

int timers_start(struct restored *r, struct err *e)
{
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
        if (start_interval(r, which, e) < 0)
            return -1;
    for (uint32_t i = 0; i < r->p->n_timers; i++)
        if (start_posix(r, &r->p->timers[i], e) < 0)
            return -1;
    return 0;
}
