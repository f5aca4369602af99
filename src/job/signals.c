/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/signals.h"

#include "base/err.h"

#include <unistd.h>

/* SIGPIPE and SIGXFSZ are missing because our own writes raise them; the stop signals
 * because the sentinel sees those; the faults because nobody sends them on purpose. */
static const int relayed[] = {SIGHUP,   SIGINT,  SIGQUIT,   SIGABRT, SIGUSR1,   SIGUSR2,
                              SIGALRM,  SIGTERM, SIGSTKFLT, SIGXCPU, SIGVTALRM, SIGPROF,
                              SIGWINCH, SIGIO,   SIGPWR,    SIGURG};

enum { N_RELAYED = sizeof(relayed) / sizeof(relayed[0]) };

void signals_take(struct signals *inherited)
{
    sigset_t all;

    sigemptyset(&inherited->ignored);
    for (int signo = 1; signo < NSIG; signo++) {
        struct sigaction action;

        if (signo == SIGTSTP || sigaction(signo, NULL, &action) < 0 ||
            action.sa_handler != SIG_IGN)
            continue;
        sigaddset(&inherited->ignored, signo);
        signal(signo, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, NULL, &inherited->mask);
    sigfillset(&all);
    if (!sigismember(&inherited->mask, SIGTSTP))
        sigdelset(&all, SIGTSTP);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

int signals_open(struct err *e)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (int i = 0; i < N_RELAYED; i++)
        sigaddset(&set, relayed[i]);
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
        sigaddset(&set, signo);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_sys(e, "open a descriptor for signals");
    return fd;
}

bool signals_read(int fd, struct signalfd_siginfo *info)
{
    return read(fd, info, sizeof(*info)) == (ssize_t)sizeof(*info);
}

static bool is_from_terminal(int signo)
{
    return signo == SIGINT || signo == SIGQUIT || signo == SIGHUP || signo == SIGWINCH;
}

bool signals_for_job(const struct signalfd_siginfo *info)
{
    int signo = info->ssi_signo;

    if (signo == SIGCHLD)
        return false;
    return info->ssi_code != SI_KERNEL || is_from_terminal(signo);
}
