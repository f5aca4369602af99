/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/freeze.h"

#include "base/err.h"
#include "base/fault.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    TRACE_OPTIONS = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK,
    VDSO_MAX = 64 << 10,
    VDSO_MAX_STEPS = 20000,
    LEADER_TRIES = 1000, /* of 100 us */
};

struct freezer {
    const struct freeze_target *target;
    struct freeze *f;
    struct timespec deadline;
    struct err *e;
};

/* ---- waiting with a deadline ---- */

static bool is_past(const struct timespec *t)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > t->tv_sec ||
           (now.tv_sec == t->tv_sec && now.tv_nsec > t->tv_nsec);
}

/* waitpid with a deadline: there is no such system call, so it polls, first eagerly (a
 * thread stops within microseconds), then ever more slowly up to a millisecond. */
static int wait_until(struct freezer *z, pid_t tid, int *status)
{
    for (unsigned tries = 0;; tries++) {
        pid_t got = waitpid(tid, status, __WALL | WNOHANG);
        long pause_ns = tries < 100 ? 20000 : 1000000;

        if (got == tid)
            return 0;
        if (got < 0 && errno != EINTR)
            return err_sys(z->e, "wait for thread %d", tid);
        if (tries < 20) {
            sched_yield();
            continue;
        }
        if (is_past(&z->deadline)) {
            err_set(z->e, ERR_TIMEOUT,
                    "process %d does not stop within %u s (does it wait for a disk or "
                    "a file server?)",
                    tid, z->target->timeout_s);
            return err_momentary(z->e);
        }
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
    }
}

static void note_exit(struct freezer *z, pid_t tid, int status)
{
    if (tid != z->target->root)
        return;
    z->f->root_ended = true;
    z->f->root_status = status;
}

/* ---- threads that do not stop in time ---- */

static bool late_take(struct freeze_late *late, pid_t tid)
{
    for (uint32_t i = 0; i < late->n; i++)
        if (late->tid[i] == tid) {
            late->tid[i] = late->tid[--late->n];
            return true;
        }
    return false;
}

static void late_add(struct freeze_late *late, pid_t tid)
{
    pid_t *more = realloc(late->tid, (late->n + 1) * sizeof(*more));

    /* Without memory it stays traced until this program ends, which is no damage. */
    if (!more)
        return;
    late->tid = more;
    late->tid[late->n++] = tid;
}

void freeze_late_release(struct freeze_late *late)
{
    for (uint32_t i = 0; i < late->n;) {
        pid_t tid = late->tid[i];
        int status;
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

        if (got == 0) {
            i++;
            continue;
        }
        if (got == tid && WIFSTOPPED(status))
            ptrace(PTRACE_DETACH, tid, 0, status >> 16 ? 0 : WSTOPSIG(status));
        late_take(late, tid);
    }
}

/* ---- one thread ---- */

enum stop_result { STOP_FAILED = -1, STOP_DONE, STOP_ENDED };

static enum stop_result seize(struct freezer *z, pid_t tid)
{
    if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_EXITKILL) == 0)
        return STOP_DONE;
    if (errno == ESRCH)
        return STOP_ENDED;
    if (errno == EPERM) {
        struct proc_status s;
        struct proc_stat stat;
        struct err ignored;

        /* A thread that is dying or dead cannot be seized either. */
        if (proc_stat_read(tid, &stat, &ignored) < 0 || stat.state == 'Z' ||
            stat.state == 'X' || proc_status_read(tid, &s, &ignored) < 0)
            return STOP_ENDED;
        if (s.tracer)
            err_set(z->e, ERR_REFUSED,
                    "process %d is traced by process %d: end the debugger", tid,
                    s.tracer);
        else
            err_set(z->e, ERR_REFUSED,
                    "process %d may not be traced: it runs as another user, has more "
                    "rights than this one, or is not dumpable (prctl PR_SET_DUMPABLE)",
                    tid);
        /* A program of another user (sudo, ping) soon ends, as a rule, and so does a
         * look at the system calls of one (strace). */
        err_momentary(z->e);
        return STOP_FAILED;
    }
    err_sys(z->e, "trace process %d", tid);
    return STOP_FAILED;
}

static enum stop_result stop_thread(struct freezer *z, pid_t tid, bool *group_stop)
{
    bool late = late_take(z->target->late, tid);
    enum stop_result r = late ? STOP_DONE : seize(z, tid);
    int status;

    if (r != STOP_DONE)
        return r;
    if (!late && ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 && errno != ESRCH) {
        err_sys(z->e, "interrupt thread %d", tid);
        return STOP_FAILED;
    }
    for (;;) {
        if (wait_until(z, tid, &status) < 0) {
            late_add(z->target->late, tid);
            return STOP_FAILED;
        }
        if (!WIFSTOPPED(status)) {
            note_exit(z, tid, status);
            return STOP_ENDED;
        }
        if (status >> 16 == PTRACE_EVENT_STOP) {
            *group_stop = WSTOPSIG(status) != SIGTRAP;
            break;
        }
        /* A signal on its way to the job: it gets it, and then stops for us. */
        ptrace(PTRACE_CONT, tid, 0, status >> 16 ? 0 : WSTOPSIG(status));
    }
    /* Only now: a child born earlier must not be traced from its birth, or we would
     * meet it as somebody else's tracee. */
    if (ptrace(PTRACE_SETOPTIONS, tid, 0, TRACE_OPTIONS) < 0) {
        err_sys(z->e, "set options for thread %d", tid);
        return STOP_FAILED;
    }
    return STOP_DONE;
}

/* ---- one process ---- */

static struct frozen_process *add_process(struct freezer *z, pid_t pid, pid_t parent)
{
    struct freeze *f = z->f;
    struct frozen_process *more = f->processes;

    if ((f->n_processes & (f->n_processes - 1)) == 0)
        more = realloc(more, (f->n_processes ? 2 * f->n_processes : 1) * sizeof(*more));
    if (!more) {
        err_sys(z->e, "list of processes");
        return NULL;
    }
    f->processes = more;
    more = &f->processes[f->n_processes++];
    *more = (struct frozen_process){.pid = pid, .parent = parent, .self = &f->self};
    return more;
}

static int add_thread(struct freezer *z, struct frozen_process *p, pid_t tid)
{
    struct frozen_thread *more = p->threads;

    if ((p->n_threads & (p->n_threads - 1)) == 0)
        more = realloc(more, (p->n_threads ? 2 * p->n_threads : 1) * sizeof(*more));
    if (!more)
        return err_sys(z->e, "list of threads");
    p->threads = more;
    p->threads[p->n_threads++] = (struct frozen_thread){.tid = tid};
    if (tid == p->pid && p->n_threads > 1) {
        struct frozen_thread first = p->threads[0];

        p->threads[0] = p->threads[p->n_threads - 1];
        p->threads[p->n_threads - 1] = first;
    }
    return 0;
}

static bool has_thread(const struct frozen_process *p, pid_t tid)
{
    for (uint32_t i = 0; i < p->n_threads; i++)
        if (p->threads[i].tid == tid)
            return true;
    return false;
}

/* Stops the threads that are listed now; *found says whether one was new. */
static int stop_listed(struct freezer *z, struct frozen_process *p, bool *found)
{
    struct proc_pids tids = {0};
    int rc = proc_threads(p->pid, &tids, z->e);

    *found = false;
    if (rc < 0 && z->e->kind == ERR_GONE)
        rc = 0;
    for (size_t i = 0; rc == 0 && i < tids.n; i++) {
        bool group_stop = false;
        enum stop_result r;

        if (has_thread(p, tids.pid[i]))
            continue;
        r = stop_thread(z, tids.pid[i], &group_stop);
        if (r == STOP_ENDED)
            continue;
        p->stopped |= group_stop;
        *found = true;
        rc = r == STOP_FAILED ? -1 : add_thread(z, p, tids.pid[i]);
    }
    proc_pids_free(&tids);
    return rc;
}

/* Not one thread could be stopped: it is dead, or about to be. Returns 1 when it is
 * gone altogether. */
static int await_death(struct freezer *z, struct frozen_process *p)
{
    struct proc_stat s;

    for (unsigned tries = 0;; tries++) {
        if (proc_stat_read(p->pid, &s, z->e) < 0)
            return z->e->kind == ERR_GONE ? 1 : -1;
        if (s.state == 'Z' && s.num_threads <= 1) {
            p->zombie = true;
            p->status = s.exit_code;
            return 0;
        }
        /* A process that ends loses its threads in any order; that is soon over. */
        if (s.state == 'Z' && tries >= LEADER_TRIES)
            return err_set(z->e, ERR_REFUSED,
                           "process %d: its main thread has ended while others run, "
                           "which cannot be saved",
                           p->pid);
        if (s.state == 'X')
            return 1;
        if (is_past(&z->deadline)) {
            err_set(z->e, ERR_TIMEOUT, "process %d neither stops nor ends", p->pid);
            return err_momentary(z->e);
        }
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
}

static int locate_syscall(struct freezer *z, struct frozen_process *p,
                          uint64_t *vdso_start, uint64_t *vdso_end)
{
    auto_free uint8_t *vdso = NULL;
    struct tracee t = {.pid = p->pid, .tid = p->pid};
    ssize_t at = -1;

    *vdso_start = *vdso_end = 0;
    for (size_t i = 0; i < p->maps.n; i++) {
        struct proc_map *m = &p->maps.map[i];

        if (strcmp(m->path, "[vdso]") != 0 || m->end - m->start > VDSO_MAX)
            continue;
        vdso = malloc(m->end - m->start);
        if (!vdso)
            return err_sys(z->e, "read vDSO");
        if (inject_read(&t, m->start, vdso, m->end - m->start, z->e) < 0)
            return -1;
        at = arch_find_syscall(vdso, m->end - m->start);
        *vdso_start = m->start;
        *vdso_end = m->end;
        break;
    }
    if (at < 0)
        return err_set(z->e, ERR_REFUSED,
                       "process %d has no vDSO with a system call instruction in it "
                       "(was the kernel started with vdso=0?)",
                       p->pid);
    p->syscall_ip = *vdso_start + at;
    return 0;
}

/* A thread that was stopped inside the vDSO is led out of it step by step, so that the
 * vDSO of another kernel can be put in its place at restart. */
static int leave_vdso(struct freezer *z, struct frozen_thread *t, uint64_t start,
                      uint64_t end)
{
    /* A step ends with a SIGTRAP that the kernel forces: it takes away the handler of
     * a signal that is blocked or ignored (force_sig_info_to_task). */
    const uint64_t trap = 1ull << (SIGTRAP - 1), others = ~trap;
    struct proc_status s;
    int status;

    if (arch_get_regs(t->tid, &t->regs, z->e) < 0)
        return -1;
    if (arch_ip(&t->regs) < start || arch_ip(&t->regs) >= end)
        return 0;
    if (proc_status_read(t->tid, &s, z->e) < 0)
        return -1;
    if (s.sig_ignored & trap)
        return 0;
    if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(others), &others) < 0)
        return err_sys(z->e, "block signals of thread %d", t->tid);
    for (int i = 0; i < VDSO_MAX_STEPS; i++) {
        if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) < 0)
            return err_sys(z->e, "step thread %d", t->tid);
        if (wait_until(z, t->tid, &status) < 0)
            return -1;
        if (!WIFSTOPPED(status))
            return err_set(z->e, ERR_GONE, "thread %d ended while it was stopped",
                           t->tid);
        if (arch_get_regs(t->tid, &t->regs, z->e) < 0)
            return -1;
        if (arch_ip(&t->regs) < start || arch_ip(&t->regs) >= end)
            break;
    }
    if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(t->sigmask), &t->sigmask) < 0)
        return err_sys(z->e, "set the signal mask of thread %d", t->tid);
    return 0;
}

static int examine_threads(struct freezer *z, struct frozen_process *p)
{
    uint64_t vdso_start, vdso_end;

    if (proc_maps_read(p->pid, &p->maps, z->e) < 0 ||
        locate_syscall(z, p, &vdso_start, &vdso_end) < 0)
        return -1;
    for (uint32_t i = 0; i < p->n_threads; i++) {
        struct frozen_thread *t = &p->threads[i];

        if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof(t->sigmask), &t->sigmask) < 0)
            return err_sys(z->e, "read the signal mask of thread %d", t->tid);
        if (leave_vdso(z, t, vdso_start, vdso_end) < 0)
            return -1;
    }
    return 0;
}

static bool is_ignored(const struct freeze_target *t, pid_t pid)
{
    for (uint32_t i = 0; i < t->n_ignored; i++)
        if (t->ignored[i] == pid)
            return true;
    return false;
}

static int freeze_process(struct freezer *z, pid_t pid, pid_t parent);

static int freeze_children(struct freezer *z, pid_t pid)
{
    struct proc_pids children = {0};
    int rc = proc_children(pid, &children, z->e);

    if (rc < 0 && z->e->kind == ERR_GONE)
        rc = 0;
    for (size_t i = 0; rc == 0 && i < children.n; i++)
        if (!is_ignored(z->target, children.pid[i]))
            rc = freeze_process(z, children.pid[i], pid);
    proc_pids_free(&children);
    return rc;
}

static int freeze_process(struct freezer *z, pid_t pid, pid_t parent)
{
    struct frozen_process *p = add_process(z, pid, parent);
    struct proc_stat s;
    bool found = true;

    if (!p)
        return -1;
    if (proc_stat_read(pid, &s, z->e) < 0) {
        z->f->n_processes -= z->e->kind == ERR_GONE;
        return z->e->kind == ERR_GONE ? 0 : -1;
    }
    while (found && s.state != 'Z')
        if (stop_listed(z, p, &found) < 0)
            return -1;
    if (p->n_threads == 0) {
        int rc = await_death(z, p);

        if (rc == 1)
            z->f->n_processes--;
        return rc < 0 ? -1 : 0;
    }
    if (p->threads[0].tid != pid)
        return err_set(z->e, ERR_REFUSED,
                       "process %d: its main thread has ended while others run, which "
                       "cannot be saved",
                       pid);
    if (examine_threads(z, p) < 0)
        return -1;
    return freeze_children(z, pid);
}

int freeze_tree(const struct freeze_target *target, struct freeze **out, struct err *e)
{
    auto_freeze struct freeze *f = calloc(1, sizeof(*f));
    struct freezer z = {.target = target, .f = f, .e = e};

    if (!f)
        return err_sys(e, "freeze");
    clock_gettime(CLOCK_MONOTONIC, &z.deadline);
    z.deadline.tv_sec += target->timeout_s;
    *out = NULL;
    if (freeze_children(&z, target->parent) < 0) {
        /* The caller must learn of the root's end all the same. */
        if (f->root_ended)
            *out = take_ptr(f);
        return -1;
    }
    fault_point("native.frozen");
    if (f->n_processes == 0 || f->root_ended) {
        err_set(e, ERR_GONE, "the job has ended");
        *out = take_ptr(f);
        return -1;
    }
    *out = take_ptr(f);
    return 0;
}

struct tracee freeze_tracee(const struct frozen_process *p, uint32_t thread)
{
    return (struct tracee){.pid = p->pid,
                           .tid = p->threads[thread].tid,
                           .regs = p->threads[thread].regs,
                           .syscall_ip = p->syscall_ip,
                           .near = p->threads[thread].near.bound ? p->self : NULL,
                           .cpu = p->threads[thread].near.cpu};
}

static void freeze_free(struct freeze *f)
{
    near_leave(&f->self);
    for (uint32_t i = 0; i < f->n_processes; i++) {
        free(f->processes[i].threads);
        proc_maps_free(&f->processes[i].maps);
    }
    free(f->processes);
    free(f);
}

/* Collects a killed tracee. One that sits in the kernel (a file server that does not
 * answer) dies when that is over; it is not waited for longer than a few seconds. */
static void collect_killed(pid_t tid)
{
    for (int tries = 0; tries < 5000; tries++) {
        pid_t got = waitpid(tid, NULL, __WALL | WNOHANG);

        if (got == tid || (got < 0 && errno != EINTR))
            return;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static bool is_gone(const struct err *e)
{
    return e->kind == ERR_GONE || (e->kind == ERR_SYS && e->sys == ESRCH);
}

/* Sets every thread right while none runs: the first one that ran could end the others
 * (exit_group(2), kill(2)) in the middle of it. */
static void set_right(struct freeze *f, struct err *first)
{
    for (uint32_t i = 0; i < f->n_processes; i++) {
        struct frozen_process *p = &f->processes[i];

        for (uint32_t k = 0; p->injected && k < p->n_threads; k++) {
            struct tracee t = freeze_tracee(p, k);
            struct err own = {0};

            if (inject_release(&t, &p->threads[k].regs, p->threads[k].sigmask, &own) ==
                    0 ||
                is_gone(&own))
                continue;
            /* Its registers are ours: it must not run on with them. */
            kill(p->pid, SIGKILL);
            if (!first->kind)
                *first = own;
        }
    }
}

/* A thread that was killed meanwhile stays until its tracer has waited for it, and its
 * process with it. A child of this program is waited for by whoever wants its status.
 */
static void let_go(const struct frozen_process *p, struct frozen_thread *t)
{
    pid_t tid = t->tid;

    near_release(tid, &t->near);
    if (ptrace(PTRACE_DETACH, tid, 0, 0) == 0)
        return;
    if (tid != p->pid || p->parent != getpid())
        collect_killed(tid);
}

int freeze_thaw(struct freeze *f, struct err *e)
{
    struct err first = {0};

    set_right(f, &first);
    for (uint32_t i = 0; i < f->n_processes; i++)
        for (uint32_t k = f->processes[i].n_threads; k-- > 0;)
            let_go(&f->processes[i], &f->processes[i].threads[k]);
    freeze_free(f);
    if (!first.kind)
        return 0;
    if (e)
        *e = first;
    return -1;
}

void freeze_kill(struct freeze *f)
{
    /* All are stopped: no parent sees its child die and acts on it. */
    for (uint32_t i = 0; i < f->n_processes; i++)
        kill(f->processes[i].pid, SIGKILL);
    for (uint32_t i = 0; i < f->n_processes; i++)
        for (uint32_t k = f->processes[i].n_threads; k-- > 0;)
            collect_killed(f->processes[i].threads[k].tid);
    freeze_free(f);
}
