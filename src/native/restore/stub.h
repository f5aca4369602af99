/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stubs: forks of this program that take the places of the job's processes.
 *
 * A stub does all that a process can do for itself in C: it is born in the right order
 * (plan.h), makes its session and process group, takes its terminal, directory and
 * descriptors and signal actions, and then waits to be traced: its memory is switched
 * from outside (remap.h). A failure is reported and ends everything.
 */
#ifndef NATIVE_RESTORE_STUB_H
#define NATIVE_RESTORE_STUB_H

#include <stdint.h>

struct err;
struct setup;

/* In the replica: forks the nodes below PLAN_TOP and takes part in the common steps
 * until all temporary processes and zombies have ended. */
int stub_fork_top(struct setup *s, struct err *e);

#endif
