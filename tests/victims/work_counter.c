/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Heap, stack, buffered output and an appended file of one process. Also built static.
 */
#include "victim.h"

#define ROUNDS 100
#define HEAP_WORDS (1 << 20)

static uint64_t deep(int depth, uint64_t x)
{
    volatile unsigned char pad[4096];

    for (size_t i = 0; i < sizeof(pad); i += 512)
        pad[i] = (unsigned char)(x >> (i / 512));
    if (depth > 0)
        x = deep(depth - 1, victim_mix(x + pad[512]));
    /* The stack frames above must have survived the recursion below. */
    return x ^ pad[1024];
}

int main(void)
{
    uint64_t *heap = malloc(HEAP_WORDS * sizeof(*heap));
    FILE *log = fopen("counter.log", "a");
    uint64_t x = 1;
    char line[128];
    int lines = 0;

    NEED(heap && log);
    victim_fill(heap, HEAP_WORDS * sizeof(*heap), 7);
    victim_ready();
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k < HEAP_WORDS; k += 61) {
            x = victim_mix(x + heap[(x >> 11) % HEAP_WORDS]);
            heap[k] ^= x;
        }
        x = deep(25, x);
        fprintf(log, "%d %016llx\n", round, (unsigned long long)x);
        /* Buffered: half a line may be in memory and half in the file. */
        printf("round %d %016llx\n", round, (unsigned long long)x);
        if (round % 3 == 0)
            fflush(stdout);
        fflush(log);
        victim_sleep_ms(20);
    }
    fclose(log);
    log = fopen("counter.log", "r");
    NEED(log);
    while (fgets(line, sizeof(line), log))
        if (atoi(line) != lines++)
            printf("FAIL line %d of the file: saw %s", lines, line);
    printf("lines %d digest %016llx\n", lines, (unsigned long long)x);
    return 0;
}
