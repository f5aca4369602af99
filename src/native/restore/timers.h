/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Interval timers (setitimer(2)) and POSIX timers (timer_create(2)) of a process that
 * is being restored.
 */
#ifndef NATIVE_RESTORE_TIMERS_H
#define NATIVE_RESTORE_TIMERS_H

#include "native/restore/restored.h"

struct err;

/* Makes the POSIX timers with the ids they had; all threads are there. */
int timers_make(struct restored *r, struct err *e);

/* Starts all timers with the time that was left: just before the process runs. */
int timers_start(struct restored *r, struct err *e);

#endif
