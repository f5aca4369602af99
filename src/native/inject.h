/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System calls made by a stopped process on our behalf.
 *
 * A tracee that is stopped (ptrace(2)) is made to execute one system call through the
 * `syscall` instruction of its vDSO; nothing is written into its code. The registers of
 * the tracee are changed: the caller sets them right at the end with inject_release.
 * Runs while the job is frozen.
 */
#ifndef NATIVE_INJECT_H
#define NATIVE_INJECT_H

#include "native/arch/arch.h"
#include "native/near.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* A tracee prepared for injection. Several threads of one process may share `ip`. */
struct tracee {
    pid_t pid;             /* of the process, as this program sees it */
    pid_t tid;             /* of the thread, as this program sees it */
    struct arch_regs regs; /* where every injection starts from */
    uint64_t syscall_ip;   /* address of a syscall instruction in the tracee */
    struct near *near;     /* a bound thread: where this program is; else NULL */
    int cpu;               /* a bound thread: where it is */
};

/* The result of one call: what the kernel returned (-errno on failure), and the pid (as
 * this program sees it) of a child it made under PTRACE_O_TRACE{CLONE,FORK,VFORK}. */
struct inject_result {
    long value;
    pid_t child;
};

/* Makes `t` call `nr`. -1 when the tracee could not be driven (it died): ERR_GONE, or
 * ERR_SYS. A failing system call is no failure here: see r->value. */
int inject_call(const struct tracee *t, long nr, const uint64_t args[6],
                struct inject_result *r, struct err *e);

/* The same for callers that want success: a negative result fails with "WHAT of process
 * PID: ...". `value` may be NULL. */
#define INJECT(t, value, e, what, nr, ...) \
    inject_checked((t), (value), (e), (what), (nr), (const uint64_t[6]){__VA_ARGS__})
int inject_checked(const struct tracee *t, uint64_t *value, struct err *e,
                   const char *what, long nr, const uint64_t args[6]);

/* Reads and writes memory of the tracee (process_vm_readv(2), else /proc/PID/mem). */
int inject_read(const struct tracee *t, uint64_t addr, void *data, size_t size,
                struct err *e);
int inject_write(const struct tracee *t, uint64_t addr, const void *data, size_t size,
                 struct err *e);

/* Brings a tracee that is in a syscall-exit stop to a stop where the kernel's own
 * system call restarting applies (PTRACE_EVENT_STOP), and sets registers and signal
 * mask: a following PTRACE_DETACH lets it go on at `regs` as if nothing had been. */
int inject_release(const struct tracee *t, const struct arch_regs *regs,
                   uint64_t sigmask, struct err *e);

/* Waits for the next stop of exactly this tracee. */
int inject_wait(pid_t tid, int *status, struct err *e);

#endif
