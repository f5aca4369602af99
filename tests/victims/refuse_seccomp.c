/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process with a seccomp filter: system calls cannot be made in its name. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "victim.h"

int main(void)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog prog = {1, allow};
    pid_t child = fork();

    NEED(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
            _exit(VICTIM_SKIP);
        victim_ready_refused(getpid(), "(?i)seccomp");
        victim_wait_go();
        _exit(prctl(PR_GET_SECCOMP) == 2 ? 0 : 1);
    }
    switch (victim_waitpid(child)) {
    case VICTIM_SKIP << 8:
        victim_skip("no seccomp filters");
        break;
    case 0:
        victim_say("ok the filter is there");
        return 0;
    default:
        victim_say("FAIL the filtered child");
    }
    return 1;
}
