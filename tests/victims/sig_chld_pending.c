/* SPDX-License-Identifier: GPL-3.0-or-later */
/* No signal that the job did not cause is seen: a checkpoint makes no SIGCHLD. */
#include "victim.h"

static volatile sig_atomic_t seen[65];

static void handler(int sig)
{
    seen[sig]++;
}

int main(void)
{
    struct sigaction sa = {.sa_handler = handler};
    pid_t child;
    int over[2];
    char c;

    NEED(pipe(over) == 0);
    for (int sig = 1; sig < 65; sig++)
        if (sig != SIGKILL && sig != SIGSTOP && sig != 32 && sig != 33)
            NEED(sigaction(sig, &sa, NULL) == 0);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        close(over[1]);
        NEED(read(over[0], &c, 1) == 0);
        _exit(0);
    }
    victim_wait();
    for (int sig = 1; sig < 65; sig++)
        if (seen[sig])
            victim_check(false, "no signal came", "signal %d, %d times", sig,
                         seen[sig]);
    close(over[1]);
    CHECK_INT("the child's end", victim_waitpid(child), 0);
    CHECK_INT("its signal", seen[SIGCHLD], 1);
    return victim_end();
}
