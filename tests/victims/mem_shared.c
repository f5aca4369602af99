/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MAP_SHARED anonymous memory stays one area: of four processes, and mapped twice in
 * one. */
#include <pthread.h>
#include <sys/mman.h>

#include "victim.h"

#define SIZE (2UL << 20)

struct head {
    pthread_mutex_t lock;
    volatile int turn;
    volatile uint64_t value[4];
};

/* Each in its turn writes what the next one must see. */
static int relay(struct head *h, int me)
{
    for (int t = 0; t < 12000 && h->turn != me; t++)
        victim_sleep_ms(5);
    pthread_mutex_lock(&h->lock);
    h->value[me] = victim_mix(me ? h->value[me - 1] : 17);
    h->turn = me + 1;
    pthread_mutex_unlock(&h->lock);
    return 0;
}

int main(void)
{
    char *area =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct head *h = (struct head *)area;
    pthread_mutexattr_t attr;
    pid_t child[4];
    char *half, *twin;
    uint64_t want = 17;

    NEED(area != MAP_FAILED);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&h->lock, &attr);
    h->turn = -1;
    victim_fill(area + 8192, SIZE - 8192, 3);
    for (int i = 1; i < 4; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        if (child[i] == 0) {
            /* One has only the first page and the last left, and cannot write the last.
             */
            if (i == 2)
                NEED(munmap(area + 4096, SIZE - 8192) == 0 &&
                     mprotect(area + SIZE - 4096, 4096, PROT_READ) == 0);
            victim_wait_go();
            _exit(relay(h, i));
        }
    }
    /* Old size 0: a second mapping of the same shared memory (mremap(2)). */
    twin = mremap(area + 8192, 0, 65536, MREMAP_MAYMOVE);
    NEED(twin != MAP_FAILED);
    half = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(half != MAP_FAILED);
    strcpy(half, "another area");
    victim_wait();
    CHECK_INT("content", victim_differs(area + 8192, SIZE - 8192, 3), -1);
    h->turn = 0;
    relay(h, 0);
    for (int i = 1; i < 4; i++)
        CHECK_INT("end of a child", victim_waitpid(child[i]), 0);
    for (int i = 0; i < 4; i++) {
        want = victim_mix(want);
        CHECK("value handed on", h->value[i] == want);
    }
    area[8192] ^= 1;
    CHECK("both mappings are the same memory", twin[0] == area[8192]);
    CHECK_STR("the other area", half, "another area");
    return victim_end();
}
