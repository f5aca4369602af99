/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clocks that count from the boot stand still while the job is not there, for as
 * long as VICTIM_AWAY_MS says at least. */
#include "victim.h"

/* What the clocks may differ by: a tick, and a drift that is not corrected. */
#define SLACK_MS 100

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;

    NEED(clock_gettime(id, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* By how much it is behind the real one. */
static int64_t behind_ms(clockid_t id)
{
    return read_ms(CLOCK_REALTIME) - read_ms(id);
}

int main(void)
{
    static const struct {
        const char *name;
        clockid_t id;
    } clocks[] = {{"monotonic", CLOCK_MONOTONIC}, {"boottime", CLOCK_BOOTTIME}};
    const char *away = getenv("VICTIM_AWAY_MS");
    int64_t before[2];

    if (access("/proc/self/timens_offsets", F_OK) < 0)
        victim_skip("no time namespaces (Linux 5.6)");
    for (int i = 0; i < 2; i++)
        before[i] = behind_ms(clocks[i].id);
    victim_wait();
    for (int i = 0; i < 2; i++) {
        int64_t stood_ms = behind_ms(clocks[i].id) - before[i];

        victim_check(stood_ms >= (away ? atoll(away) : 0) - SLACK_MS, clocks[i].name,
                     "that it stood still for %lld ms", (long long)stood_ms);
    }
    return victim_end();
}
