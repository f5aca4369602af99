/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bare first run: the job is an ordinary child of this program. Whether execve
 * succeeded is learnt from a pipe that closes on exec, so that a program which cannot
 * be started is an error here and not an exit status that the job might have had
 * itself.
 */
#include "native/native.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What the child tells when it cannot become the job. */
struct launch_failure {
    int code; /* errno */
    enum launch_step {
        LAUNCH_STDIO,
        LAUNCH_TTY,
        LAUNCH_EXEC,
    } step;
};

static _Noreturn void give_up(int fd, enum launch_step step)
{
    struct launch_failure f = {.code = errno, .step = step};
    ssize_t n = write(fd, &f, sizeof(f));

    _exit(n == sizeof(f) ? 127 : 126);
}

static void reset_signals(const struct native_launch *how)
{
    for (int s = 1; s < NSIG; s++) {
        struct sigaction a = {.sa_handler = SIG_DFL};

        if (sigismember(&how->ignored, s) == 1)
            a.sa_handler = SIG_IGN;
        sigaction(s, &a, NULL); /* SIGKILL, SIGSTOP and libc's own cannot be set */
    }
    sigprocmask(SIG_SETMASK, &how->mask, NULL);
}

/* Through numbers above 2 first: one of stdio may be the target of another. */
static void take_stdio(const int stdio[3], int failure_fd)
{
    int high[3];

    for (int i = 0; i < 3; i++) {
        high[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (high[i] < 0)
            give_up(failure_fd, LAUNCH_STDIO);
    }
    for (int i = 0; i < 3; i++)
        if (dup2(high[i], i) < 0)
            give_up(failure_fd, LAUNCH_STDIO);
}

static _Noreturn void become_job(const struct native_launch *how, pid_t parent,
                                 int failure_fd)
{
    setsid();
    /* The job must not outlive its supervisor: nobody could save or end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    take_stdio(how->stdio, failure_fd);
    if (how->take_tty && ioctl(0, TIOCSCTTY, 0) < 0)
        give_up(failure_fd, LAUNCH_TTY);
    reset_signals(how);
    execvpe(how->path, how->argv, how->envp);
    give_up(failure_fd, LAUNCH_EXEC);
}

static int report(const struct launch_failure *f, const char *path, struct err *e)
{
    if (f->step == LAUNCH_EXEC)
        return err_code(e, f->code, "start %s", path);
    if (f->step == LAUNCH_TTY)
        return err_code(e, f->code, "make the terminal the job's");
    return err_code(e, f->code, "give the job its standard files");
}

/* Waits until the child has executed its program, or has said why not. */
static int wait_for_exec(pid_t pid, int failure_fd, const char *path, struct err *e)
{
    struct launch_failure f;
    ssize_t n;

    do
        n = read(failure_fd, &f, sizeof(f));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    if (n < 0)
        err_sys(e, "wait for the start of %s", path);
    else if (n == sizeof(f))
        report(&f, path, e);
    else
        err_set(e, ERR_FAILED, "start %s: it ended too early", path);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return -1;
}

static const char *find_variable(char *const *envp, const char *name)
{
    size_t length = strlen(name);

    for (; *envp; envp++)
        if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
            return *envp + length + 1;
    return NULL;
}

/* Copies out of the way of what the job may be given, for later comparison. */
int native_root_remember(struct native_root *root, const int stdio[3],
                         const char *tmpdir, struct err *e)
{
    root->tmpdir = NULL;
    for (int i = 0; i < 3; i++)
        root->stdio[i] = -1;
    for (int i = 0; i < 3; i++) {
        root->stdio[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (root->stdio[i] < 0) {
            err_sys(e, "keep a copy of standard file %d", i);
            native_root_forget(root);
            return -1;
        }
    }
    if (tmpdir && !(root->tmpdir = strdup(tmpdir))) {
        err_sys(e, "remember TMPDIR");
        native_root_forget(root);
        return -1;
    }
    return 0;
}

void native_root_forget(struct native_root *root)
{
    for (int i = 0; i < 3; i++) {
        if (root->stdio[i] >= 0)
            close(root->stdio[i]);
        root->stdio[i] = -1;
    }
    if (root->status_fd >= 0)
        close(root->status_fd);
    root->status_fd = -1;
    free(root->tmpdir);
    root->tmpdir = NULL;
}

int native_start(const struct native_launch *how, struct native_root *root,
                 struct err *e)
{
    struct native_root made = {.parent = getpid(), .status_fd = -1};
    int ends[2];

    made.inner_parent_pid = made.parent;
    if (native_root_remember(&made, how->stdio, find_variable(how->envp, "TMPDIR"), e) <
        0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        err_sys(e, "make a pipe");
        native_root_forget(&made);
        return -1;
    }
    auto_fd int read_end = ends[0];
    auto_fd int write_end = ends[1];

    /* Above what the job uses, or the job's 0 to 2 could land on it. */
    if (io_move_fd(&write_end, 3, e) < 0) {
        native_root_forget(&made);
        return -1;
    }
    made.root = fork();
    if (made.root == 0)
        become_job(how, made.parent, write_end);
    close(take_fd(&write_end));
    if (made.root < 0)
        err_sys(e, "fork");
    if (made.root < 0 || wait_for_exec(made.root, read_end, how->path, e) < 0) {
        native_root_forget(&made);
        return -1;
    }
    *root = made;
    return 0;
}
