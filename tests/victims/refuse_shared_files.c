/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two processes with one table of descriptors (CLONE_FILES). */
#include <sched.h>

#include "victim.h"

static int run(void *arg)
{
    (void)arg;
    while (fcntl(200, F_GETFD) < 0)
        victim_sleep_ms(10);
    return 9;
}

int main(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    pid_t child = clone(run, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);

    NEED(child > 0);
    victim_ready_refused(child, "(?i)shares its");
    victim_wait_go();
    NEED(dup2(1, 200) == 200);
    CHECK_INT("the child sees a new descriptor", victim_waitpid(child), 9 << 8);
    return victim_end();
}
