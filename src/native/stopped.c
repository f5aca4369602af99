/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/stopped.h"

#include "base/err.h"
#include "image/image.h"
#include "native/proc.h"
#include "native/threads_restore.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { STOP_TRIES = 2000 }; /* of a millisecond */

/* A signal that waits is taken before the first instruction of the program. */
static int enter_stop(struct restored *r, struct err *e)
{
    pid_t pid = restored_leader(r)->pid;
    struct proc_stat stat;

    if (threads_release(r, e) < 0)
        return -1;
    if (kill(pid, SIGSTOP) < 0)
        return err_sys(e, "stop process %d", r->p->pid);
    threads_detach(r);
    for (int i = 0; i < STOP_TRIES; i++) {
        if (proc_stat_read(pid, &stat, e) < 0)
            return -1;
        if (stat.state == 'T')
            return 0;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return err_set(e, ERR_TIMEOUT, "process %d does not stop again", r->p->pid);
}

/* The parent waited for this stop before the checkpoint: it is made to wait again. */
static int tell_parent(struct restored *processes, uint32_t n,
                       const struct restored *child, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        struct restored *parent = &processes[i];

        if (parent->p->pid == child->p->ppid && parent->n_threads > 0)
            return INJECT(restored_leader(parent), NULL, e, "wait for a stopped child",
                          SYS_wait4, (uint64_t)child->p->pid, 0, WUNTRACED | WNOHANG,
                          0);
    }
    return 0;
}

int stopped_release(struct restored *processes, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        struct restored *r = &processes[i];

        if (!r->p->stopped || r->n_threads == 0)
            continue;
        if (enter_stop(r, e) < 0)
            return -1;
        if (r->p->status == 0 && tell_parent(processes, n, r, e) < 0)
            return -1;
    }
    return 0;
}
