/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/start.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What the child tells. */
struct start_report {
    int code; /* errno */
    enum start_step {
        START_REACHED, /* start_exec: no failure yet */
        START_STDIO,
        START_TTY,
        START_EXEC,
        START_PREPARE, /* `err` says why */
    } step;
    struct err err;
};

/* As a shell ends when it cannot execute a command. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

static _Noreturn void give_up(int fd, enum start_step step)
{
    struct start_report r = {.code = errno, .step = step};
    bool missing = r.code == ENOENT;
    ssize_t n = write(fd, &r, sizeof(r));

    _exit(n == sizeof(r) && missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void prepare(const struct start_how *how, int report_fd)
{
    struct start_report r = {.step = START_PREPARE};

    if (!how->prepare || how->prepare(how->arg, &r.err) == 0)
        return;
    _exit(write(report_fd, &r, sizeof(r)) == sizeof(r) ? EXIT_NOT_EXECUTABLE
                                                       : EXIT_NOT_FOUND);
}

static void reset_signals(const struct start_how *how)
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
static void take_stdio(const int stdio[3], int report_fd)
{
    int high[3];

    for (int i = 0; i < 3; i++) {
        high[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (high[i] < 0)
            give_up(report_fd, START_STDIO);
    }
    for (int i = 0; i < 3; i++)
        if (dup2(high[i], i) < 0)
            give_up(report_fd, START_STDIO);
}

static _Noreturn void become_job(const struct start_how *how, pid_t parent,
                                 int report_fd)
{
    setsid();
    prepare(how, report_fd);
    /* The job must not outlive its supervisor: nobody could save or end it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NOT_EXECUTABLE);
    take_stdio(how->stdio, report_fd);
    if (how->take_tty && ioctl(0, TIOCSCTTY, 0) < 0)
        give_up(report_fd, START_TTY);
    if (how->report_fd && dup2(report_fd, how->report_fd) < 0)
        give_up(report_fd, START_STDIO);
    reset_signals(how);
    execvpe(how->path, how->argv, how->envp);
    give_up(report_fd, START_EXEC);
}

_Noreturn void start_exec(int report_fd, const char *path, char *const *argv)
{
    const struct start_report reached = {.step = START_REACHED};

    if (fcntl(report_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        write(report_fd, &reached, sizeof(reached)) != sizeof(reached))
        _exit(EXIT_NOT_EXECUTABLE);
    execvp(path, argv);
    give_up(report_fd, START_EXEC);
}

static int fail(const struct start_report *r, const char *name, struct err *e)
{
    if (r->step == START_PREPARE) {
        *e = r->err;
        return -1;
    }
    if (r->step == START_EXEC)
        return err_code(e, r->code, "start %s", name);
    if (r->step == START_TTY)
        return err_code(e, r->code, "make the terminal the job's");
    return err_code(e, r->code, "give the job its standard files");
}

/* 1: a report, 0: the pipe's end. */
static int read_report(int fd, struct start_report *r, const char *name, struct err *e)
{
    ssize_t n;

    do
        n = read(fd, r, sizeof(*r));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    if (n < 0)
        return err_sys(e, "wait for the start of %s", name);
    if (n != sizeof(*r))
        return err_set(e, ERR_FAILED, "start %s: it ended too early", name);
    return 1;
}

/* Waits until the child has executed the job's program, or has said why not. */
static int wait_for_exec(const struct start_how *how, int report_fd, struct err *e)
{
    const char *name = how->name ? how->name : how->path;
    bool reached = how->report_fd == 0;
    struct start_report r;

    for (;;) {
        int n = read_report(report_fd, &r, name, e);

        if (n < 0)
            return -1;
        if (n == 0 && !reached)
            return err_set(e, ERR_FAILED, "%s ended before it had started %s",
                           how->path, name);
        if (n == 0)
            return 0;
        if (r.step != START_REACHED)
            return fail(&r, name, e);
        reached = true;
    }
}

int start_program(const struct start_how *how, pid_t *pid, int *status, struct err *e)
{
    pid_t parent = getpid(), child;
    int ends[2], ignored;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, "make a pipe");
    auto_fd int read_end = ends[0];
    auto_fd int write_end = ends[1];

    /* Above what the job uses, or the job's 0 to 2 could land on it. */
    if (io_move_fd(&write_end, 3, e) < 0)
        return -1;
    child = fork();
    if (child == 0)
        become_job(how, parent, write_end);
    close(take_fd(&write_end));
    if (child < 0)
        return err_sys(e, "fork");
    if (wait_for_exec(how, read_end, e) == 0) {
        *pid = child;
        return 0;
    }
    kill(child, SIGKILL);
    while (waitpid(child, status ? status : &ignored, 0) < 0 && errno == EINTR)
        ;
    return -1;
}
