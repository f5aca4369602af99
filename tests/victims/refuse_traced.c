/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process that is traced by another one of the job: there is one tracer only. */
#include <sys/ptrace.h>

#include "victim.h"

int main(void)
{
    pid_t child = fork();
    int status;

    NEED(child >= 0);
    if (child == 0) {
        for (;;)
            victim_sleep_ms(50);
    }
    if (ptrace(PTRACE_SEIZE, child, 0, 0) < 0) {
        kill(child, SIGKILL);
        victim_skip("ptrace is not allowed");
    }
    victim_ready_refused(child, "(?i)trac");
    victim_wait_go();
    CHECK("we still trace it", ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
    CHECK("it stops for us",
          waitpid(child, &status, __WALL) == child && WIFSTOPPED(status));
    CHECK("and goes on", ptrace(PTRACE_DETACH, child, 0, 0) == 0);
    kill(child, SIGKILL);
    victim_waitpid(child);
    return victim_end();
}
