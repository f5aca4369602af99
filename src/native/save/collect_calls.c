/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What only the process itself can ask the kernel: asked by system calls injected into
 * it.
 */
#include "native/save/borrow.h"
#include "native/save/features.h"
#include "native/save/save.h"

#include "base/err.h"
#include "base/scope.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

enum { N_TIMERS_MAX = 100000 };

/* A process that is being asked. */
struct asked {
    struct save *s;
    uint32_t i;
    struct tracee t;  /* the leader */
    uint64_t scratch; /* results go here: borrowed memory of the process */
    struct err *e;
};

/* From here on no signal may start a handler: the masks come back at the thaw, and the
 * processors that the threads may use. */
static int block_signals(struct asked *a)
{
    struct frozen_process *f = &a->s->f->processes[a->i];
    uint64_t all = ~0ull;

    for (uint32_t k = 0; k < f->n_threads; k++) {
        near_bind(f->pid, f->threads[k].tid, &f->threads[k].near);
        if (ptrace(PTRACE_SETSIGMASK, f->threads[k].tid, sizeof(all), &all) < 0)
            return err_sys(a->e, "block signals of thread %d", f->threads[k].tid);
    }
    return 0;
}

static int ask_memory(struct asked *a)
{
    struct image_process *p = &a->s->img->processes[a->i];

    return INJECT(&a->t, &p->mm.brk, a->e, "ask for brk", SYS_brk, 0);
}

static int ask_prctl(struct asked *a)
{
    struct image_process *p = &a->s->img->processes[a->i];
    uint64_t dumpable;
    int32_t value;

    if (INJECT(&a->t, &dumpable, a->e, "PR_GET_DUMPABLE", SYS_prctl, PR_GET_DUMPABLE) <
        0)
        return -1;
    p->dumpable = dumpable;
    if (INJECT(&a->t, NULL, a->e, "PR_GET_PDEATHSIG", SYS_prctl, PR_GET_PDEATHSIG,
               a->scratch) < 0 ||
        inject_read(&a->t, a->scratch, &value, sizeof(value), a->e) < 0)
        return -1;
    p->pdeath_signal = value;
    if (INJECT(&a->t, NULL, a->e, "PR_GET_CHILD_SUBREAPER", SYS_prctl,
               PR_GET_CHILD_SUBREAPER, a->scratch) < 0 ||
        inject_read(&a->t, a->scratch, &value, sizeof(value), a->e) < 0)
        return -1;
    p->child_subreaper = value != 0;
    return 0;
}

static int ask_actions(struct asked *a)
{
    struct image_process *p = &a->s->img->processes[a->i];
    const struct proc_status *status = &a->s->processes[a->i].status;

    for (int signo = 1; signo <= IMAGE_N_SIGNALS; signo++) {
        /* struct kernel_sigaction of x86-64: handler, flags, restorer, mask. */
        struct image_sigaction *action = &p->actions[signo - 1];
        uint64_t raw[4];

        if (!((status->sig_ignored | status->sig_caught) >> (signo - 1) & 1))
            continue;
        if (INJECT(&a->t, NULL, a->e, "ask for a signal action", SYS_rt_sigaction,
                   signo, 0, a->scratch, sizeof(uint64_t)) < 0 ||
            inject_read(&a->t, a->scratch, raw, sizeof(raw), a->e) < 0)
            return -1;
        *action = (struct image_sigaction){raw[0], raw[1], raw[2], raw[3]};
    }
    return 0;
}

static uint64_t microseconds(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + t->tv_usec;
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return (uint64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static int ask_itimers(struct asked *a)
{
    struct image_process *p = &a->s->img->processes[a->i];

    for (int which = 0; which < 3; which++) {
        struct itimerval it;

        if (INJECT(&a->t, NULL, a->e, "getitimer", SYS_getitimer, which, a->scratch) <
                0 ||
            inject_read(&a->t, a->scratch, &it, sizeof(it), a->e) < 0)
            return -1;
        p->itimers[which].interval_us = microseconds(&it.it_interval);
        p->itimers[which].value_us = microseconds(&it.it_value);
        /* While its SIGALRM waits to be taken, the timer stands; taking it starts it
         * again (kernel/time/itimer.c). The image must not depend on that. */
        if (p->itimers[which].value_us == 0)
            p->itimers[which].value_us = p->itimers[which].interval_us;
    }
    return 0;
}

/* ---- POSIX timers: /proc/PID/timers (CONFIG_CHECKPOINT_RESTORE) ---- */

/* "thread" notifications name a tid as this program sees it. */
static int32_t inner_tid(const struct asked *a, int tid)
{
    const struct frozen_process *f = &a->s->f->processes[a->i];

    for (uint32_t k = 0; k < f->n_threads; k++)
        if (f->threads[k].tid == tid)
            return a->s->img->processes[a->i].threads[k].tid;
    return 0;
}

static int timer_notification(const char *text)
{
    if (strncmp(text, "none", 4) == 0)
        return SIGEV_NONE;
    return strncmp(text, "thread", 6) == 0 ? SIGEV_THREAD : SIGEV_SIGNAL;
}

static bool parse_timer(struct asked *a, const char *text, struct image_posix_timer *t)
{
    char notify[32], target[16];
    unsigned long value;
    int id, signo, tid, clock;

    if (sscanf(text, "ID: %d\nsignal: %d/%lx\nnotify: %31[^/]/%15[^.].%d\nClockID: %d",
               &id, &signo, &value, notify, target, &tid, &clock) != 7)
        return false;
    t->id = id;
    t->signo = signo;
    t->sigval = value;
    t->clock = clock;
    t->notify = timer_notification(notify);
    if (strcmp(target, "tid") == 0) {
        t->notify |= SIGEV_THREAD_ID;
        t->tid = inner_tid(a, tid);
    }
    return true;
}

static int ask_timer(struct asked *a, struct image_posix_timer *t)
{
    struct itimerspec its;
    uint64_t overrun = 0;

    if (INJECT(&a->t, NULL, a->e, "timer_gettime", SYS_timer_gettime, t->id,
               a->scratch) < 0 ||
        inject_read(&a->t, a->scratch, &its, sizeof(its), a->e) < 0 ||
        INJECT(&a->t, &overrun, a->e, "timer_getoverrun", SYS_timer_getoverrun, t->id) <
            0)
        return -1;
    t->interval_ns = nanoseconds(&its.it_interval);
    t->value_ns = nanoseconds(&its.it_value);
    t->overrun = overrun;
    return 0;
}

static int ask_timers(struct asked *a)
{
    struct image_process *p = &a->s->img->processes[a->i];
    auto_free char *text = NULL;

    if (proc_file(a->t.pid, "timers", &text, NULL, a->e) < 0)
        return -1;
    for (char *line = text; (line = strstr(line, "ID: ")); line++) {
        struct image_posix_timer *t;

        if (line != text && line[-1] != '\n')
            continue;
        t = p->n_timers < N_TIMERS_MAX ? IMAGE_APPEND(p, timers) : NULL;
        if (!t)
            return err_sys(a->e, "timers of process %d", p->pid);
        if (!parse_timer(a, line, t))
            return err_set(a->e, ERR_FAILED, "/proc/%d/timers is not as expected",
                           a->t.pid);
        if (ask_timer(a, t) < 0)
            return -1;
    }
    return 0;
}

/* ---- threads ---- */

static int ask_thread(struct asked *a, uint32_t k)
{
    struct image_thread *thread = &a->s->img->processes[a->i].threads[k];
    struct tracee t = freeze_tracee(&a->s->f->processes[a->i], k);
    stack_t stack;

    if (INJECT(&t, NULL, a->e, "PR_GET_TID_ADDRESS", SYS_prctl, PR_GET_TID_ADDRESS,
               a->scratch) < 0 ||
        inject_read(&t, a->scratch, &thread->clear_child_tid, sizeof(uint64_t), a->e) <
            0)
        return -1;
    if (INJECT(&t, NULL, a->e, "sigaltstack", SYS_sigaltstack, 0, a->scratch) < 0 ||
        inject_read(&t, a->scratch, &stack, sizeof(stack), a->e) < 0)
        return -1;
    thread->altstack_addr = (uint64_t)stack.ss_sp;
    thread->altstack_size = stack.ss_size;
    thread->altstack_flags = stack.ss_flags;
    return INJECT(&t, &thread->timer_slack_ns, a->e, "PR_GET_TIMERSLACK", SYS_prctl,
                  PR_GET_TIMERSLACK);
}

/* One process of the namespace knows for all. */
static bool is_first(const struct asked *a)
{
    for (uint32_t k = 0; k < a->i; k++)
        if (!a->s->f->processes[k].zombie)
            return false;
    return true;
}

/*
 * The pid that was given last: the job must not see one again that it has used a moment
 * ago and remembers, as a shell does those of its background jobs. It is told to those
 * in the namespace only (pid_namespaces(7)). Where it cannot be asked for, by a process
 * without a free descriptor say, it is the highest that lives.
 */
static int ask_last_pid(struct asked *a)
{
    static const char path[] = "/proc/sys/kernel/ns_last_pid";
    struct inject_result opened, got, closed;
    char text[16] = "";
    long last;

    if (inject_write(&a->t, a->scratch, path, sizeof(path), a->e) < 0 ||
        inject_call(
            &a->t, SYS_openat,
            (const uint64_t[6]){(uint64_t)AT_FDCWD, a->scratch, O_RDONLY | O_CLOEXEC},
            &opened, a->e) < 0)
        return -1;
    if (opened.value < 0)
        return 0;
    if (inject_call(
            &a->t, SYS_read,
            (const uint64_t[6]){(uint64_t)opened.value, a->scratch, sizeof(text) - 1},
            &got, a->e) < 0 ||
        inject_call(&a->t, SYS_close, (const uint64_t[6]){(uint64_t)opened.value},
                    &closed, a->e) < 0)
        return -1;
    if (got.value <= 0)
        return 0;
    if (inject_read(&a->t, a->scratch, text, (size_t)got.value, a->e) < 0)
        return -1;
    last = strtol(text, NULL, 10);
    if (last > 0 && last < 4 << 20) /* PID_MAX_LIMIT, linux/threads.h */
        a->s->img->last_pid = (int32_t)last;
    return 0;
}

static int ask(struct asked *a)
{
    if (is_first(a) && ask_last_pid(a) < 0)
        return -1;
    if (features_ask(a->s, a->i, &a->t, a->scratch, a->e) < 0 || ask_memory(a) < 0 ||
        ask_prctl(a) < 0 || ask_actions(a) < 0 || ask_itimers(a) < 0 ||
        ask_timers(a) < 0)
        return -1;
    for (uint32_t k = 0; k < a->s->img->processes[a->i].n_threads; k++)
        if (ask_thread(a, k) < 0)
            return -1;
    return 0;
}

int collect_calls(struct save *s, uint32_t i, struct err *e)
{
    struct asked a = {.s = s, .i = i, .e = e};
    struct borrowed memory;
    int rc;

    if (block_signals(&a) < 0)
        return -1;
    a.t = freeze_tracee(&s->f->processes[i], 0);
    s->f->processes[i].injected = true;
    if (borrow_memory(s, i, &a.t, &memory, e) < 0)
        return -1;
    a.scratch = memory.at;
    rc = ask(&a);
    borrow_return(&a.t, &memory);
    return rc;
}
