/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A starter on a host whose CPU lacks what the job's checkpoint needs: how the job gets
 * to another one. doc/design/cpu.md says why so.
 */
#ifndef CMD_WRONG_HOST_H
#define CMD_WRONG_HOST_H

#include "cmd/hook_cpu.h"

#include <stdbool.h>

struct store;

/*
 * Makes what the newest generation needs part of the job's hard requests, see
 * hook_cpu_ask and hook_cpu_ask_common. True when that changed them, so that Grid
 * Engine will not choose a host like this one again. `text` says what was done or why
 * not. `host` is this one as Grid Engine calls it, or NULL.
 */
bool wrong_host_ask(const struct ge_job *job, struct store *store, const char *host,
                    char text[HOOK_CPU_TEXT_SIZE]);

/* How long to wait before the `n`th run in a row on a wrong host ends, n from 1: from
 * first_s doubling to ten minutes. Grid Engine has no delay of its own, and may choose
 * the same host at once. */
unsigned wrong_host_delay_s(unsigned n, unsigned first_s);

#endif
