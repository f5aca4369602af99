/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alternate stacks of two threads; one is in a handler on it while it waits. */
#include <pthread.h>

#include "victim.h"

#define SIZE 65536

struct stack {
    char *mem;
    volatile int inside;
};

static __thread struct stack own;
static volatile bool stay = true;

static void handler(int sig)
{
    char here;

    own.inside = &here >= own.mem && &here < own.mem + SIZE;
    /* SIGUSR2: the one that is on its stack while it is saved. */
    while (sig == SIGUSR2 && stay)
        victim_sleep_ms(10);
}

static void set_stack(void)
{
    stack_t ss = {.ss_size = SIZE};

    own.mem = malloc(SIZE);
    NEED(own.mem);
    ss.ss_sp = own.mem;
    NEED(sigaltstack(&ss, NULL) == 0);
}

static void check_stack(const char *what)
{
    stack_t now;

    NEED(sigaltstack(NULL, &now) == 0);
    victim_check(now.ss_sp == own.mem && now.ss_size == SIZE && now.ss_flags == 0, what,
                 "%p of %zu flags %x", now.ss_sp, now.ss_size, now.ss_flags);
    own.inside = 0;
    pthread_kill(pthread_self(), SIGUSR1);
    CHECK_INT(what, own.inside, 1);
}

static void *thread(void *ready)
{
    set_stack();
    *(volatile bool *)ready = true;
    pthread_kill(pthread_self(), SIGUSR2);
    CHECK_INT("the waiting handler's stack", own.inside, 1);
    check_stack("the thread's stack");
    return NULL;
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    volatile bool up = false;
    pthread_t t;

    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGUSR2, &sa, NULL);
    set_stack();
    NEED(pthread_create(&t, NULL, thread, (void *)&up) == 0);
    while (!up)
        victim_sleep_ms(1);
    victim_wait();
    check_stack("the main thread's stack");
    stay = false;
    pthread_join(t, NULL);
    return victim_end();
}
