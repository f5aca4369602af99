/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pidfd of a child. */
#include <poll.h>
#include <sys/syscall.h>

#include "victim.h"

int main(void)
{
    pid_t child = fork();
    struct pollfd p = {-1, POLLIN, 0};
    siginfo_t info;

    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        _exit(8);
    }
    p.fd = (int)syscall(SYS_pidfd_open, child, 0);
    if (p.fd < 0)
        victim_skip("no pidfds");
    victim_ready_refused(getpid(), "(?i)pidfd");
    victim_wait_go();
    CHECK_INT("the child's end is seen", poll(&p, 1, 5000), 1);
    CHECK_INT("and waited for", waitid(P_PIDFD, (id_t)p.fd, &info, WEXITED), 0);
    CHECK_INT("with its status", info.si_status, 8);
    return victim_end();
}
