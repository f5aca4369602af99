/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tracer and tracee on one processor while calls are injected.
 *
 * Each injected call stops the tracee twice. On one processor a stop is a switch from
 * one to the other; between two it is an interrupt to wake each of them, several times
 * as long, and longer still on a virtual machine. So the thread is kept where it ran
 * last (its caches and its memory are there), and the tracer comes to it.
 *
 * All of it is a matter of speed: what the kernel does not allow is left undone. A
 * thread whose tracer dies meanwhile is killed (freeze.h), so that no thread stays
 * bound.
 */
#ifndef NATIVE_NEAR_H
#define NATIVE_NEAR_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct near {
    bool bound;
    int cpu;
    cpu_set_t allowed; /* before */
};

/* Binds a stopped thread to the processor it ran on last. */
void near_bind(pid_t pid, pid_t tid, struct near *n);

/* Gives it back the processors that it had. */
void near_release(pid_t tid, struct near *n);

/* Brings the caller to a processor; `own` remembers where it may run otherwise. */
void near_come(int cpu, struct near *own);
void near_leave(struct near *own);

#endif
