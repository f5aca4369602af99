/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/interrupted.h"

#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

/* include/linux/errno.h: never seen by programs, but by tracers. */
enum {
    KERNEL_ERESTARTSYS = 512,
    KERNEL_ERESTARTNOINTR = 513,
    KERNEL_ERESTARTNOHAND = 514,
    KERNEL_ERESTART_RESTARTBLOCK = 516,
};

void interrupted_free(struct interrupted *table)
{
    free(table->call);
    *table = (struct interrupted){0};
}

static struct interrupted_call *find(const struct interrupted *table, pid_t tid)
{
    for (uint32_t i = 0; i < table->n; i++)
        if (table->call[i].tid == tid)
            return &table->call[i];
    return NULL;
}

static int note(struct interrupted *table, pid_t tid, long nr, struct err *e)
{
    struct interrupted_call *call = find(table, tid), *more;

    if (nr == SYS_restart_syscall)
        return 0;
    if (!call) {
        more = realloc(table->call, (table->n + 1) * sizeof(*more));
        if (!more)
            return err_sys(e, "list of interrupted calls");
        table->call = more;
        call = &table->call[table->n++];
        call->tid = tid;
    }
    call->nr = nr;
    return 0;
}

static void forget(struct interrupted *table, pid_t tid)
{
    struct interrupted_call *call = find(table, tid);

    if (call)
        *call = table->call[--table->n];
}

/* Calls that return -EINTR when they are stopped and continued, and that have done
 * nothing then: to make them again is what the program wants. */
static bool may_be_made_again(long nr)
{
    switch (nr) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_io_getevents:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_read:
    case SYS_write:
        return true;
    default:
        return false;
    }
}

int interrupted_live(struct interrupted *table, pid_t tid, struct arch_regs *regs,
                     bool signal_waits, struct err *e)
{
    long result = 0, nr = arch_interrupted_call(regs, &result);

    if (nr >= 0 && result == -KERNEL_ERESTART_RESTARTBLOCK)
        return note(table, tid, nr, e);
    forget(table, tid);
    if (nr >= 0 && result == -EINTR && !signal_waits && may_be_made_again(nr))
        arch_restart_call(regs, nr);
    return 0;
}

/* With a place for the remainder, the kernel has stored it there: ask for that. */
static void sleep_on(struct arch_regs *regs, long nr)
{
    uint64_t remainder = arch_call_arg(regs, nr == SYS_nanosleep ? 1 : 3);

    if (nr == SYS_nanosleep && remainder)
        arch_set_call_arg(regs, 0, remainder);
    if (nr == SYS_clock_nanosleep && remainder &&
        !(arch_call_arg(regs, 1) & TIMER_ABSTIME))
        arch_set_call_arg(regs, 2, remainder);
}

void interrupted_image(const struct interrupted *table, pid_t tid,
                       struct arch_regs *regs)
{
    long result = 0, nr = arch_interrupted_call(regs, &result);
    const struct interrupted_call *call = find(table, tid);

    if (nr < 0)
        return;
    switch (-result) {
    case KERNEL_ERESTARTSYS:
    case KERNEL_ERESTARTNOINTR:
    case KERNEL_ERESTARTNOHAND:
        /* Left for the kernel of the restart: a signal that waits decides there. */
        return;
    case KERNEL_ERESTART_RESTARTBLOCK:
        break;
    default:
        /* The call is over; its number must not make the kernel restart anything. */
        return;
    }
    if (nr == SYS_restart_syscall && !call) {
        /* Which call it was is not known: a program that sleeps expects this one. */
        arch_return_from_call(regs, -EINTR);
        return;
    }
    if (call)
        nr = call->nr;
    sleep_on(regs, nr);
    arch_set_restart(regs, nr, -KERNEL_ERESTARTNOHAND);
}
