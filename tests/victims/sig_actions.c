/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handlers with masks and flags, ignored signals, the blocked mask. */
#include "victim.h"

/* What glibc adds to the flags on x86; its headers do not say. */
#define SA_RESTORER_FLAG 0x04000000

static volatile sig_atomic_t got[65], masked_inside;

static void handler(int sig)
{
    sigset_t now;

    got[sig]++;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    masked_inside = sigismember(&now, SIGTERM);
}

static void info_handler(int sig, siginfo_t *info, void *context)
{
    (void)context;
    got[sig] += info->si_pid == getpid() ? 1 : 100;
}

static void check_action(int sig, const struct sigaction *want)
{
    struct sigaction now;
    char what[40];

    snprintf(what, sizeof(what), "action of signal %d", sig);
    NEED(sigaction(sig, NULL, &now) == 0);
    now.sa_flags &= ~SA_RESTORER_FLAG;
    victim_check(now.sa_handler == want->sa_handler, what, "another handler");
    victim_check(now.sa_flags == want->sa_flags, what, "flags %x, expected %x",
                 now.sa_flags, want->sa_flags);
    victim_check(memcmp(&now.sa_mask, &want->sa_mask, 8) == 0, what, "another mask");
}

int main(void)
{
    struct sigaction usr1 = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction usr2 = {.sa_sigaction = info_handler,
                             .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sigaction once = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t block, now;

    sigemptyset(&usr1.sa_mask);
    sigaddset(&usr1.sa_mask, SIGTERM);
    sigaddset(&usr1.sa_mask, SIGRTMIN + 5);
    sigaction(SIGUSR1, &usr1, NULL);
    sigaction(SIGUSR2, &usr2, NULL);
    sigaction(SIGHUP, &once, NULL);
    sigaction(SIGPIPE, &ignored, NULL);
    sigaction(SIGRTMAX, &ignored, NULL);
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGRTMAX - 1);
    sigprocmask(SIG_SETMASK, &block, NULL);
    victim_wait();
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK("blocked signals", memcmp(&now, &block, 8) == 0);
    check_action(SIGUSR1, &usr1);
    check_action(SIGUSR2, &usr2);
    check_action(SIGHUP, &once);
    check_action(SIGPIPE, &ignored);
    check_action(SIGRTMAX, &ignored);
    check_action(SIGTERM, &plain);
    raise(SIGUSR1);
    CHECK_INT("the handler ran", got[SIGUSR1], 1);
    CHECK_INT("with its mask", masked_inside, 1);
    kill(getpid(), SIGUSR2);
    CHECK_INT("the siginfo handler ran", got[SIGUSR2], 1);
    raise(SIGHUP);
    CHECK_INT("the handler for once ran", got[SIGHUP], 1);
    check_action(SIGHUP, &(struct sigaction){.sa_handler = SIG_DFL,
                                             .sa_flags = (int)SA_RESETHAND});
    raise(SIGPIPE);
    return victim_end();
}
