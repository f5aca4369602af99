/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes that a stop signal (SIGSTOP, SIGTSTP...) had stopped before the checkpoint.
 */
#ifndef NATIVE_RESTORE_STOPPED_H
#define NATIVE_RESTORE_STOPPED_H

#include "native/restore/restored.h"

struct err;

/* Lets `r`, which has been released (threads_release), go into the stop it was in: it
 * executes nothing before a SIGCONT. `parent` is still traced, or NULL when it is none
 * of the job: it hears of the stop only if it had not heard of it before. */
int stopped_settle(struct restored *r, struct restored *parent, struct err *e);

#endif
