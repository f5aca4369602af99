/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/save.h"

#include "base/err.h"
#include "base/scope.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <linux/ptrace.h> clashes with <sys/ptrace.h>. Since Linux 5.13. */
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

struct rseq_configuration {
    uint64_t address;
    uint32_t size, signature, flags, pad;
};

/* struct rseq and struct rseq_cs of <linux/rseq.h>. */
enum { RSEQ_CS_OFFSET = 8 };
struct rseq_section {
    uint32_t version, flags;
    uint64_t start, length, abort;
};

/* ---- signals that wait ---- */

static bool append_signal(struct image_signal **list, uint32_t *n,
                          const siginfo_t *info)
{
    struct image_signal *added = image_append((void **)list, n, sizeof(**list));

    if (added)
        memcpy(added->info, info, sizeof(added->info));
    return added != NULL;
}

static int peek_signals(pid_t tid, bool shared, struct image_signal **list, uint32_t *n,
                        struct err *e)
{
    struct __ptrace_peeksiginfo_args args = {
        .flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0, .nr = 16};
    siginfo_t info[16];
    long got;

    while ((got = ptrace(PTRACE_PEEKSIGINFO, tid, &args, info)) > 0) {
        for (long i = 0; i < got; i++)
            if (!append_signal(list, n, &info[i]))
                return err_sys(e, "signals of thread %d", tid);
        args.off += got;
    }
    return got < 0 ? err_sys(e, "read the signals of thread %d", tid) : 0;
}

static bool deliverable(const struct image_signal *list, uint32_t n, uint64_t mask)
{
    for (uint32_t i = 0; i < n; i++) {
        siginfo_t info;

        memcpy(&info, list[i].info, sizeof(info));
        if (info.si_signo > 0 && info.si_signo <= 64 &&
            !(mask >> (info.si_signo - 1) & 1))
            return true;
    }
    return false;
}

/* ---- restartable sequences (Documentation/userspace-api/rseq.rst) ---- */

/* A thread inside a critical section must leave it by its abort handler: the calls that
 * we inject, and the restart, are preemptions that the kernel would not see as such. */
static int abort_rseq(const struct tracee *t, uint64_t rseq, struct arch_regs *regs,
                      struct err *e)
{
    struct rseq_section cs;
    uint64_t address = 0, none = 0;

    if (inject_read(t, rseq + RSEQ_CS_OFFSET, &address, sizeof(address), e) < 0)
        return -1;
    if (!address)
        return 0;
    if (inject_read(t, address, &cs, sizeof(cs), e) < 0)
        return -1;
    if (arch_ip(regs) - cs.start < cs.length)
        arch_set_ip(regs, cs.abort);
    return inject_write(t, rseq + RSEQ_CS_OFFSET, &none, sizeof(none), e);
}

static int collect_rseq(const struct tracee *t, struct image_thread *thread,
                        struct arch_regs *regs, struct err *e)
{
    struct rseq_configuration c = {0};

    /* Before Linux 5.13 there is no way to ask; glibc registers since 2.35. */
    if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(c), &c) < 0 || !c.address)
        return 0;
    thread->rseq_addr = c.address;
    thread->rseq_size = c.size;
    thread->rseq_signature = c.signature;
    return abort_rseq(t, c.address, regs, e);
}

/* ---- the rest ---- */

static int collect_name(pid_t pid, pid_t tid, struct image_thread *t, struct err *e)
{
    auto_free char *text = NULL;
    char name[64];
    size_t length;

    snprintf(name, sizeof(name), "task/%d/comm", tid);
    if (proc_file(pid, name, &text, NULL, e) < 0)
        return -1;
    length = strlen(text);
    /* One newline is the file's; others may be the name's. */
    length -= length > 0;
    if (length >= sizeof(t->comm))
        length = sizeof(t->comm) - 1;
    memcpy(t->comm, text, length);
    return 0;
}

static void collect_scheduling(pid_t tid, struct image_thread *t)
{
    struct sched_param param = {0};

    t->sched_policy = sched_getscheduler(tid) & ~SCHED_RESET_ON_FORK;
    if (sched_getparam(tid, &param) == 0)
        t->sched_priority = param.sched_priority;
    t->nice = getpriority(PRIO_PROCESS, tid);
}

static int collect_robust_list(pid_t tid, struct image_thread *t, struct err *e)
{
    void *head = NULL;
    size_t size = 0;

    if (syscall(SYS_get_robust_list, tid, &head, &size) < 0)
        return err_sys(e, "read the robust list of thread %d", tid);
    t->robust_list = (uint64_t)head;
    t->robust_list_size = size;
    return 0;
}

static int collect_thread(struct save *s, uint32_t i, uint32_t k, struct err *e)
{
    struct frozen_process *f = &s->f->processes[i];
    struct frozen_thread *ft = &f->threads[k];
    struct image_process *p = &s->img->processes[i];
    struct image_thread *t = &p->threads[k];
    struct tracee tracee;
    struct arch_regs regs;
    pid_t inner;
    bool waits;

    if (proc_inner_tid(f->pid, ft->tid, &inner, e) < 0)
        return -1;
    t->tid = inner;
    if (inner > s->img->last_pid)
        s->img->last_pid = inner;
    t->sigmask = ft->sigmask;
    if (arch_get_xstate(ft->tid, &t->xstate, e) < 0 ||
        peek_signals(ft->tid, false, &t->pending, &t->n_pending, e) < 0)
        return -1;
    waits = deliverable(t->pending, t->n_pending, t->sigmask) ||
            deliverable(p->pending, p->n_pending, t->sigmask);
    if (interrupted_live(s->interrupted, ft->tid, &ft->regs, waits, e) < 0)
        return -1;
    tracee = freeze_tracee(f, k);
    if (collect_rseq(&tracee, t, &ft->regs, e) < 0 ||
        collect_robust_list(ft->tid, t, e) < 0 ||
        collect_name(f->pid, ft->tid, t, e) < 0)
        return -1;
    collect_scheduling(ft->tid, t);
    regs = ft->regs;
    interrupted_image(s->interrupted, ft->tid, &regs);
    t->regs.data = malloc(sizeof(regs.r));
    if (!t->regs.data)
        return err_sys(e, "registers");
    memcpy(t->regs.data, &regs.r, sizeof(regs.r));
    t->regs.size = sizeof(regs.r);
    return 0;
}

int collect_threads(struct save *s, uint32_t i, struct err *e)
{
    struct frozen_process *f = &s->f->processes[i];
    struct image_process *p = &s->img->processes[i];

    p->threads = calloc(f->n_threads, sizeof(*p->threads));
    if (!p->threads)
        return err_sys(e, "threads of process %d", p->pid);
    p->n_threads = f->n_threads;
    if (peek_signals(f->pid, true, &p->pending, &p->n_pending, e) < 0)
        return -1;
    for (uint32_t k = 0; k < f->n_threads; k++)
        if (collect_thread(s, i, k, e) < 0)
            return -1;
    return 0;
}
