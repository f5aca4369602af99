/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/arch/arch.h"

#include "base/err.h"

#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { EFLAGS_TRAP = 0x100 };

const char *arch_name(void)
{
    return "x86_64";
}

int arch_get_regs(pid_t tid, struct arch_regs *regs, struct err *e)
{
    struct iovec iov = {&regs->r, sizeof(regs->r)};

    if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &iov) < 0)
        return err_sys(e, "read registers of thread %d", tid);
    if (iov.iov_len != sizeof(regs->r))
        return err_set(e, ERR_REFUSED,
                       "thread %d is a 32-bit one; only 64-bit programs can be saved",
                       tid);
    return 0;
}

int arch_set_regs(pid_t tid, const struct arch_regs *regs, struct err *e)
{
    struct iovec iov = {(void *)&regs->r, sizeof(regs->r)};

    if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &iov) < 0)
        return err_sys(e, "set registers of thread %d", tid);
    return 0;
}

void arch_call_setup(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t a[6])
{
    struct user_regs_struct *r = &regs->r;

    r->rip = ip;
    r->rax = nr;
    /* Not in a system call: the kernel must not restart the interrupted one. */
    r->orig_rax = -1;
    r->rdi = a[0];
    r->rsi = a[1];
    r->rdx = a[2];
    r->r10 = a[3];
    r->r8 = a[4];
    r->r9 = a[5];
    r->eflags &= ~(uint64_t)EFLAGS_TRAP;
}

long arch_call_result(const struct arch_regs *regs)
{
    return (long)regs->r.rax;
}

uint64_t arch_ip(const struct arch_regs *regs)
{
    return regs->r.rip;
}

void arch_set_ip(struct arch_regs *regs, uint64_t ip)
{
    regs->r.rip = ip;
}

ssize_t arch_find_syscall(const uint8_t *vdso, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++)
        if (vdso[i] == 0x0f && vdso[i + 1] == 0x05)
            return i;
    return -1;
}

long arch_interrupted_call(const struct arch_regs *regs, long *result)
{
    if ((long)regs->r.orig_rax < 0)
        return -1;
    *result = (long)regs->r.rax;
    return (long)regs->r.orig_rax;
}

static unsigned long long *call_arg(struct user_regs_struct *r, int n)
{
    switch (n) {
    case 0:
        return &r->rdi;
    case 1:
        return &r->rsi;
    case 2:
        return &r->rdx;
    case 3:
        return &r->r10;
    case 4:
        return &r->r8;
    default:
        return &r->r9;
    }
}

uint64_t arch_call_arg(const struct arch_regs *regs, int n)
{
    return *call_arg((struct user_regs_struct *)&regs->r, n);
}

void arch_set_call_arg(struct arch_regs *regs, int n, uint64_t value)
{
    *call_arg(&regs->r, n) = value;
}

void arch_restart_call(struct arch_regs *regs, long nr)
{
    /* The instruction is two bytes long: 0f 05. */
    regs->r.rip -= 2;
    regs->r.rax = nr;
    regs->r.orig_rax = -1;
}

void arch_return_from_call(struct arch_regs *regs, long result)
{
    regs->r.rax = result;
    regs->r.orig_rax = -1;
}

void arch_set_restart(struct arch_regs *regs, long nr, long result)
{
    regs->r.rax = result;
    regs->r.orig_rax = nr;
}

size_t arch_jump(uint8_t out[ARCH_JUMP_MAX], uint64_t entry, uint64_t target)
{
    /* movabs $target, %r11; jmp *%r11: r11 is not preserved by calls anyway. */
    out[0] = 0x49;
    out[1] = 0xbb;
    memcpy(out + 2, &target, sizeof(target));
    out[10] = 0x41;
    out[11] = 0xff;
    out[12] = 0xe3;
    return 13;
}

size_t arch_fail(uint8_t out[ARCH_JUMP_MAX], int code)
{
    int32_t result = -code;

    /* mov $result, %rax; ret */
    out[0] = 0x48;
    out[1] = 0xc7;
    out[2] = 0xc0;
    memcpy(out + 3, &result, sizeof(result));
    out[7] = 0xc3;
    return 8;
}

uint64_t arch_task_size(void)
{
    return 0x7ffffffff000ull;
}
