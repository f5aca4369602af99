/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Restartable sequences: glibc's registration is the kernel's, in every thread. */
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "victim.h"

static volatile bool look;
static volatile int good;

static struct rseq *area(void)
{
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* The kernel writes the CPU into the area whenever the thread comes back to user mode.
 */
static bool follows_cpu(void)
{
    cpu_set_t all, one;
    bool ok = true;

    sched_getaffinity(0, sizeof(all), &all);
    for (int cpu = 0; cpu < 64; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        ok = ok && *(volatile uint32_t *)&area()->cpu_id == (uint32_t)cpu;
    }
    sched_setaffinity(0, sizeof(all), &all);
    return ok;
}

/* Registering the same area again is EBUSY when, and only when, it is registered. */
static bool registered(void)
{
    return syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG) < 0 && errno == EBUSY;
}

static void *thread(void *arg)
{
    while (!look)
        victim_sleep_ms(5);
    if (registered() && follows_cpu())
        good++;
    return arg;
}

int main(void)
{
    pthread_t t;

    if (__rseq_size == 0)
        victim_skip("glibc has not registered rseq");
    NEED(registered() && follows_cpu());
    NEED(pthread_create(&t, NULL, thread, NULL) == 0);
    victim_wait();
    CHECK("registered", registered());
    CHECK("follows the CPU", follows_cpu());
    look = true;
    pthread_join(t, NULL);
    CHECK_INT("the thread too", good, 1);
    return victim_end();
}
