/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors that we were started with and do not know: a shell's `3>file`. The job
 * inherits them, as without us; if we held them too, the other end of a pipe would
 * never see its end.
 */
#ifndef JOB_STRANGERS_H
#define JOB_STRANGERS_H

struct err;

/* The descriptors above 2 that a program started now would inherit, ended by -1. The
 * caller frees it. NULL on failure. */
int *strangers_list(struct err *e);

void strangers_close(const int *list);

#endif
