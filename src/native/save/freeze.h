/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Standing the job still: every thread of every process below one parent is stopped by
 * ptrace, parents before their children, so that nobody is born meanwhile.
 *
 * A stopped job is killed by the kernel when this program dies (PTRACE_O_EXITKILL): a
 * job with changed registers never runs on. freeze_thaw lets it go on as if nothing had
 * been.
 */
#ifndef NATIVE_SAVE_FREEZE_H
#define NATIVE_SAVE_FREEZE_H

#include "base/proc.h"
#include "base/scope.h"
#include "native/arch/arch.h"
#include "native/inject.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct frozen_thread {
    pid_t tid;
    struct arch_regs regs; /* with which it goes on */
    uint64_t sigmask;
    struct near near; /* from the first injected call on */
};

struct frozen_process {
    pid_t pid; /* all pids here are as this program sees them */
    pid_t parent;
    bool zombie;
    int status;    /* zombie: wait status */
    bool stopped;  /* by a stop signal, before us */
    bool injected; /* calls were injected: registers must be set again */
    struct frozen_thread *threads; /* [0] is the leader; owned */
    uint32_t n_threads;
    struct proc_maps maps;
    uint64_t syscall_ip;
    struct near *self; /* that of the freeze */
};

struct freeze {
    struct frozen_process *processes; /* parents before children; owned */
    uint32_t n_processes;
    struct near self; /* where this program is while calls are injected */
    /* The root process ended while we froze it, and its status was collected. */
    bool root_ended;
    int root_status;
};

/* Threads that did not stop in time. They are still asked to, and stay traced; each is
 * let go as soon as it stops. Kept by the caller from one freeze to the next. */
struct freeze_late {
    pid_t *tid; /* owned */
    uint32_t n;
};

/* Lets go those that have stopped meanwhile; to be called now and then. */
void freeze_late_release(struct freeze_late *late);

/* What is frozen: the children of `parent` and their descendants, without `ignored`. */
struct freeze_target {
    pid_t parent;
    pid_t root; /* whose exit status counts */
    const pid_t *ignored;
    uint32_t n_ignored;
    unsigned timeout_s;
    struct freeze_late *late;
};

/* On failure everything runs on. ERR_TIMEOUT names the process that would not stop;
 * ERR_REFUSED one that may not be stopped; ERR_GONE: no process is left. */
int freeze_tree(const struct freeze_target *target, struct freeze **out, struct err *e);

/* A thread prepared for injection. */
struct tracee freeze_tracee(const struct frozen_process *p, uint32_t thread);

/* Lets everything go on, and frees. A thread that cannot be set right is killed with
 * its process ; `e` may be NULL. */
int freeze_thaw(struct freeze *f, struct err *e);

/* Kills all processes that are frozen, collects them, and frees. */
void freeze_kill(struct freeze *f);

static inline void freeze_thaw_quietly(struct freeze *f)
{
    freeze_thaw(f, NULL);
}
SCOPE_DEFINE(freeze, struct freeze *, freeze_thaw_quietly);
#define auto_freeze SCOPE_USE(freeze)

#endif
