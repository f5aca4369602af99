/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/threads.h"

#include "base/err.h"
#include "image/image.h"
#include "native/restore/spawn_pid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { DEFAULT_TIMER_SLACK_NS = 50000 };

/* ---- making ---- */

/* For kernels without set_tid; nobody else forks in the namespace at this time. */
static int write_last_pid(struct restored *r, pid_t tid, struct err *e)
{
    static const char path[] = "/proc/sys/kernel/ns_last_pid";
    struct tracee *t = restored_leader(r);
    uint64_t fd;
    char number[16];
    int length = snprintf(number, sizeof(number), "%d", tid - 1);

    if (inject_write(t, r->scratch, path, sizeof(path), e) < 0 ||
        INJECT(t, &fd, e, "open ns_last_pid", SYS_openat, (uint64_t)AT_FDCWD,
               r->scratch, O_WRONLY) < 0)
        return -1;
    if (inject_write(t, r->scratch, number, sizeof(number), e) < 0 ||
        INJECT(t, NULL, e, "write ns_last_pid", SYS_write, fd, r->scratch, length) < 0)
        return -1;
    return INJECT(t, NULL, e, "close ns_last_pid", SYS_close, fd);
}

static int clone_thread(struct restored *r, pid_t tid, struct inject_result *result,
                        struct err *e)
{
    enum { SET_TID_AT = 512 };
    const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                           CLONE_THREAD | CLONE_SYSVSEM;
    struct clone_args args = {
        .flags = flags, .set_tid = r->scratch + SET_TID_AT, .set_tid_size = 1};
    struct tracee *t = restored_leader(r);

    if (!spawn_has_set_tid()) {
        if (write_last_pid(r, tid, e) < 0)
            return -1;
        return inject_call(t, SYS_clone, (const uint64_t[6]){flags}, result, e);
    }
    if (inject_write(t, r->scratch, &args, sizeof(args), e) < 0 ||
        inject_write(t, r->scratch + SET_TID_AT, &tid, sizeof(tid), e) < 0)
        return -1;
    return inject_call(t, SYS_clone3, (const uint64_t[6]){r->scratch, sizeof(args)},
                       result, e);
}

static int make_thread(struct restored *r, uint32_t k, struct err *e)
{
    pid_t tid = r->p->threads[k].tid;
    struct tracee *made = &r->threads[k];
    struct inject_result result;
    int status;

    if (clone_thread(r, tid, &result, e) < 0)
        return -1;
    if (result.value < 0)
        return err_code(e, -result.value, "make thread %d of process %d", tid,
                        r->p->pid);
    if (result.value != tid || result.child <= 0)
        return err_set(e, ERR_FAILED, "the kernel gave thread %ld instead of %d",
                       result.value, tid);
    *made = *restored_leader(r);
    made->tid = result.child;
    r->n_threads = k + 1;
    if (inject_wait(made->tid, &status, e) < 0)
        return -1;
    if (!WIFSTOPPED(status))
        return err_set(e, ERR_GONE, "thread %d of process %d ended", tid, r->p->pid);
    return arch_get_regs(made->tid, &made->regs, e);
}

int threads_make(struct restored *r, struct err *e)
{
    for (uint32_t k = 1; k < r->p->n_threads; k++)
        if (make_thread(r, k, e) < 0)
            return -1;
    return 0;
}

/* ---- equipping a thread ---- */

static int set_robust_list(struct tracee *t, const struct image_thread *from,
                           struct err *e)
{
    enum { HEAD_SIZE = 24 }; /* struct robust_list_head, the only size there is */

    return INJECT(t, NULL, e, "set the robust list", SYS_set_robust_list,
                  from->robust_list, HEAD_SIZE);
}

static int set_rseq(struct tracee *t, const struct image_thread *from, struct err *e)
{
    if (!from->rseq_addr)
        return 0;
    return INJECT(t, NULL, e, "register rseq", SYS_rseq, from->rseq_addr,
                  from->rseq_size, 0, from->rseq_signature);
}

static int set_altstack(struct restored *r, struct tracee *t,
                        const struct image_thread *from, struct err *e)
{
    stack_t ss = {
        .ss_sp = (void *)from->altstack_addr,
        .ss_size = from->altstack_size,
        .ss_flags = (int)(from->altstack_flags & ~(uint32_t)SS_ONSTACK),
    };

    if (inject_write(t, r->scratch, &ss, sizeof(ss), e) < 0)
        return -1;
    return INJECT(t, NULL, e, "set the alternate stack", SYS_sigaltstack, r->scratch,
                  0);
}

static int set_name(struct restored *r, struct tracee *t,
                    const struct image_thread *from, struct err *e)
{
    if (inject_write(t, r->scratch, from->comm, sizeof(from->comm), e) < 0)
        return -1;
    return INJECT(t, NULL, e, "set the name", SYS_prctl, PR_SET_NAME, r->scratch);
}

/* What may be out of our reach here and changes no result: priorities, timer slack. */
static int set_scheduling(struct tracee *t, const struct image_thread *from,
                          struct err *e)
{
    const uint64_t slack[6] = {PR_SET_TIMERSLACK, from->timer_slack_ns};
    struct sched_param param = {.sched_priority = from->sched_priority};
    struct inject_result ignored;

    if (from->sched_policy != SCHED_OTHER)
        sched_setscheduler(t->tid, from->sched_policy, &param);
    if (from->nice != getpriority(PRIO_PROCESS, t->tid))
        setpriority(PRIO_PROCESS, t->tid, from->nice);
    if (!from->timer_slack_ns || from->timer_slack_ns == DEFAULT_TIMER_SLACK_NS)
        return 0;
    return inject_call(t, SYS_prctl, slack, &ignored, e);
}

/* A signal to oneself may carry any siginfo (rt_sigqueueinfo(2)). tid 0: to the
 * process. */
static int queue_signals(struct restored *r, struct tracee *t, pid_t tid,
                         const struct image_signal *pending, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        int signo, rc;

        memcpy(&signo, pending[i].info, sizeof(signo));
        if (signo <= 0 || signo > IMAGE_N_SIGNALS || signo == SIGKILL ||
            signo == SIGSTOP)
            continue;
        if (inject_write(t, r->scratch, pending[i].info, sizeof(pending[i].info), e) <
            0)
            return -1;
        if (tid)
            rc = INJECT(t, NULL, e, "queue a signal", SYS_rt_tgsigqueueinfo, r->p->pid,
                        tid, signo, r->scratch);
        else
            rc = INJECT(t, NULL, e, "queue a signal", SYS_rt_sigqueueinfo, r->p->pid,
                        signo, r->scratch);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int equip(struct restored *r, uint32_t k, const struct image *img, struct err *e)
{
    const struct image_thread *from = &r->p->threads[k];
    struct tracee *t = &r->threads[k];

    if (INJECT(t, NULL, e, "set clear_child_tid", SYS_set_tid_address,
               from->clear_child_tid) < 0 ||
        set_robust_list(t, from, e) < 0 || set_rseq(t, from, e) < 0 ||
        set_altstack(r, t, from, e) < 0 || set_name(r, t, from, e) < 0 ||
        set_scheduling(t, from, e) < 0)
        return -1;
    return arch_set_xstate(t->tid, &from->xstate, &img->xlayout, e);
}

/* ---- capabilities: per thread, and the last privilege to go ---- */

static int raise_ambient(struct tracee *t, uint64_t ambient, struct err *e)
{
    for (uint64_t cap = 0; ambient >> cap; cap++)
        if ((ambient >> cap & 1) &&
            INJECT(t, NULL, e, "raise an ambient capability", SYS_prctl, PR_CAP_AMBIENT,
                   PR_CAP_AMBIENT_RAISE, cap) < 0)
            return -1;
    return 0;
}

static int drop_bounding(struct tracee *t, uint64_t bounding, struct err *e)
{
    for (uint64_t cap = 0; cap <= CAP_LAST_CAP; cap++) {
        const uint64_t args[6] = {PR_CAPBSET_DROP, cap};
        struct inject_result ignored; /* a kernel that does not know it */

        if (!(bounding >> cap & 1) && inject_call(t, SYS_prctl, args, &ignored, e) < 0)
            return -1;
    }
    return 0;
}

static int set_capabilities(struct restored *r, struct tracee *t, struct err *e)
{
    enum { DATA_AT = 64 };
    const struct image_process *p = r->p;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    for (int i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){
            .effective = (uint32_t)(p->cap_effective >> 32 * i),
            .permitted = (uint32_t)(p->cap_permitted >> 32 * i),
            .inheritable = (uint32_t)(p->cap_inheritable >> 32 * i),
        };
    if (drop_bounding(t, p->cap_bounding, e) < 0 ||
        inject_write(t, r->scratch, &header, sizeof(header), e) < 0 ||
        inject_write(t, r->scratch + DATA_AT, data, sizeof(data), e) < 0 ||
        INJECT(t, NULL, e, "set the capabilities", SYS_capset, r->scratch,
               r->scratch + DATA_AT) < 0)
        return -1;
    return raise_ambient(t, p->cap_ambient, e);
}

int threads_equip(struct restored *r, const struct image *img, struct err *e)
{
    for (uint32_t k = 0; k < r->n_threads; k++)
        if (equip(r, k, img, e) < 0)
            return err_wrap(e, "thread %d", r->p->threads[k].tid);
    for (uint32_t k = 0; k < r->n_threads; k++)
        if (set_capabilities(r, &r->threads[k], e) < 0)
            return -1;
    return 0;
}

/* ---- releasing ---- */

int threads_queue_signals(struct restored *r, struct err *e)
{
    for (uint32_t k = 0; k < r->n_threads; k++) {
        const struct image_thread *from = &r->p->threads[k];

        if (queue_signals(r, &r->threads[k], from->tid, from->pending, from->n_pending,
                          e) < 0)
            return -1;
    }
    return queue_signals(r, restored_leader(r), 0, r->p->pending, r->p->n_pending, e);
}

int threads_release(struct restored *r, struct err *e)
{
    for (uint32_t k = 0; k < r->n_threads; k++) {
        const struct image_thread *from = &r->p->threads[k];
        struct arch_regs regs;

        if (from->regs.size != sizeof(regs))
            return err_set(e, ERR_CORRUPT, "registers of thread %d have a wrong size",
                           from->tid);
        memcpy(&regs, from->regs.data, sizeof(regs));
        if (inject_release(&r->threads[k], &regs, from->sigmask, e) < 0)
            return -1;
    }
    return 0;
}

/* A thread that was killed stays until its tracer has waited for it, and the process
 * with it. */
static void collect_killed(pid_t tid)
{
    int status;

    for (;;) {
        pid_t got = waitpid(tid, &status, __WALL);

        if (got == tid && WIFSTOPPED(status))
            ptrace(PTRACE_DETACH, tid, 0, 0);
        else if (got >= 0 || errno != EINTR)
            return;
    }
}

void threads_detach(struct restored *r)
{
    /* One that was let go a moment ago may have ended others already. The leader is
     * last: its end is told only after that of the other threads. */
    while (r->n_threads > 0) {
        pid_t tid = r->threads[--r->n_threads].tid;

        if (ptrace(PTRACE_DETACH, tid, 0, 0) < 0)
            collect_killed(tid);
    }
}
