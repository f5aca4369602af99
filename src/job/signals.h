/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signals of the front and the supervisor: both block everything and read what they
 * relay from a signalfd, so that nothing interrupts them at a bad moment and nothing
 * is lost while a checkpoint freezes the job.
 */
#ifndef JOB_SIGNALS_H
#define JOB_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

struct err;

/* What a program finds set when it is started; a job shall find the same. */
struct signals {
    sigset_t mask, ignored;
};

/* Blocks every signal, gives every ignored one its default action (a signalfd does not
 * see an ignored signal), and tells how it was. SIGTSTP stays as it was for the caller:
 * a shell's ^Z must stop the front. */
void signals_take(struct signals *inherited);

/* A descriptor for the signals that are relayed, and SIGCHLD. */
int signals_open(struct err *e);

/* Reads one signal without blocking; false when there is none. */
bool signals_read(int fd, struct signalfd_siginfo *info);

/* Whether a signal that was read was meant for the job. The kernel also sends some to
 * us for what we ourselves did: a CPU limit reached, for instance. */
bool signals_for_job(const struct signalfd_siginfo *info);

#endif
