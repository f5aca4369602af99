/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time for deadlines and measurements: CLOCK_MONOTONIC in microseconds.
 */
#ifndef JOB_CLOCK_H
#define JOB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* For poll(2): the time until `deadline_us`, rounded up, 0 when it has passed. */
static inline int clock_until_ms(uint64_t deadline_us)
{
    uint64_t now = clock_us();
    uint64_t left_ms = deadline_us > now ? (deadline_us - now + 999) / 1000 : 0;

    return left_ms > 3600000 ? 3600000 : (int)left_ms;
}

#endif
