/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eight threads in step: barriers, three kinds of mutex, a condition, TLS, thread ids.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "victim.h"

#define THREADS 8
#define ROUNDS 80

static pthread_barrier_t barrier;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive, checked;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
static uint64_t shared[THREADS];
static __thread uint64_t own;

static void fail_if(bool bad, const char *what)
{
    if (bad)
        victim_say("FAIL %s", what);
}

/* Each thread in its turn, in the order of their numbers. */
static void take_turns(int me, uint64_t *sum)
{
    pthread_mutex_lock(&plain);
    while (turn != me)
        pthread_cond_wait(&turned, &plain);
    *sum = victim_mix(*sum + own);
    turn = (turn + 1) % THREADS;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&plain);
}

static void *work(void *arg)
{
    static uint64_t sum;
    int me = (int)(intptr_t)arg;
    long tid = syscall(SYS_gettid);

    own = 77 * (uint64_t)me + 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 20000; i++)
            own = victim_mix(own + shared[(me + i) % THREADS]);
        pthread_barrier_wait(&barrier);
        shared[me] = own;
        pthread_mutex_lock(&recursive);
        pthread_mutex_lock(&recursive);
        pthread_mutex_unlock(&recursive);
        pthread_mutex_unlock(&recursive);
        fail_if(pthread_mutex_lock(&checked) != 0, "lock of the checked mutex");
        fail_if(pthread_mutex_lock(&checked) != EDEADLK, "owner of the checked mutex");
        fail_if(pthread_mutex_unlock(&checked) != 0, "unlock of the checked mutex");
        fail_if(syscall(SYS_gettid) != tid, "thread id");
        take_turns(me, &sum);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            victim_say("round %d %016llx", round, (unsigned long long)sum);
            victim_sleep_ms(15);
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void mutex_of_type(pthread_mutex_t *m, int type)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    NEED(pthread_mutex_init(m, &attr) == 0);
}

int main(void)
{
    pthread_t threads[THREADS];

    mutex_of_type(&recursive, PTHREAD_MUTEX_RECURSIVE);
    mutex_of_type(&checked, PTHREAD_MUTEX_ERRORCHECK);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) == 0);
    victim_ready();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    victim_say("done");
    return 0;
}
