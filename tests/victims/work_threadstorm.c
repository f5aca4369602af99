/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads come and go all the time: a checkpoint meets them at birth and at death. */
#include <pthread.h>

#include "victim.h"

#define ROUNDS 90
#define BATCH 6

static void *leaf(void *arg)
{
    return (void *)(uintptr_t)victim_mix((uintptr_t)arg);
}

static void *branch(void *arg)
{
    pthread_t child;
    void *result;

    NEED(pthread_create(&child, NULL, leaf, arg) == 0);
    pthread_join(child, &result);
    return (void *)(uintptr_t)victim_mix((uintptr_t)result + 1);
}

int main(void)
{
    uint64_t sum = 3;

    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[BATCH];

        for (int i = 0; i < BATCH; i++)
            NEED(pthread_create(&threads[i], NULL, branch,
                                (void *)(uintptr_t)(sum + (uint64_t)i)) == 0);
        for (int i = 0; i < BATCH; i++) {
            void *result;

            pthread_join(threads[i], &result);
            sum = victim_mix(sum + (uintptr_t)result);
        }
        victim_say("round %d %016llx", round, (unsigned long long)sum);
        victim_sleep_ms(18);
    }
    return 0;
}
