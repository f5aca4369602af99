/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How long starters wait that are sent away together.
 */
#include "cmd/hook_common.h"
#include "tap.h"

enum { TASKS = 500 };

static unsigned wait_of(int task, unsigned n, unsigned seconds)
{
    struct ge_job job = {.job = "4711"};

    snprintf(job.task, sizeof(job.task), "%d", task);
    return hook_spread_s(&job, n, seconds);
}

/* How many of the tasks come back in the fullest second. */
static int most_at_once(unsigned n, unsigned seconds)
{
    int at[2000] = {0}, most = 0;

    for (int task = 1; task <= TASKS; task++) {
        unsigned wait_s = wait_of(task, n, seconds);

        CHECK(wait_s >= seconds);
        CHECK(wait_s <= seconds + seconds / 2);
        if (++at[wait_s] > most)
            most = at[wait_s];
    }
    return most;
}

static void tasks_that_were_sent_away_together_come_back_apart(void)
{
    /* 500 over 16, 151 and 301 seconds. */
    CHECK(most_at_once(1, 30) <= 50);
    CHECK(most_at_once(3, 300) <= 15);
    CHECK(most_at_once(6, 600) <= 10);
}

static void they_do_not_stay_together_either(void)
{
    int together = 0;

    for (int task = 1; task <= TASKS; task++)
        together += wait_of(task, 1, 600) == wait_of(1, 1, 600) &&
                    wait_of(task, 2, 600) == wait_of(1, 2, 600);
    CHECK_INT(together, 1);
}

static void a_wait_is_the_same_whoever_asks(void)
{
    CHECK_INT(wait_of(7, 2, 600), wait_of(7, 2, 600));
}

static void short_waits_stay_as_they_are(void)
{
    for (unsigned seconds = 0; seconds < 10; seconds++)
        CHECK_INT(wait_of((int)seconds, 1, seconds), seconds);
}

int main(void)
{
    RUN(tasks_that_were_sent_away_together_come_back_apart);
    RUN(they_do_not_stay_together_either);
    RUN(a_wait_is_the_same_whoever_asks);
    RUN(short_waits_stay_as_they_are);
    return tap_done();
}
