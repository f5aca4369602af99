/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads of a process that is being restored, and what the kernel keeps for each of
 * them and for the process as a whole.
 */
#ifndef NATIVE_RESTORE_THREADS_H
#define NATIVE_RESTORE_THREADS_H

#include "native/restore/restored.h"

#include <stdbool.h>

struct err;
struct image;

/* Makes the other threads, with their tids. The memory is in place. */
int threads_make(struct restored *r, struct err *e);

/* Gives every thread what it had: identity for the kernel (robust list, rseq...), name,
 * scheduling, vector registers, capabilities. Afterwards the process
 * has no privileges that it did not have. */
int threads_equip(struct restored *r, const struct image *img, struct err *e);

/* Queues the signals that were pending. */
int threads_queue_signals(struct restored *r, struct err *e);

/* Sets registers and signal masks. After it no call can be injected any more. */
int threads_release(struct restored *r, struct err *e);

/* Lets all of them run. */
void threads_detach(struct restored *r);

#endif
