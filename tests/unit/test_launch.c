/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/native.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/start.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct start_how command(char *const *argv)
{
    static char *env[] = {"PATH=/usr/bin:/bin", "TMPDIR=/some/where", "X=1", NULL};
    struct start_how how = {.path = argv[0], .argv = argv, .envp = env};

    for (int i = 0; i < 3; i++)
        how.stdio[i] = i;
    sigemptyset(&how.mask);
    sigemptyset(&how.ignored);
    return how;
}

static int status_of(struct native_root *root)
{
    int status = -1;

    waitpid(root->root, &status, 0);
    native_root_forget(root);
    return status;
}

static void a_job_runs_in_its_own_session_with_its_own_files(void)
{
    char *argv[] = {"sh", "-c",
                    "read a; echo got $a $X >&2; echo $(ps -o sid=,pgid= -p $$) $$",
                    NULL};
    struct start_how how = command(argv);
    struct native_root root;
    struct err e = {0};
    int in[2], out[2];
    char text[200] = "";
    int sid, pgid, pid;

    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK(write(in[1], "word\n", 5) == 5);
    how.stdio[0] = in[0];
    how.stdio[1] = how.stdio[2] = out[1];
    CHECK_INT(native_start(&how, &root, &e), 0);
    CHECK_INT(root.parent, getpid());
    CHECK_INT(root.inner_parent_pid, getpid());
    CHECK_STR(root.tmpdir, "/some/where");
    pid = root.root;
    CHECK_INT(status_of(&root), 0);
    close(out[1]);
    CHECK(read(out[0], text, sizeof(text) - 1) > 0);
    CHECK_HAS(text, "got word 1\n");
    CHECK_INT(sscanf(text, "got word 1\n%d %d", &sid, &pgid), 2);
    CHECK_INT(sid, pid);
    CHECK_INT(pgid, pid);
    close(in[0]), close(in[1]), close(out[0]);
}

static void a_missing_program_is_an_error_with_its_errno(void)
{
    char *argv[] = {"/no/such/program", NULL};
    struct start_how how = command(argv);
    struct native_root root;
    struct err e = {0};

    CHECK_INT(native_start(&how, &root, &e), -1);
    CHECK(e.kind == ERR_SYS);
    CHECK_INT(e.sys, ENOENT);
    CHECK_HAS(e.text, "/no/such/program");
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
}

static void a_script_without_first_line_is_run_by_sh(void)
{
    char path[] = "/tmp/qckpt-launch-XXXXXX";
    char *argv[] = {path, "7", NULL};
    struct start_how how = command(argv);
    struct native_root root;
    struct err e = {0};
    int fd = mkstemp(path);

    CHECK(write(fd, "exit $1\n", 8) == 8 && fchmod(fd, 0700) == 0);
    close(fd);
    CHECK_INT(native_start(&how, &root, &e), 0);
    CHECK_INT(WEXITSTATUS(status_of(&root)), 7);
    unlink(path);
}

static void signals_are_as_asked(void)
{
    char *argv[] = {"grep", "-c", "^SigBlk:.*200$\\|^SigIgn:.*1000$",
                    "/proc/self/status", NULL};
    struct start_how how = command(argv);
    struct native_root root;
    struct err e = {0};
    int out[2];
    char text[20] = "";

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    how.stdio[1] = out[1];
    sigaddset(&how.mask, SIGUSR1);    /* bit 9 */
    sigaddset(&how.ignored, SIGPIPE); /* bit 12 */
    signal(SIGUSR2, SIG_IGN);
    CHECK_INT(native_start(&how, &root, &e), 0);
    CHECK_INT(status_of(&root), 0);
    CHECK(read(out[0], text, sizeof(text) - 1) > 0);
    CHECK_STR(text, "2\n");
    close(out[0]), close(out[1]);
}

static void swapped_standard_files_end_up_right(void)
{
    char *argv[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    struct start_how how = command(argv);
    struct native_root root;
    struct err e = {0};
    int out[2], err[2], saved[3];
    char text[20] = "";

    CHECK(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    fflush(stdout);
    dup2(err[1], 1); /* descriptor 1 shall become 2 and the other way round */
    dup2(out[1], 2);
    how.stdio[1] = 2;
    how.stdio[2] = 1;
    int started = native_start(&how, &root, &e);
    dup2(saved[1], 1);
    dup2(saved[2], 2);
    CHECK_INT(started, 0);
    CHECK_INT(status_of(&root), 0);
    CHECK(read(out[0], text, sizeof(text) - 1) == 4);
    CHECK_STR(text, "one\n");
    CHECK(read(err[0], text, sizeof(text) - 1) == 4);
    CHECK_STR(text, "two\n");
    for (int i = 0; i < 3; i++)
        close(saved[i]);
    close(out[0]), close(out[1]), close(err[0]), close(err[1]);
}

int main(void)
{
    RUN(a_job_runs_in_its_own_session_with_its_own_files);
    RUN(a_missing_program_is_an_error_with_its_errno);
    RUN(a_script_without_first_line_is_run_by_sh);
    RUN(signals_are_as_asked);
    RUN(swapped_standard_files_end_up_right);
    return tap_done();
}
