/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/stub.h"

#include "base/err.h"
#include "image/image.h"
#include "native/native.h"
#include "native/restore/report.h"
#include "native/restore/setup.h"
#include "native/restore/spawn_pid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { KERNEL_SIGSET_SIZE = 8 };

static _Noreturn void fail(const struct setup *s, const char *who, struct err *e)
{
    err_wrap(e, "%s %d of the job", who, getpid());
    report_send(s->report_fd, REPORT_FAILED, e);
    _exit(1);
}

/* Counts this process and waits until `all` have come here. */
static void meet(_Atomic uint32_t *count, uint32_t all)
{
    uint32_t now = atomic_fetch_add(count, 1) + 1;

    if (now == all)
        syscall(SYS_futex, count, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    while ((now = atomic_load(count)) < all)
        syscall(SYS_futex, count, FUTEX_WAIT, now, NULL, NULL, 0);
}

/* ---- births ---- */

static _Noreturn void stub_run(struct setup *s, uint32_t i);

static int reap(pid_t pid, struct err *e)
{
    pid_t r;

    do
        r = waitpid(pid, NULL, __WALL);
    while (r < 0 && errno == EINTR);
    return r == pid ? 0 : err_sys(e, "wait for process %d", pid);
}

static int fork_node(struct setup *s, uint32_t i, struct err *e)
{
    const struct birth *n = &s->births.node[i];
    /* A temporary child must leave no trace, a SIGCHLD in particular. */
    int signal = n->process == IMAGE_NONE ? 0 : SIGCHLD;
    pid_t pid = spawn_pid(n->pid, signal, &s->shared->spawn_lock, e);

    if (pid == 0)
        stub_run(s, i);
    return pid < 0 ? -1 : 0;
}

/* The helper ends at once, so that its child is adopted by the nearest subreaper. */
static int fork_through_helper(struct setup *s, uint32_t i, struct err *e)
{
    pid_t helper =
        spawn_pid(s->births.node[i].helper_pid, 0, &s->shared->spawn_lock, e);

    if (helper < 0)
        return -1;
    if (helper == 0) {
        if (fork_node(s, i, e) < 0)
            fail(s, "helper", e);
        _exit(0);
    }
    return reap(helper, e);
}

static int fork_children(struct setup *s, uint32_t parent, bool early, struct err *e)
{
    for (uint32_t i = 0; i < s->births.n; i++) {
        const struct birth *n = &s->births.node[i];
        int rc;

        if (n->parent != parent || n->early != early)
            continue;
        rc = n->helper_pid ? fork_through_helper(s, i, e) : fork_node(s, i, e);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Ends what is temporary among the children: all of it has been of use by now. Zombies
 * stay, unless this process ends as well and has others inherit its children. */
static int settle_children(struct setup *s, uint32_t parent, struct err *e)
{
    static const struct timespec at_once;
    siginfo_t info;
    sigset_t chld;

    for (uint32_t i = 0; i < s->births.n; i++) {
        const struct birth *n = &s->births.node[i];

        if (n->parent != parent || n->helper_pid)
            continue;
        if (n->process == IMAGE_NONE && reap(n->pid, e) < 0)
            return -1;
        if (n->zombie && waitid(P_PID, n->pid, &info, WEXITED | WNOWAIT) < 0)
            return err_sys(e, "wait for the end of process %d", n->pid);
    }
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    while (sigtimedwait(&chld, &info, &at_once) > 0)
        ;
    return 0;
}

int stub_fork_top(struct setup *s, struct err *e)
{
    uint32_t all = s->births.n + 1;

    if (fork_children(s, BIRTHS_TOP, false, e) < 0 ||
        fork_children(s, BIRTHS_TOP, true, e) < 0)
        return -1;
    meet(&s->shared->born, all);
    meet(&s->shared->led, all);
    meet(&s->shared->grouped, all);
    if (settle_children(s, BIRTHS_TOP, e) < 0)
        return -1;
    meet(&s->shared->settled, s->births.n_alive + 1);
    return 0;
}

/* ---- sessions, groups, terminals ---- */

/* The slave of a pty of the job, else the terminal that the run was given. */
static int terminal_of(const struct setup *s, const struct image_process *p)
{
    if (p->tty_file != IMAGE_NONE)
        return s->files.pool[p->tty_file];
    for (int i = 0; i < 3; i++)
        if (isatty(s->how->stdio[i]))
            return s->how->stdio[i];
    return -1;
}

static int make_session(const struct setup *s, const struct birth *n, struct err *e)
{
    const struct image_process *p;
    int tty;

    if (n->sid != n->pid)
        return 0;
    if (setsid() < 0)
        return err_sys(e, "setsid");
    if (birth_ends(n))
        return 0;
    p = &s->img->processes[n->process];
    if (!p->tty)
        return 0;
    /* Before the others are born: they inherit it. */
    tty = terminal_of(s, p);
    if (tty >= 0 && ioctl(tty, TIOCSCTTY, 0) < 0 && p->tty_file != IMAGE_NONE)
        return err_sys(e, "make a terminal of the job's own the controlling one");
    return 0;
}

static int join_group(const struct birth *n, struct err *e)
{
    if (n->sid == n->pid || n->pgid == n->pid || setpgid(0, n->pgid) == 0)
        return 0;
    return err_sys(e, "join process group %d", n->pgid);
}

static int lead_group(const struct birth *n, struct err *e)
{
    if (n->sid == n->pid || n->pgid != n->pid || setpgid(0, 0) == 0)
        return 0;
    return err_sys(e, "make process group %d", n->pgid);
}

static int set_terminal(const struct setup *s, const struct image_process *p,
                        struct err *e)
{
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (tty < 0)
        return 0;
    if (!p->tty && ioctl(tty, TIOCNOTTY) < 0) {
        close(tty);
        return err_sys(e, "give up the terminal");
    }
    /* The group may have ended since; a terminal does without. */
    if (p->tty && p->sid == p->pid && p->tty_pgrp > 0)
        tcsetpgrp(tty, p->tty_pgrp);
    close(tty);
    return 0;
}

/* ---- what ends before the job runs ---- */

static _Noreturn void end_as(const struct setup *s, const struct birth *n)
{
    int status = n->zombie ? s->img->processes[n->process].status : 0;
    /* The one limit under which neither a core file is written nor a handler of cores
     * is started (core(5)). */
    struct rlimit no_core = {1, 1};
    sigset_t just;

    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    setrlimit(RLIMIT_CORE, &no_core);
    signal(WTERMSIG(status), SIG_DFL);
    sigemptyset(&just);
    sigaddset(&just, WTERMSIG(status));
    kill(getpid(), WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &just, NULL);
    _exit(128 + WTERMSIG(status));
}

/* ---- what a process sets for itself ---- */

/* The kernel's own struct (rt_sigaction(2)), not libc's. */
struct kernel_sigaction {
    uint64_t handler, flags, restorer, mask;
};

static int set_actions(const struct image_process *p, struct err *e)
{
    for (int signo = 1; signo <= IMAGE_N_SIGNALS; signo++) {
        const struct image_sigaction *from = &p->actions[signo - 1];
        struct kernel_sigaction a = {
            .handler = from->handler,
            .flags = from->flags,
            .restorer = from->restorer,
            .mask = from->mask,
        };

        if (signo == SIGKILL || signo == SIGSTOP)
            continue;
        if (syscall(SYS_rt_sigaction, signo, &a, NULL, KERNEL_SIGSET_SIZE) < 0)
            return err_sys(e, "set the action of signal %d", signo);
    }
    return 0;
}

static void set_oom_score(const struct image_process *p)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    /* Lowering it needs a privilege, and is no reason to lose a job. */
    if (fd >= 0) {
        dprintf(fd, "%d", p->oom_score_adj);
        close(fd);
    }
}

static int install_files(const struct setup *s, uint32_t process, struct err *e)
{
    const struct image_process *p = &s->img->processes[process];
    uint32_t n = 0;
    int *keep = calloc(s->backing.n + s->img->n_objects + (size_t)2, sizeof(*keep));
    int rc;

    if (!keep)
        return err_sys(e, "list descriptors");
    keep[n++] = s->report_fd;
    for (uint32_t i = 0; i < s->img->n_objects; i++)
        if (s->object_fd[i] >= 0)
            keep[n++] = s->object_fd[i];
    backing_keep(&s->backing, s->img, p, keep, &n);
    keep[n] = -1;
    rc = files_restore_install(&s->files, process, keep, e);
    free(keep);
    return rc;
}

static int set_up(const struct setup *s, uint32_t process, struct err *e)
{
    const struct image_process *p = &s->img->processes[process];

    if (getppid() != p->ppid)
        return err_set(e, ERR_FAILED, "its parent is %d, not %d", getppid(), p->ppid);
    if (set_terminal(s, p, e) < 0)
        return -1;
    if (chdir(p->cwd) < 0)
        return err_sys(e, "change to its directory %s", p->cwd);
    umask(p->umask_bits);
    set_oom_score(p);
    if (install_files(s, process, e) < 0)
        return -1;
    if (set_actions(p, e) < 0)
        return -1;
    if (p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "set no_new_privs");
    if (p->thp_disabled)
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    return 0;
}

static void take_places(struct setup *s, uint32_t i, struct err *e)
{
    const struct birth *n = &s->births.node[i];
    uint32_t all = s->births.n + 1;

    if (!birth_ends(n) && s->img->processes[n->process].child_subreaper)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (fork_children(s, i, true, e) < 0 || make_session(s, n, e) < 0 ||
        fork_children(s, i, false, e) < 0)
        fail(s, "process", e);
    meet(&s->shared->born, all);
    if (lead_group(n, e) < 0)
        fail(s, "process", e);
    meet(&s->shared->led, all);
    if (join_group(n, e) < 0)
        fail(s, "process", e);
    meet(&s->shared->grouped, all);
    if (settle_children(s, i, e) < 0)
        fail(s, "process", e);
}

static _Noreturn void stub_run(struct setup *s, uint32_t i)
{
    const struct birth *n = &s->births.node[i];
    struct err e = {0};

    take_places(s, i, &e);
    if (birth_ends(n))
        end_as(s, n);
    meet(&s->shared->settled, s->births.n_alive + 1);
    if (set_up(s, n->process, &e) < 0)
        fail(s, "process", &e);
    report_send(s->report_fd, REPORT_READY, NULL);
    close(s->report_fd);
    for (;;)
        pause();
}
