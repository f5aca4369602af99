/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SIGCHLD ignored, with SA_NOCLDWAIT, and with a handler: children end accordingly. */
#include "victim.h"

static volatile sig_atomic_t count, status_seen;

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    count++;
    status_seen = info->si_status;
}

static pid_t short_child(int code)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0)
        _exit(code);
    return pid;
}

int main(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction nowait = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    struct sigaction handled = {.sa_sigaction = handler,
                                .sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP};
    pid_t waiting;

    sigaction(SIGCHLD, &ignore, NULL);
    waiting = fork();
    NEED(waiting >= 0);
    if (waiting == 0) {
        /* Its own child ends under SA_NOCLDWAIT, inherited by nobody. */
        sigaction(SIGCHLD, &nowait, NULL);
        victim_wait_go();
        short_child(1);
        errno = 0;
        _exit(wait(NULL) < 0 && errno == ECHILD ? 0 : 1);
    }
    victim_wait();
    errno = 0;
    CHECK("ignored: children leave no zombie",
          waitpid(waiting, NULL, 0) < 0 && errno == ECHILD);
    sigaction(SIGCHLD, &handled, NULL);
    CHECK_INT("handled: the status", victim_waitpid(short_child(9)), 9 << 8);
    CHECK_INT("the handler ran", count, 1);
    CHECK_INT("with the status", status_seen, 9);
    return victim_end();
}
