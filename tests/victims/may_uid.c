/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child of another user: only a job of root can have one. */
#include "victim.h"

int main(void)
{
    pid_t child;
    int p[2];
    char c;

    if (geteuid() != 0)
        victim_skip("needs root");
    NEED(pipe(p) == 0);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        NEED(setresgid(65534, 65534, 65534) == 0 &&
             setresuid(65534, 65534, 65534) == 0);
        /* The go file is out of its reach: until the parent closes the pipe. */
        close(p[1]);
        NEED(read(p[0], &c, 1) == 0);
        _exit(geteuid() == 65534 && setuid(0) < 0 ? 0 : 1);
    }
    victim_sleep_ms(50);
    victim_ready_refused(child, "(?i)user|uid|group|owner");
    victim_wait_go();
    close(p[1]);
    CHECK_INT("the child is still that user", victim_waitpid(child), 0);
    return victim_end();
}
