/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/inject.h"

#include "base/err.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* A stop at a system call's entry or exit, under PTRACE_O_TRACESYSGOOD (ptrace(2)). */
enum { SYSCALL_STOP = SIGTRAP | 0x80 };

/* How often to look before sleeping. A stop comes within some microseconds, while to
 * sleep and be woken takes tens, on an idle virtual machine far more; and there are
 * some forty stops a process. */
enum { SPINS = 60 };

static int wait_asleep(pid_t tid, int *status, struct err *e)
{
    for (;;) {
        if (waitpid(tid, status, __WALL) == tid)
            return 0;
        if (errno != EINTR)
            return err_sys(e, "wait for thread %d", tid);
    }
}

int inject_wait(pid_t tid, int *status, struct err *e)
{
    for (int i = 0; i < SPINS; i++) {
        if (waitpid(tid, status, __WALL | WNOHANG) == tid)
            return 0;
        sched_yield();
    }
    return wait_asleep(tid, status, e);
}

static int wait_stop(const struct tracee *t, int *status, struct err *e)
{
    /* On one processor the tracee cannot run before this program sleeps. */
    if ((t->near ? wait_asleep : inject_wait)(t->tid, status, e) < 0)
        return -1;
    if (!WIFSTOPPED(*status))
        return err_set(e, ERR_GONE, "thread %d ended while it was stopped", t->tid);
    return 0;
}

static bool is_birth(int event)
{
    return event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK ||
           event == PTRACE_EVENT_VFORK;
}

/* Lets the tracee run until the injected call has returned. */
static int run_call(const struct tracee *t, pid_t *child, struct err *e)
{
    pid_t tid = t->tid;
    int status, syscall_stops = 0;

    while (syscall_stops < 2) {
        if (ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
            return err_sys(e, "continue thread %d", tid);
        if (wait_stop(t, &status, e) < 0)
            return -1;
        if (WSTOPSIG(status) == SYSCALL_STOP) {
            syscall_stops++;
        } else if (is_birth(status >> 16)) {
            unsigned long pid = 0;

            ptrace(PTRACE_GETEVENTMSG, tid, 0, &pid);
            *child = pid;
        } else if (status >> 16 != PTRACE_EVENT_STOP) {
            /* All signals are blocked meanwhile: only a fault of ours gets here. */
            return err_set(e, ERR_FAILED,
                           "thread %d stopped with status %#x in a call of "
                           "ours",
                           tid, status);
        }
    }
    return 0;
}

int inject_call(const struct tracee *t, long nr, const uint64_t args[6],
                struct inject_result *r, struct err *e)
{
    struct arch_regs regs = t->regs;

    r->child = 0;
    if (t->near)
        near_come(t->cpu, t->near);
    arch_call_setup(&regs, t->syscall_ip, nr, args);
    if (arch_set_regs(t->tid, &regs, e) < 0)
        return -1;
    if (run_call(t, &r->child, e) < 0)
        return err_wrap(e, "system call %ld", nr);
    if (arch_get_regs(t->tid, &regs, e) < 0)
        return -1;
    r->value = arch_call_result(&regs);
    return 0;
}

int inject_checked(const struct tracee *t, uint64_t *value, struct err *e,
                   const char *what, long nr, const uint64_t args[6])
{
    struct inject_result r;

    if (inject_call(t, nr, args, &r, e) < 0)
        return err_wrap(e, "%s of process %d", what, t->pid);
    if (r.value < 0 && r.value > -4096)
        return err_code(e, -r.value, "%s of process %d", what, t->pid);
    if (value)
        *value = r.value;
    return 0;
}

static int mem_fd(const struct tracee *t, int flags, struct err *e)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

int inject_read(const struct tracee *t, uint64_t addr, void *data, size_t size,
                struct err *e)
{
    struct iovec local = {data, size}, remote = {(void *)addr, size};
    auto_fd int fd = -1;

    if (process_vm_readv(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)size)
        return 0;
    /* /proc/PID/mem reads what the process itself may not read, too. */
    fd = mem_fd(t, O_RDONLY, e);
    if (fd < 0)
        return -1;
    if (pread(fd, data, size, addr) != (ssize_t)size)
        return err_sys(e, "read %zu bytes of process %d at %#lx", size, t->pid,
                       (unsigned long)addr);
    return 0;
}

int inject_write(const struct tracee *t, uint64_t addr, const void *data, size_t size,
                 struct err *e)
{
    struct iovec local = {(void *)data, size}, remote = {(void *)addr, size};
    auto_fd int fd = -1;

    if (process_vm_writev(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)size)
        return 0;
    fd = mem_fd(t, O_WRONLY, e);
    if (fd < 0)
        return -1;
    if (pwrite(fd, data, size, addr) != (ssize_t)size)
        return err_sys(e, "write %zu bytes of process %d at %#lx", size, t->pid,
                       (unsigned long)addr);
    return 0;
}

/* After an injected call the tracee is in a syscall-exit stop. Registers set there
 * reach user space as they are: an -ERESTART... of the interrupted call would leak. A
 * stop inside the kernel's signal code is the place where restarting is decided, so the
 * tracee is sent there by one more, harmless call. */
static int to_signal_stop(const struct tracee *t, struct err *e)
{
    static const uint64_t none[6];
    struct arch_regs regs = t->regs;
    int status;

    if (t->near)
        near_come(t->cpu, t->near);
    arch_call_setup(&regs, t->syscall_ip, SYS_sched_yield, none);
    if (arch_set_regs(t->tid, &regs, e) < 0)
        return -1;
    if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) < 0 ||
        ptrace(PTRACE_CONT, t->tid, 0, 0) < 0)
        return err_sys(e, "continue thread %d", t->tid);
    for (;;) {
        if (wait_stop(t, &status, e) < 0)
            return -1;
        if (status >> 16 == PTRACE_EVENT_STOP)
            return 0;
        if (ptrace(PTRACE_CONT, t->tid, 0, 0) < 0)
            return err_sys(e, "continue thread %d", t->tid);
    }
}

int inject_release(const struct tracee *t, const struct arch_regs *regs,
                   uint64_t sigmask, struct err *e)
{
    if (to_signal_stop(t, e) < 0)
        return -1;
    if (arch_set_regs(t->tid, regs, e) < 0)
        return -1;
    if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(sigmask), &sigmask) < 0)
        return err_sys(e, "set the signal mask of thread %d", t->tid);
    return 0;
}
