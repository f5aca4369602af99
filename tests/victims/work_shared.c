/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Four processes on one MAP_SHARED anonymous area with a process-shared mutex. */
#include <pthread.h>
#include <sys/mman.h>

#include "victim.h"

#define CHILDREN 3
#define ROUNDS 400

struct area {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    long count;
    uint64_t sums[CHILDREN + 1];
    uint64_t bulk[1 << 17];
};

static struct area *area_create(void)
{
    struct area *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t mattr;
    pthread_condattr_t cattr;

    NEED(a != MAP_FAILED);
    pthread_mutexattr_init(&mattr);
    pthread_mutexattr_setpshared(&mattr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&a->lock, &mattr);
    pthread_condattr_init(&cattr);
    pthread_condattr_setpshared(&cattr, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&a->changed, &cattr);
    return a;
}

static void work(struct area *a, int me)
{
    for (int round = 0; round < ROUNDS; round++) {
        long seen;

        pthread_mutex_lock(&a->lock);
        while (a->count % (CHILDREN + 1) != me)
            pthread_cond_wait(&a->changed, &a->lock);
        seen = a->count;
        a->sums[me] = victim_mix(a->sums[me] + (uint64_t)seen);
        a->bulk[victim_mix((uint64_t)seen) % (1 << 17)] += a->sums[me];
        if (round % 4 == 0)
            victim_sleep_ms(5);
        a->count = seen + 1;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
    }
}

int main(void)
{
    struct area *a = area_create();
    pid_t child[CHILDREN];
    uint64_t digest = 0;

    for (int i = 0; i < CHILDREN; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        if (child[i] == 0) {
            work(a, i + 1);
            _exit(i + 10);
        }
    }
    victim_ready();
    work(a, 0);
    for (int i = 0; i < CHILDREN; i++)
        CHECK_INT("status of a child", victim_waitpid(child[i]), (i + 10) << 8);
    CHECK_INT("count", a->count, ROUNDS * (CHILDREN + 1));
    for (size_t i = 0; i < 1 << 17; i++)
        digest = victim_mix(digest + a->bulk[i]);
    victim_say("digest %016llx", (unsigned long long)digest);
    return victim_end();
}
