/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A subreaper inside the job: orphans of its tree come to it, before and after. */
#include <sys/prctl.h>

#include "victim.h"

/* A child that ends at once and leaves a grandchild, which waits for go if `stay`. */
static void make_orphan(bool stay)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0) {
        if (fork() == 0) {
            if (stay)
                victim_wait_go();
            else
                victim_sleep_ms(30);
            _exit(stay ? 21 : 22);
        }
        _exit(0);
    }
    NEED(victim_waitpid(pid) == 0);
}

static int reap_any(void)
{
    int status;
    pid_t pid;

    do
        pid = wait(&status);
    while (pid < 0 && errno == EINTR);
    return pid < 0 ? -1 : status >> 8;
}

int main(void)
{
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    make_orphan(true);
    victim_wait();
    CHECK_INT("the orphan from before", reap_any(), 21);
    make_orphan(false);
    CHECK_INT("an orphan from after", reap_any(), 22);
    CHECK_INT("nobody else", reap_any(), -1);
    return victim_end();
}
