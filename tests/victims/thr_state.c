/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that wait in each of pthread's ways, with ids, names, masks, TLS and a robust
 * mutex whose owner dies. Also built static.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "victim.h"

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t robust, inherit;
static pthread_cond_t signalled = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static bool flag;
static pthread_key_t key;
static __thread long own = 5;

struct waiter {
    const char *name;
    void (*wait)(void);
    pthread_t thread;
    volatile long tid;
    volatile bool up, same_tid, same_tls, same_key, same_mask, same_name;
};

static void wait_mutex(void)
{
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
}

static void wait_cond(void)
{
    pthread_mutex_lock(&guard);
    while (!flag)
        pthread_cond_wait(&signalled, &guard);
    pthread_mutex_unlock(&guard);
}

static void wait_timed(void)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 3600;
    pthread_mutex_lock(&guard);
    while (!flag)
        NEED(pthread_cond_timedwait(&signalled, &guard, &end) == 0);
    pthread_mutex_unlock(&guard);
}

static void wait_barrier(void)
{
    pthread_barrier_wait(&barrier);
}

static void wait_sem(void)
{
    NEED(sem_wait(&sem) == 0);
}

static void wait_read(void)
{
    pthread_rwlock_rdlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
}

static void wait_inherit(void)
{
    NEED(pthread_mutex_lock(&inherit) == 0);
    NEED(pthread_mutex_unlock(&inherit) == 0);
}

/* Holds the robust mutex, and dies with it in hand. */
static void wait_robust(void)
{
    NEED(pthread_mutex_lock(&robust) == 0);
    wait_cond();
}

static struct waiter waiters[] = {
    {.name = "mutex", .wait = wait_mutex},
    {.name = "condition", .wait = wait_cond},
    {.name = "timed", .wait = wait_timed},
    {.name = "barrier", .wait = wait_barrier},
    {.name = "semaphore", .wait = wait_sem},
    {.name = "rwlock", .wait = wait_read},
    {.name = "inherit", .wait = wait_inherit},
    {.name = "robust", .wait = wait_robust},
};
#define COUNT (sizeof(waiters) / sizeof(waiters[0]))

static void *run(void *arg)
{
    struct waiter *w = arg;
    int index = (int)(w - waiters);
    sigset_t mask, seen;
    char name[16] = "";

    w->tid = syscall(SYS_gettid);
    own = index * 1000 + 1;
    pthread_setspecific(key, w);
    pthread_setname_np(pthread_self(), w->name);
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + index);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    w->up = true;
    w->wait();
    pthread_sigmask(SIG_BLOCK, NULL, &seen);
    pthread_getname_np(pthread_self(), name, sizeof(name));
    w->same_tid = syscall(SYS_gettid) == w->tid;
    w->same_tls = own == index * 1000 + 1;
    w->same_key = pthread_getspecific(key) == w;
    w->same_mask = memcmp(&mask, &seen, 8) == 0;
    w->same_name = strcmp(name, w->name) == 0;
    return w;
}

static void prepare(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    NEED(pthread_mutex_init(&robust, &attr) == 0);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    NEED(pthread_mutex_init(&inherit, &attr) == 0);
    pthread_barrier_init(&barrier, NULL, 2);
    sem_init(&sem, 0, 0);
    pthread_key_create(&key, NULL);
    pthread_mutex_lock(&held);
    pthread_mutex_lock(&inherit);
    pthread_rwlock_wrlock(&rwlock);
}

static void release(void)
{
    pthread_mutex_unlock(&held);
    CHECK_INT("unlock of the inheriting mutex", pthread_mutex_unlock(&inherit), 0);
    pthread_rwlock_unlock(&rwlock);
    pthread_mutex_lock(&guard);
    flag = true;
    pthread_cond_broadcast(&signalled);
    pthread_mutex_unlock(&guard);
    sem_post(&sem);
    pthread_barrier_wait(&barrier);
}

int main(void)
{
    prepare();
    for (size_t i = 0; i < COUNT; i++)
        NEED(pthread_create(&waiters[i].thread, NULL, run, &waiters[i]) == 0);
    for (size_t i = 0; i < COUNT; i++)
        while (!waiters[i].up)
            victim_sleep_ms(1);
    victim_sleep_ms(30);
    victim_wait();
    CHECK_INT("the robust mutex is held", pthread_mutex_trylock(&robust), EBUSY);
    release();
    for (size_t i = 0; i < COUNT; i++) {
        struct waiter *w = &waiters[i];
        void *result;

        pthread_join(w->thread, &result);
        victim_check(result == w, w->name, "a wrong result");
        victim_check(w->same_tid, w->name, "another thread id");
        victim_check(w->same_tls && w->same_key, w->name, "other thread-local data");
        victim_check(w->same_mask, w->name, "another signal mask");
        victim_check(w->same_name, w->name, "another name");
    }
    CHECK_INT("the robust mutex's owner died", pthread_mutex_lock(&robust), EOWNERDEAD);
    return victim_end();
}
