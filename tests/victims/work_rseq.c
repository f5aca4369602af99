/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A counter a CPU, counted up in restartable sequences by four threads: a sequence that
 * is disturbed by a checkpoint must be aborted, or counts are lost.
 */
#include <linux/rseq.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/rseq.h>

#include "victim.h"

#define THREADS 4
#define COUNT 12000000L

static struct {
    long value;
    char pad[56];
} counters[1024];
static volatile bool begin;

static struct rseq *area(void)
{
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* One count on this CPU's counter; false when the sequence was aborted. */
static bool count(struct rseq *rs)
{
    uint32_t cpu = *(volatile uint32_t *)&rs->cpu_id_start;
    long *at = &counters[cpu].value;

    __asm__ goto(".pushsection __rseq_cs, \"aw\"\n"
                 ".balign 32\n"
                 "3: .long 0, 0\n"
                 ".quad 1f, 2f - 1f, 4f\n"
                 ".popsection\n"
                 "leaq 3b(%%rip), %%rax\n"
                 "movq %%rax, %c[cs](%[rs])\n"
                 "1: cmpl %[cpu], %c[id](%[rs])\n"
                 "jnz 4f\n"
                 /* A wide sequence: the value is long read when it is written back. */
                 "movq (%[at]), %%rcx\n"
                 "incq %%rcx\n"
                 "pause\n pause\n"
                 "movq %%rcx, (%[at])\n"
                 "2:\n"
                 ".pushsection __rseq_abort, \"ax\"\n"
                 ".byte 0x0f, 0xb9, 0x3d\n"
                 ".long 0x53053053\n"
                 "4: jmp %l[aborted]\n"
                 ".popsection\n"
                 :
                 : [cpu] "r"(cpu), [rs] "r"(rs), [at] "r"(at),
                   [cs] "i"(offsetof(struct rseq, rseq_cs)),
                   [id] "i"(offsetof(struct rseq, cpu_id))
                 : "memory", "cc", "rax", "rcx"
                 : aborted);
    return true;
aborted:
    return false;
}

static void *work(void *arg)
{
    struct rseq *rs = area();

    while (!begin)
        victim_sleep_ms(1);
    for (long done = 0; done < COUNT;)
        done += count(rs);
    return arg;
}

int main(void)
{
    pthread_t threads[THREADS];
    long sum = 0;

    if (__rseq_size == 0)
        victim_skip("glibc has not registered rseq");
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, work, NULL) == 0);
    victim_ready();
    begin = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 1024; i++)
        sum += counters[i].value;
    CHECK_INT("counts", sum, THREADS * COUNT);
    return victim_end();
}
