/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The monotonic clocks never go back and never leap, read through the vDSO without
 * pause. */

#include "victim.h"

#define RUN_MS 2200
/* What the clocks may differ by: a tick, and a drift that is not corrected. */
#define SLACK_US 100000

static int64_t read_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int main(void)
{
    static const clockid_t ids[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME,
                                    CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE};
    int64_t first[4], last[4], worst_back = 0, worst_leap = 0, start, real;
    long turns = 0;

    real = read_us(CLOCK_REALTIME);
    for (int i = 0; i < 4; i++)
        first[i] = last[i] = read_us(ids[i]);
    start = last[0];
    victim_ready();
    while (last[0] - start < RUN_MS * 1000LL) {
        for (int i = 0; i < 4; i++) {
            int64_t now = read_us(ids[i]);

            if (last[i] - now > worst_back)
                worst_back = last[i] - now;
            last[i] = now;
        }
        if (++turns % 200000 == 0)
            victim_sleep_ms(1);
    }
    /* Time that the job was not there for passes for the real clock alone. */
    real = read_us(CLOCK_REALTIME) - real;
    for (int i = 0; i < 4; i++)
        if (last[i] - first[i] - real > worst_leap)
            worst_leap = last[i] - first[i] - real;
    victim_check(worst_back == 0, "no clock went back", "%lld us back",
                 (long long)worst_back);
    victim_check(worst_leap < SLACK_US, "no clock leapt", "%lld us forward",
                 (long long)worst_leap);
    CHECK("the real time is this decade's", time(NULL) > 1500000000);
    return victim_end();
}
