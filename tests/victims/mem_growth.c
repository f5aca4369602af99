/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What grows after the restart: the stack, brk, malloc, many threads' stacks. Also
 * static. */
#include <pthread.h>
#include <sys/mman.h>

#include "victim.h"

static uint64_t deep(int depth)
{
    volatile uint64_t pad[2048];

    victim_fill((void *)pad, sizeof(pad), (uint64_t)depth);
    if (depth > 0 && deep(depth - 1) != (uint64_t)depth - 1)
        return ~0ULL;
    return victim_differs((const void *)pad, sizeof(pad), (uint64_t)depth) < 0
               ? (uint64_t)depth
               : ~0ULL;
}

static void *thread(void *arg)
{
    char big[100000];

    memset(big, 1, sizeof(big));
    return (void *)((uintptr_t)arg + (uintptr_t)big[500]);
}

int main(void)
{
    char *heap = malloc(100000), *before = sbrk(0), *p;
    long bad = 0;

    NEED(heap);
    victim_fill(heap, 100000, 1);
    NEED(sbrk(65536) == before);
    victim_fill(before, 65536, 2);
    /* 320 KiB of stack are in use before. */
    NEED(deep(20) == 20);
    victim_wait();
    CHECK_INT("old heap", victim_differs(heap, 100000, 1), -1);
    CHECK_INT("old brk area", victim_differs(before, 65536, 2), -1);
    CHECK("stack of 6 MB", deep(370) == 370);
    CHECK("brk is where it was or above", (char *)sbrk(0) >= before + 65536);
    p = sbrk(3 << 20);
    CHECK("brk grows", p != (void *)-1);
    victim_fill(p, 3 << 20, 3);
    CHECK_INT("new brk area", victim_differs(p, 3 << 20, 3), -1);
    CHECK("brk shrinks", sbrk(-(3 << 20)) != (void *)-1);
    for (int i = 0; i < 200; i++) {
        char *m = malloc((size_t)i * 5000 + 1);

        if (!m)
            bad++;
        else
            memset(m, i, (size_t)i * 5000 + 1);
        if (i % 2)
            free(m);
    }
    CHECK_INT("malloc", bad, 0);
    p = malloc(100 << 20);
    CHECK("100 MB of malloc", p != NULL);
    memset(p, 1, 100 << 20);
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        void *result;

        NEED(pthread_create(&t, NULL, thread, (void *)(uintptr_t)i) == 0);
        pthread_join(t, &result);
        bad += (uintptr_t)result != (uintptr_t)i + 1;
    }
    CHECK_INT("new threads", bad, 0);
    return victim_end();
}
