/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes of the job that were stopped by a signal at the checkpoint, and stay so.
 */
#ifndef NATIVE_STOPPED_H
#define NATIVE_STOPPED_H

#include "native/restored.h"

#include <stdint.h>

struct err;

/* Lets those among `processes` that were stopped go into their stop, before any other
 * runs; takes the news of it away from parents who had it before. They are released and
 * detached then (n_threads 0). */
int stopped_release(struct restored *processes, uint32_t n, struct err *e);

#endif
