/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/sentinel.h"

#include "base/err.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A descriptor left open here would keep a pipe of the job's from ending. */
static _Noreturn void be_sentinel(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    prctl(PR_SET_NAME, "qckpt-sentinel");
    if (chdir("/") < 0)
        _exit(1);
    close_range(0, ~0U, 0);
    for (;;)
        pause();
}

pid_t sentinel_start(struct err *e)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        return err_sys(e, "fork the sentinel");
    if (pid == 0)
        be_sentinel(parent);
    return pid;
}

enum sentinel_news sentinel_look(pid_t sentinel)
{
    siginfo_t info = {0};

    if (waitid(P_PID, sentinel, &info, WNOHANG | WEXITED | WSTOPPED | WCONTINUED) < 0)
        return errno == EINTR ? SENTINEL_NONE : SENTINEL_GONE;
    if (info.si_pid == 0)
        return SENTINEL_NONE;
    switch (info.si_code) {
    case CLD_STOPPED:
        return SENTINEL_STOPPED;
    case CLD_CONTINUED:
        return SENTINEL_CONTINUED;
    default:
        return SENTINEL_GONE;
    }
}

void sentinel_end(pid_t sentinel)
{
    kill(sentinel, SIGKILL);
    while (waitpid(sentinel, NULL, 0) < 0 && errno == EINTR)
        ;
}
