/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An OpenMP program: libgomp's threads spin and sleep on futexes between the regions.
 */
#include <omp.h>

#include "victim.h"

#define ROUNDS 60
#define SIZE 200000

int main(void)
{
    static uint64_t data[SIZE];
    uint64_t sum = 0;

    omp_set_num_threads(4);
    victim_fill(data, sizeof(data), 11);
    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t part = 0;

#pragma omp parallel for reduction(+ : part) schedule(static)
        for (int i = 0; i < SIZE; i++) {
            data[i] = victim_mix(data[i] + (uint64_t)round);
            part += data[i] >> 3;
        }
        sum = victim_mix(sum + part);
        victim_say("round %d %016llx", round, (unsigned long long)sum);
        victim_sleep_ms(20);
    }
    return 0;
}
