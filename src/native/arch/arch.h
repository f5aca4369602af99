/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What differs between architectures, and nothing else does: one arch/NAME/ implements
 * it.
 */
#ifndef NATIVE_ARCH_ARCH_H
#define NATIVE_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct err;
struct image_blob;
struct tracee;

/* The general registers, as PTRACE_GETREGSET NT_PRSTATUS has them. */
struct arch_regs {
    struct user_regs_struct r;
};

const char *arch_name(void);

/* Registers of a stopped thread. */
int arch_get_regs(pid_t tid, struct arch_regs *regs, struct err *e);
int arch_set_regs(pid_t tid, const struct arch_regs *regs, struct err *e);

/* Floating point and vector state (NT_X86_XSTATE), as a new blob. */
int arch_get_xstate(pid_t tid, struct image_blob *xstate, struct err *e);
/* Sets it; `xlayout` is that of the saving host (image.xlayout). A component which this
 * CPU lacks is ERR_WRONG_HOST and named. */
int arch_set_xstate(pid_t tid, const struct image_blob *xstate,
                    const struct image_blob *xlayout, struct err *e);
/* This host's XCR0 and layout of the XSAVE area. */
int arch_xlayout(uint64_t *xfeatures, struct image_blob *xlayout, struct err *e);

/* Whether programs can have protection keys here (pkeys(7)). */
bool arch_has_protection_keys(void);

/* Registers that a program has to ask the kernel for, and that are not restored:
 * ERR_REFUSED names process `pid`. At `at` are 8 bytes of it that may be written. */
int arch_refuse_permitted(const struct tracee *t, uint64_t at, int pid, struct err *e);

/* Registers for an injected system call at `ip`, and its result. */
void arch_call_setup(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t a[6]);
long arch_call_result(const struct arch_regs *regs);
uint64_t arch_ip(const struct arch_regs *regs);
void arch_set_ip(struct arch_regs *regs, uint64_t ip);

/* Offset of a syscall instruction in a vDSO image, or -1. */
ssize_t arch_find_syscall(const uint8_t *vdso, size_t size);

/* The system call a stopped thread was interrupted in: its number, or -1 for none; and
 * what it was about to return (-ERESTART..., -EINTR). */
long arch_interrupted_call(const struct arch_regs *regs, long *result);
uint64_t arch_call_arg(const struct arch_regs *regs, int n);
void arch_set_call_arg(struct arch_regs *regs, int n, uint64_t value);

/* Makes the thread execute its interrupted call once more, with the number `nr`; or
 * return `result` from it. */
void arch_restart_call(struct arch_regs *regs, long nr);
void arch_return_from_call(struct arch_regs *regs, long result);

/* Makes the thread one that was interrupted in call `nr` with `result` (-ERESTART...).
 */
void arch_set_restart(struct arch_regs *regs, long nr, long result);

/* Bytes that make the function at `entry` of an old vDSO image jump to `target`.
 * Returns the number of bytes. */
enum { ARCH_JUMP_MAX = 16 };
size_t arch_jump(uint8_t out[ARCH_JUMP_MAX], uint64_t entry, uint64_t target);
/* Bytes of a function that returns -code, as a system call that fails. */
size_t arch_fail(uint8_t out[ARCH_JUMP_MAX], int code);

/* The end of user address space. */
uint64_t arch_task_size(void);

#endif
