/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/stopped.h"

#include "base/err.h"
#include "base/proc.h"
#include "image/image.h"
#include "native/restore/threads.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { STOP_TRIES = 5000 }; /* of a millisecond */

static int await_stop(pid_t pid, struct err *e)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct proc_stat st;

    for (int i = 0; i < STOP_TRIES; i++) {
        if (proc_stat_read(pid, &st, e) < 0)
            return -1;
        if (st.state == 'T')
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(e, ERR_TIMEOUT, "process %d does not stop", pid);
}

/* Takes back the SIGCHLD that the stop has sent to the parent: what was pending before
 * the checkpoint is queued later. */
static int flush_sigchld(struct restored *parent, struct err *e)
{
    const struct {
        uint64_t set;
        struct timespec at_once;
    } args = {.set = 1ull << (SIGCHLD - 1)};
    struct tracee *t = restored_leader(parent);
    struct inject_result r;

    if (inject_write(t, parent->scratch, &args, sizeof(args), e) < 0)
        return -1;
    do {
        if (inject_call(t, SYS_rt_sigtimedwait,
                        (const uint64_t[6]){parent->scratch, 0, parent->scratch + 8, 8},
                        &r, e) < 0)
            return -1;
    } while (r.value > 0);
    return r.value == -EAGAIN ? 0 : err_code(e, -r.value, "take back a SIGCHLD");
}

/* The parent is made to wait for the stop, as it had done before the checkpoint. */
static int consume(const struct restored *r, struct restored *parent, struct err *e)
{
    return INJECT(restored_leader(parent), NULL, e, "wait for a stopped child",
                  SYS_wait4, r->p->pid, 0, WUNTRACED | WNOHANG, 0);
}

int stopped_settle(struct restored *r, struct restored *parent, struct err *e)
{
    pid_t pid = restored_leader(r)->pid;

    /* The kernel handles the signal before any thread goes back to user space. */
    if (kill(pid, SIGSTOP) < 0)
        return err_sys(e, "stop process %d", pid);
    threads_detach(r);
    if (await_stop(pid, e) < 0)
        return -1;
    if (!parent)
        return 0;
    if (r->p->status == 0 && consume(r, parent, e) < 0)
        return -1;
    return flush_sigchld(parent, e);
}
