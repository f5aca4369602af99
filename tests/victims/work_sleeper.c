/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many short sleeps: each lasts as long as asked for, however often it is disturbed. */
#include <poll.h>

#include "victim.h"

#define ROUNDS 24
#define NAP_MS 90
/* The clock goes on while the job stands still at a checkpoint: on a busy machine for
 * seconds. */
#define SLACK_MS 60000

static int nap(int way)
{
    struct timespec ts = {0, NAP_MS * 1000000L}, rest = {0, 0};

    switch (way % 3) {
    case 0:
        return nanosleep(&ts, NULL);
    case 1:
        return nanosleep(&ts, &rest);
    default:
        return poll(NULL, 0, NAP_MS);
    }
}

int main(void)
{
    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = victim_now_ms(), took;
        int r = nap(round);

        took = victim_now_ms() - start;
        if (r != 0)
            victim_say("FAIL nap %d: saw %d, errno %d", round, r, errno);
        else if (took < NAP_MS - 1)
            victim_say("FAIL nap %d: saw only %lld ms", round, (long long)took);
        else if (took > NAP_MS + SLACK_MS)
            victim_say("FAIL nap %d: saw %lld ms", round, (long long)took);
        else
            victim_say("nap %d", round);
    }
    return 0;
}
