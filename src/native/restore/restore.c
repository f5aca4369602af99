/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of a restart.
 *
 *  1. read the image, plan the births, list the files          nothing exists yet
 *  2. init opens and checks every file and object, fills the objects
 *  3. the replica and the stubs are born and set themselves up
 *  4. every stub is traced; its memory is switched, then filled, and fitted to this CPU
 *  5. threads, timers, signals, limits
 *  6. init commits: files are cut to their old length          no way back from here
 *  7. registers are set, and all are let go
 *
 * Until 6 a failure leaves everything as it was: killing init ends all that was made.
 */
#include "native/native.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/memory/loader.h"
#include "native/restore/init.h"
#include "native/restore/remap.h"
#include "native/restore/report.h"
#include "native/restore/setup.h"
#include "native/restore/stopped.h"
#include "native/restore/threads.h"
#include "native/restore/timers.h"
#include "place/binding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
    READY_TIMEOUT_MS = 60000,
    COMMIT_TIMEOUT_MS = 60000,
    CLEAR_TIMEOUT_MS = 1000,
    REAP_TIMEOUT_MS = 10000
};

struct restore {
    const struct image *img;
    struct setup setup;
    int report_fd; /* our end */
    int status_fd; /* our end */
    pid_t init, replica;
    struct restored *processes; /* [img->n_processes] */
};

/* ---- preparing ---- */

static int check_ids(const struct image *img, struct err *e)
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];

        for (int k = 0; k < 4 && !p->zombie; k++)
            if (p->uid[k] != geteuid() || p->gid[k] != getegid())
                return err_set(e, ERR_REFUSED,
                               "process %d of the job ran as user %u, group %u; the "
                               "restart runs as user %u, group %u",
                               p->pid, p->uid[k], p->gid[k], geteuid(), getegid());
    }
    return 0;
}

/* Descriptors of ours lie above all of the job's. */
static int first_fd(const struct image *img)
{
    int first = 64;

    for (uint32_t i = 0; i < img->n_processes; i++)
        for (uint32_t k = 0; k < img->processes[i].n_fds; k++)
            if (img->processes[i].fds[k].fd >= first)
                first = img->processes[i].fds[k].fd + 1;
    return first;
}

static int share(struct setup *s, struct err *e)
{
    uint32_t n_objects = s->img->n_objects;

    s->shared_size =
        sizeof(*s->shared) + (n_objects + (size_t)s->backing.n) * sizeof(int);
    s->shared = mmap(NULL, s->shared_size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->shared == MAP_FAILED) {
        s->shared = NULL;
        return err_sys(e, "share memory with the new processes");
    }
    memset(s->shared->fds, 0xff, (n_objects + (size_t)s->backing.n) * sizeof(int));
    s->object_fd = s->shared->fds;
    s->backing.fd = s->shared->fds + n_objects;
    return 0;
}

/* Notes which mappings a run of saved pages lies in. */
static void mark_filled(struct restored *p, const struct image_run *run)
{
    uint32_t low = 0, high = p->p->n_vmas;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (p->p->vmas[middle].end <= run->start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < p->p->n_vmas && p->p->vmas[low].start < run->start + run->size; low++)
        p->filled[low] = true;
}

static int prepare_processes(struct restore *r, struct err *e)
{
    const struct image *img = r->img;

    r->processes = calloc(img->n_processes + (size_t)1, sizeof(*r->processes));
    if (!r->processes)
        return err_sys(e, "list the processes");
    for (uint32_t i = 0; i < img->n_processes; i++) {
        struct restored *p = &r->processes[i];

        p->p = &img->processes[i];
        p->index = i;
        p->mem_fd = -1;
        p->threads = calloc(p->p->n_threads + (size_t)1, sizeof(*p->threads));
        p->filled = calloc(p->p->n_vmas + (size_t)1, sizeof(*p->filled));
        if (!p->threads || !p->filled)
            return err_sys(e, "list the threads");
    }
    for (uint32_t i = 0; i < img->n_runs; i++)
        if (img->runs[i].owner == IMAGE_OWNER_PROCESS)
            mark_filled(&r->processes[img->runs[i].index], &img->runs[i]);
    return 0;
}

static int prepare(struct restore *r, const struct native_restart *how, int dirfd,
                   struct err *e)
{
    struct setup *s = &r->setup;
    const struct image *img = r->img;

    s->img = img;
    s->how = how;
    s->dirfd = dirfd;
    s->memory_fd = openat(dirfd, "memory", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (s->memory_fd < 0)
        return err_sys(e, "open memory");
    s->files.img = img;
    s->files.first_fd = first_fd(img);
    memcpy(s->files.stdio, how->stdio, sizeof(s->files.stdio));
    namespaces_prepare(&s->ns);
    if (check_ids(img, e) < 0 || births_plan(&s->births, img, e) < 0 ||
        backing_list(&s->backing, img, e) < 0 || share(s, e) < 0)
        return -1;
    return prepare_processes(r, e);
}

static void release_memory(struct restore *r)
{
    struct setup *s = &r->setup;

    for (uint32_t i = 0; r->processes && i < r->img->n_processes; i++) {
        free(r->processes[i].threads);
        free(r->processes[i].filled);
        if (r->processes[i].mem_fd >= 0)
            close(r->processes[i].mem_fd);
    }
    free(r->processes);
    births_free(&s->births);
    backing_free(&s->backing);
    if (s->shared)
        munmap(s->shared, s->shared_size);
    scope_close(&s->memory_fd);
    scope_close(&s->report_fd);
    scope_close(&s->status_fd);
    scope_close(&r->report_fd);
    scope_close(&r->status_fd);
}

/* ---- init and the stubs ---- */

static int start_init(struct restore *r, struct err *e)
{
    struct setup *s = &r->setup;
    int status[2];

    if (report_pair(&r->report_fd, &s->report_fd, e) < 0)
        return -1;
    if (pipe2(status, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_sys(e, "make a pipe");
    r->status_fd = status[0];
    s->status_fd = status[1];
    r->init = namespaces_clone(&s->ns, e);
    if (r->init < 0)
        return -1;
    if (r->init == 0)
        init_run(s);
    /* So that the end of all of them shows as the end of the file. */
    close(take_fd(&s->report_fd));
    close(take_fd(&s->status_fd));
    return 0;
}

/* Takes a report; a failure reported becomes ours. */
static int hear(struct restore *r, int timeout_ms, struct report *report, pid_t *sender,
                struct err *e)
{
    if (report_receive(r->report_fd, timeout_ms, report, sender, e) < 0)
        return -1;
    if (report->kind != REPORT_FAILED)
        return 0;
    *e = report->err;
    return -1;
}

static int note_ready(struct restore *r, int32_t inner, pid_t outer, struct err *e)
{
    if (inner == r->img->supervisor_pid) {
        r->replica = outer;
        return 0;
    }
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        if (r->img->processes[i].pid == inner) {
            r->processes[i].threads[0].pid = outer;
            return 0;
        }
    return err_set(e, ERR_FAILED, "an unexpected process %d reported", inner);
}

static int wait_for_stubs(struct restore *r, struct err *e)
{
    uint32_t n = r->setup.births.n_alive + (r->img->supervisor_pid != 1);
    struct report report;
    pid_t sender;

    /* Filling shared memory may take long; init's end is noticed. */
    if (hear(r, -1, &report, &sender, e) < 0)
        return -1;
    if (report.kind != REPORT_OPENED)
        return err_set(e, ERR_FAILED, "init reported out of turn");
    r->replica = r->init;
    while (n--)
        if (hear(r, READY_TIMEOUT_MS, &report, &sender, e) < 0 ||
            note_ready(r, report.pid, sender, e) < 0)
            return -1;
    return 0;
}

/* ---- the processes ---- */

typedef int restored_step(struct restored *p, const struct setup *s, struct err *e);

static int for_each(struct restore *r, restored_step *step, struct err *e)
{
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        if (!r->processes[i].p->zombie && step(&r->processes[i], &r->setup, e) < 0)
            return err_wrap(e, "process %d of the job", r->processes[i].p->pid);
    return 0;
}

static int attach(struct restored *p, const struct setup *s, struct err *e)
{
    return remap_attach(p, p->threads[0].pid, e);
}

static int load_memory(struct restore *r, struct err *e)
{
    int *fds = malloc((r->img->n_processes + (size_t)1) * sizeof(*fds));
    struct loader_targets targets = {.processes = fds};
    int rc;

    if (!fds)
        return err_sys(e, "load memory");
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        fds[i] = r->processes[i].mem_fd;
    rc = loader_run(r->img, r->setup.memory_fd, &targets, e);
    free(fds);
    return rc;
}

static int set_personality(struct restored *p, struct err *e)
{
    return INJECT(restored_leader(p), NULL, e, "set the personality", SYS_personality,
                  p->p->personality);
}

/* The memory is there, and nothing of it has been executed yet. */
static int make_room(struct restored *p, const struct setup *s, struct err *e)
{
    return binding_make_room(p->threads[0].pid, e);
}

/* Threads and timers, while the process still may choose ids. */
static int populate(struct restored *p, const struct setup *s, struct err *e)
{
    if (set_personality(p, e) < 0 || threads_make(p, e) < 0)
        return -1;
    if (timers_make(p, e) < 0)
        return -1;
    return threads_equip(p, s->img, e);
}

/* Set from outside, so that no mapping of ours falls under the job's limits. The new
 * run's hard limits stay: they are the site's. */
static void set_limits(const struct restored *p)
{
    for (int i = 0; i < IMAGE_N_RLIMITS; i++) {
        struct rlimit now, wanted = {p->p->rlimits[i].soft, p->p->rlimits[i].hard};

        if (getrlimit(i, &now) < 0)
            continue;
        if (wanted.rlim_max > now.rlim_max)
            wanted.rlim_max = now.rlim_max;
        if (wanted.rlim_cur > wanted.rlim_max)
            wanted.rlim_cur = wanted.rlim_max;
        prlimit(p->threads[0].pid, i, &wanted, NULL);
    }
}

static int finish(struct restored *p, const struct setup *s, struct err *e)
{
    struct tracee *t = restored_leader(p);

    if (INJECT(t, NULL, e, "set the death signal", SYS_prctl, PR_SET_PDEATHSIG,
               (uint64_t)p->p->pdeath_signal) < 0 ||
        threads_queue_signals(p, e) < 0 || timers_start(p, e) < 0)
        return -1;
    if (p->p->dumpable == 0 &&
        INJECT(t, NULL, e, "make it not dumpable", SYS_prctl, PR_SET_DUMPABLE, 0) < 0)
        return -1;
    if (remap_clean(p, e) < 0)
        return -1;
    set_limits(p);
    return 0;
}

static int release(struct restored *p, const struct setup *s, struct err *e)
{
    return p->n_threads ? threads_release(p, e) : 0;
}

static struct restored *parent_of(struct restore *r, const struct restored *p)
{
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        if (r->img->processes[i].pid == p->p->ppid)
            return &r->processes[i];
    return NULL;
}

/* Stopped processes first, and children before parents: a parent that must not hear of
 * a stop is made to forget it while it is still in our hands. */
static int finish_all(struct restore *r, struct err *e)
{
    for (uint32_t i = r->img->n_processes; i-- > 0;) {
        struct restored *p = &r->processes[i];

        if (p->p->stopped && !p->p->zombie &&
            (finish(p, &r->setup, e) < 0 || threads_release(p, e) < 0 ||
             stopped_settle(p, parent_of(r, p), e) < 0))
            return err_wrap(e, "process %d of the job", p->p->pid);
    }
    for (uint32_t i = 0; i < r->img->n_processes; i++) {
        struct restored *p = &r->processes[i];

        if (!p->p->stopped && !p->p->zombie && finish(p, &r->setup, e) < 0)
            return err_wrap(e, "process %d of the job", p->p->pid);
    }
    return 0;
}

static int commit(struct restore *r, struct err *e)
{
    const struct native_restart *how = r->setup.how;
    struct report report;
    pid_t sender;

    if (how->may_commit && how->may_commit(how->arg, e) < 0)
        return -1;
    if (report_allow_commit(r->report_fd, e) < 0 ||
        hear(r, COMMIT_TIMEOUT_MS, &report, &sender, e) < 0)
        return -1;
    if (report.kind != REPORT_COMMITTED)
        return err_set(e, ERR_FAILED, "init reported out of turn");
    return 0;
}

/* Where a test makes a restart fail or die. */
static int pass(const char *point, struct err *e)
{
    fault_point(point);
    return fault_fails(point) ? err_set(e, ERR_FAILED, "%s fails for a test", point)
                              : 0;
}

/* Where a test has the job's first process killed, as for want of memory. */
static void lose_process(const struct restore *r)
{
    if (fault_fails("native.restore-process"))
        kill(r->processes[0].threads[0].pid, SIGKILL);
}

static int run(struct restore *r, struct err *e)
{
    if (start_init(r, e) < 0 || wait_for_stubs(r, e) < 0 ||
        pass("native.restore-stubs", e) < 0)
        return -1;
    if (for_each(r, attach, e) < 0 || for_each(r, remap_switch, e) < 0 ||
        load_memory(r, e) < 0 || pass("native.restore-memory", e) < 0)
        return -1;
    lose_process(r);
    if (for_each(r, remap_finish, e) < 0 || for_each(r, make_room, e) < 0 ||
        for_each(r, populate, e) < 0 || finish_all(r, e) < 0 ||
        pass("native.restore-commit", e) < 0)
        return -1;
    if (commit(r, e) < 0)
        return -1;
    if (for_each(r, release, e) < 0)
        return -1;
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        threads_detach(&r->processes[i]);
    return 0;
}

/* ---- giving up ---- */

static void reap_tracees(struct restore *r)
{
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        for (uint32_t k = 0; k < r->processes[i].n_threads; k++)
            waitpid(r->processes[i].threads[k].tid, NULL, __WALL | WNOHANG);
}

static bool await_end(struct restore *r, int timeout_ms, int *status)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int ms = 0; ms < timeout_ms; ms++) {
        reap_tracees(r);
        if (waitpid(r->init, status, WNOHANG) != 0)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void kill_processes(const struct restore *r)
{
    for (uint32_t i = 0; i < r->img->n_processes; i++)
        if (r->processes[i].threads[0].pid > 0)
            kill(r->processes[i].threads[0].pid, SIGKILL);
}

/* Whether one of the processes was killed, not by us: by a person, or for want of
 * memory. All of them are stopped, which nothing else ends (ptrace(2), "Death under
 * ptrace"); where that shows first, and as which error, is a matter of chance. */
static bool was_killed(const struct restore *r)
{
    unsigned long message;

    for (uint32_t i = 0; i < r->img->n_processes; i++)
        for (uint32_t k = 0; k < r->processes[i].n_threads; k++)
            if (ptrace(PTRACE_GETEVENTMSG, r->processes[i].threads[k].tid, 0,
                       &message) < 0 &&
                errno == ESRCH)
                return true;
    return false;
}

/* The end of pid 1 ends the namespace. Its own end waits for all of the others, and
 * those that are traced wait for us. That we hang up lets it clear away first. It may
 * have been killed itself. */
static void abandon(struct restore *r, struct err *e)
{
    int status = 0;

    if (r->init <= 0)
        return;
    if (was_killed(r)) {
        err_wrap(e, "one of the new processes was killed");
        err_momentary(e);
    }
    kill_processes(r);
    scope_close(&r->report_fd);
    r->report_fd = -1;
    if (await_end(r, CLEAR_TIMEOUT_MS, &status)) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            err_momentary(e);
        return;
    }
    kill(r->init, SIGKILL);
    if (!await_end(r, REAP_TIMEOUT_MS, &status))
        log_warning("the processes of a failed restart do not end");
}

static int result(struct restore *r, struct native_root *root, struct err *e)
{
    struct native_root made = {
        .parent = r->replica,
        .init = r->init,
        .status_fd = -1,
        .inner_parent_pid = r->img->supervisor_pid,
    };

    for (uint32_t i = 0; i < r->img->n_processes; i++)
        if (r->img->processes[i].pid == r->img->root_pid)
            made.root = r->processes[i].threads[0].pid;
    if (native_root_remember(&made, r->setup.how->stdio, r->img->tmpdir, e) < 0)
        return -1;
    made.status_fd = take_fd(&r->status_fd);
    *root = made;
    return 0;
}

int native_restore(int dirfd, const struct native_restart *how,
                   struct native_root *root, struct err *e)
{
    auto_image struct image *img = image_load(dirfd, e);
    struct restore r = {.img = img,
                        .report_fd = -1,
                        .status_fd = -1,
                        .setup = {.memory_fd = -1, .report_fd = -1, .status_fd = -1}};
    int rc;

    if (!img)
        return -1;
    rc = prepare(&r, how, dirfd, e);
    if (rc == 0)
        rc = run(&r, e);
    if (rc == 0)
        rc = result(&r, root, e);
    if (rc < 0)
        abandon(&r, e);
    release_memory(&r);
    return rc;
}
