/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/spawn.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int run(const char *script, unsigned timeout_ms, size_t max_size,
               struct spawn_output *output, struct err *e)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    struct spawn_how how = {.path = "/bin/sh",
                            .argv = argv,
                            .timeout_ms = timeout_ms,
                            .max_size = max_size};

    return spawn_run(&how, output, e);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void output_messages_and_status_are_kept_apart(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};

    CHECK_INT(run("echo out; echo err >&2; exit 7", 5000, 100, &o, &e), 0);
    CHECK_STR(o.out, "out\n");
    CHECK_STR(o.err, "err\n");
    CHECK_INT(o.out_size, 4);
    CHECK(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 7);
}

static void a_silent_program_has_empty_texts(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};

    CHECK_INT(run("exit 0", 5000, 100, &o, &e), 0);
    CHECK_STR(o.out, "");
    CHECK_STR(o.err, "");
}

static void much_output_is_read_whole(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};

    CHECK_INT(
        run("head -c 300000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero | tr "
            "'\\0' y >&2",
            20000, 1 << 20, &o, &e),
        0);
    CHECK_INT(o.out_size, 300000);
    CHECK_INT(o.err_size, 200000);
    CHECK_INT(strspn(o.out, "x"), 300000);
}

static void too_much_output_is_a_failure(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};
    double start = now();

    CHECK_INT(run("while :; do echo 0123456789; done", 60000, 5000, &o, &e), -1);
    CHECK(e.kind == ERR_FAILED);
    CHECK_HAS(e.text, "/bin/sh prints more than 5000 bytes");
    CHECK(now() - start < 30);
}

static void a_deadline_is_told(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};
    double start = now();

    CHECK_INT(run("exec sleep 600", 500, 100, &o, &e), -1);
    CHECK(e.kind == ERR_TIMEOUT);
    CHECK_HAS(e.text, "did not end in 0.500 s");
    CHECK(now() - start < 30);
}

static void the_deadline_kills_the_whole_group(void)
{
    auto_spawn_output struct spawn_output o = {0};
    char script[100], name[] = "/tmp/qckpt-spawn-XXXXXX";
    int fd = mkstemp(name);
    char pid[32] = "";
    struct err e;

    snprintf(script, sizeof(script), "sleep 600 & echo $! >%s; wait", name);
    /* On a busy machine the shell may not come to its second word at first. */
    for (unsigned ms = 500; ms < 60000 && read(fd, pid, sizeof(pid) - 1) <= 0;
         ms *= 2) {
        e = (struct err){0};
        CHECK_INT(run(script, ms, 100, &o, &e), -1);
        CHECK(e.kind == ERR_TIMEOUT);
    }
    CHECK(atol(pid) > 0);
    for (int i = 0; i < 500 && kill(atol(pid), 0) == 0; i++)
        usleep(10000);
    CHECK(kill(atol(pid), 0) < 0 && errno == ESRCH);
    close(fd);
    unlink(name);
}

static void a_descendant_that_keeps_the_pipe_does_not_keep_us(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};
    double start = now();

    CHECK_INT(run("echo $$; sleep 20 & exit 3", 60000, 100, &o, &e), 0);
    CHECK_INT(WEXITSTATUS(o.status), 3);
    CHECK(now() - start < 15);
    if (o.out)
        kill(-atol(o.out), SIGKILL);
}

static void a_missing_program_is_named(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};
    char *argv[] = {(char *)"nothing", NULL};
    struct spawn_how how = {
        .path = "/nonexistent/qstat", .argv = argv, .timeout_ms = 1000, .max_size = 10};

    CHECK_INT(spawn_run(&how, &o, &e), -1);
    CHECK(e.kind == ERR_SYS && e.sys == ENOENT);
    CHECK_STR(e.text, "start /nonexistent/qstat: No such file or directory");
}

static void blocked_and_ignored_signals_are_not_inherited(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};
    sigset_t set, old;

    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, &old);
    signal(SIGALRM, SIG_IGN);
    CHECK_INT(run("kill -ALRM $$; echo survived", 5000, 100, &o, &e), 0);
    CHECK_STR(o.out, "");
    CHECK(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void a_warning_to_the_job_does_not_end_a_helper(void)
{
    auto_spawn_output struct spawn_output o = {0};
    struct err e = {0};

    CHECK_INT(run("kill -USR1 $$; kill -USR2 $$; kill -XCPU $$; echo survived", 5000,
                  100, &o, &e),
              0);
    CHECK_STR(o.out, "survived\n");
}

int main(void)
{
    RUN(output_messages_and_status_are_kept_apart);
    RUN(a_silent_program_has_empty_texts);
    RUN(much_output_is_read_whole);
    RUN(too_much_output_is_a_failure);
    RUN(a_deadline_is_told);
    RUN(the_deadline_kills_the_whole_group);
    RUN(a_descendant_that_keeps_the_pipe_does_not_keep_us);
    RUN(a_missing_program_is_named);
    RUN(blocked_and_ignored_signals_are_not_inherited);
    RUN(a_warning_to_the_job_does_not_end_a_helper);
    return tap_done();
}
