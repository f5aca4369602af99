/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two processes with one memory (CLONE_VM without CLONE_THREAD). */
#include <sched.h>

#include "victim.h"

static volatile int word;

static int run(void *arg)
{
    (void)arg;
    while (!word)
        victim_sleep_ms(10);
    return word;
}

int main(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    pid_t child = clone(run, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

    NEED(child > 0);
    victim_ready_refused(child, "(?i)shares its");
    victim_wait_go();
    word = 9;
    CHECK_INT("the child sees our memory", victim_waitpid(child), 9 << 8);
    return victim_end();
}
