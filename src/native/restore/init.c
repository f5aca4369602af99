/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/init.h"

#include "base/err.h"
#include "base/io.h"
#include "image/image.h"
#include "native/memory/loader.h"
#include "native/native.h"
#include "native/restore/carry.h"
#include "native/restore/report.h"
#include "native/restore/setup.h"
#include "native/restore/spawn_pid.h"
#include "native/restore/stub.h"
#include "place/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void fail(const struct setup *s, struct err *e)
{
    place_undo();
    report_send(s->report_fd, REPORT_FAILED, e);
    _exit(1);
}

/* The kernel kills init when its parent ends; that it had not ended before shows at the
 * socket (getppid is 0 in a new pid namespace). */
static void die_with_parent(const struct setup *s)
{
    struct pollfd p = {.fd = s->report_fd};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
        _exit(1);
}

/* Closes every descriptor but these two, of which either may be -1. */
static void close_others(int a, int b)
{
    int low = a < b ? a : b, high = a < b ? b : a;
    struct rlimit limit = {0};

    if (low < 0)
        low = high;
    if ((low == 0 || syscall(SYS_close_range, 0, low - 1, 0) == 0) &&
        (high <= low + 1 || syscall(SYS_close_range, low + 1, high - 1, 0) == 0) &&
        syscall(SYS_close_range, high + 1, ~0u, 0) == 0)
        return;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; fd < (int)limit.rlim_cur; fd++)
        if (fd != a && fd != b)
            close(fd);
}

/* These processes live as long as the job; nobody shall find a directory busy for it.
 */
static void leave_directory(void)
{
    if (chdir("/") < 0)
        _exit(1);
}

/* ---- the replica ---- */

/* Collects children for ever; tells when the job's root has ended. */
static _Noreturn void collect(const struct setup *s, pid_t root)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);

        if (pid == root && s->status_fd >= 0 &&
            write(s->status_fd, &status, sizeof(status)) != sizeof(status))
            _exit(1);
        if (pid < 0 && errno == ECHILD)
            _exit(0);
    }
}

static void make_stubs(struct setup *s)
{
    struct err e = {0};

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        err_sys(&e, "become a subreaper");
        fail(s, &e);
    }
    if (stub_fork_top(s, &e) < 0)
        fail(s, &e);
}

static _Noreturn void replica_run(struct setup *s)
{
    setsid();
    make_stubs(s);
    report_send(s->report_fd, REPORT_READY, NULL);
    leave_directory();
    close_others(s->status_fd, -1);
    collect(s, s->img->root_pid);
}

/* ---- init ---- */

static int raise_fd_limit(int first_fd, struct err *e)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "read the limit of open files");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "raise the limit of open files");
    if (limit.rlim_max <= (rlim_t)first_fd)
        return err_set(e, ERR_REFUSED,
                       "the job has descriptor %d open, but only %llu are allowed here "
                       "(ulimit -Hn)",
                       first_fd - 1, (unsigned long long)limit.rlim_max);
    return 0;
}

static pid_t highest_pid(const struct image *img)
{
    pid_t high = img->supervisor_pid;

    for (uint32_t i = 0; i < img->n_processes; i++) {
        if (img->processes[i].pid > high)
            high = img->processes[i].pid;
        for (uint32_t k = 0; k < img->processes[i].n_threads; k++)
            if (img->processes[i].threads[k].tid > high)
                high = img->processes[i].threads[k].tid;
    }
    return high;
}

/* Without time namespaces (before Linux 5.6) the job sees this host's clock. That it
 * jumps ahead is like having been stopped; a clock that goes back would make timers
 * wait for days. */
static int set_clocks(const struct image *img, struct err *e)
{
    struct timespec now;
    bool supported;

    if (namespaces_set_clocks(img->monotonic_ns, img->boottime_ns, &supported, e) < 0)
        return -1;
    if (supported)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec >= (time_t)(img->monotonic_ns / 1000000000))
        return 0;
    return err_set(
        e, ERR_REFUSED,
        "this host has been up for less time than the one that the job comes "
        "from, and its kernel has no time namespaces (Linux 5.6) that would "
        "keep the job's clock from going back");
}

/* Everything that can fail for reasons of files, before there is any process. */
static int open_all(struct setup *s, struct err *e)
{
    struct loader_targets targets = {.objects = s->object_fd};

    if (namespaces_enter(&s->ns, e) < 0 ||
        namespaces_allow_pid(highest_pid(s->img), e) < 0 || set_clocks(s->img, e) < 0 ||
        raise_fd_limit(s->files.first_fd, e) < 0)
        return -1;
    if (io_move_fd(&s->report_fd, s->files.first_fd, e) < 0 ||
        io_move_fd(&s->status_fd, s->files.first_fd, e) < 0)
        return -1;
    if (carry_put_back(s->img, s->how, e) < 0)
        return -1;
    if (files_restore_open(&s->files, e) < 0)
        return -1;
    for (uint32_t i = 0; i < s->img->n_objects; i++)
        s->object_fd[i] = s->files.objects[i];
    if (backing_open(&s->backing, s->files.first_fd, e) < 0)
        return -1;
    if (s->img->n_objects && loader_run(s->img, s->memory_fd, &targets, e) < 0)
        return err_wrap(e, "shared memory of the job");
    return 0;
}

/* New pids go on after the old ones, as a script that remembers some expects. Where
 * this is refused (a smaller kernel.pid_max, before Linux 3.3) they begin at the
 * lowest. */
static void set_last_pid(const struct image *img)
{
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        dprintf(fd, "%d", img->last_pid);
        close(fd);
    }
}

static void commit(struct setup *s)
{
    struct err e = {0};

    if (report_wait_for_commit(s->report_fd, &e) < 0) {
        place_undo();
        _exit(1);
    }
    if (files_restore_commit(&s->files, &e) < 0)
        fail(s, &e);
    set_last_pid(s->img);
    leave_directory();
    /* A pipe of the job must not be held open by us when the job runs. */
    close_others(s->report_fd, s->status_fd);
    report_send(s->report_fd, REPORT_COMMITTED, NULL);
    close(s->report_fd);
}

static pid_t make_replica(struct setup *s)
{
    struct err e = {0};
    pid_t pid = spawn_pid(s->img->supervisor_pid, SIGCHLD, &s->shared->spawn_lock, &e);

    if (pid == 0)
        replica_run(s);
    if (pid < 0)
        fail(s, &e);
    return pid;
}

_Noreturn void init_run(struct setup *s)
{
    struct err e = {0};
    pid_t replica;

    spawn_block_signals();
    die_with_parent(s);
    setsid();
    prctl(PR_SET_NAME, "qckpt-init");
    if (open_all(s, &e) < 0)
        fail(s, &e);
    report_send(s->report_fd, REPORT_OPENED, NULL);
    if (s->img->supervisor_pid == 1) {
        make_stubs(s);
        commit(s);
        collect(s, s->img->root_pid);
    }
    replica = make_replica(s);
    commit(s);
    close(s->status_fd);
    s->status_fd = -1;
    while (waitpid(replica, NULL, 0) < 0 && errno == EINTR)
        ;
    _exit(0);
}
