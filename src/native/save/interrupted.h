/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System calls that the freeze interrupted, and how they go on.
 *
 * A call that was interrupted leaves -ERESTART... in the result register, and the
 * kernel decides what becomes of it when the thread goes on (kernel/signal.c,
 * arch/x86/kernel/signal.c). A live thread goes on through that same kernel code. An
 * image must not depend on kernel state that is not in it.
 */
#ifndef NATIVE_SAVE_INTERRUPTED_H
#define NATIVE_SAVE_INTERRUPTED_H

#include "native/arch/arch.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Remembers, from one checkpoint to the next, which call a thread is in: after the
 * first interruption the kernel only says restart_syscall(2). Kept by the caller. */
struct interrupted {
    struct interrupted_call {
        pid_t tid;
        long nr;
    } * call; /* owned */
    uint32_t n;
};

void interrupted_free(struct interrupted *table);

/* Registers with which the live thread goes on. Some calls return -EINTR after a stop
 * although no signal came (epoll_wait, sigtimedwait..., signal(7)): those are made
 * again. `signal_waits`: a signal is about to be delivered, so the call's result is its
 * own. */
int interrupted_live(struct interrupted *table, pid_t tid, struct arch_regs *regs,
                     bool signal_waits, struct err *e);

/* Registers for the image: sleeping calls that the kernel would continue from its own
 * memory are begun again with what they had stored as remaining. */
void interrupted_image(const struct interrupted *table, pid_t tid,
                       struct arch_regs *regs);

#endif
