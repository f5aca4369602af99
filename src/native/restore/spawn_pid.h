/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forks that get a wanted pid: clone3(2) with set_tid (Linux 5.5;
 * CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over the pid namespace), else by writing
 * /proc/sys/kernel/ns_last_pid, which is free of races where nobody else forks.
 */
#ifndef NATIVE_RESTORE_SPAWN_PID_H
#define NATIVE_RESTORE_SPAWN_PID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Forks; the child's pid in the innermost namespace is `pid`. exit_signal 0: the parent
 * is not signalled and must wait with __WALL. `lock` is in memory that all who fork
 * share. Returns 0 in the child, the pid in the parent, -1 on failure. */
pid_t spawn_pid(pid_t pid, int exit_signal, _Atomic uint32_t *lock, struct err *e);

/* Whether clone3 with set_tid exists here. */
bool spawn_has_set_tid(void);

/* Blocks every signal, also those that libc keeps for itself. */
void spawn_block_signals(void);

#endif
