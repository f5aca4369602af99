/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What DMTCP's programs are given, where they are found, and the room they need. */
#include "dmtcp/launch.h"

#include "base/err.h"
#include "base/io.h"
#include "dmtcp/room.h"
#include "dmtcp/session.h"
#include "scratch.h"
#include "tap.h"

#include <errno.h>
#include <sys/wait.h>

static const char *find(char *const *list, const char *start)
{
    for (; *list; list++)
        if (strncmp(*list, start, strlen(start)) == 0)
            return *list;
    return "(none)";
}

static void another_dmtcps_variables_do_not_get_in(void)
{
    auto_words struct words out = {0};
    const struct session s = {.log = "/jobs/dmtcp.log"};
    char *env[] = {"PATH=/bin",     "DMTCP_COORD_PORT=7",
                   "DMTCP_QUIET=2", "DMTCP_CHECKPOINT_INTERVAL=1",
                   "JALIB_X=1",     "MTCP_RESTART_PAUSE=1",
                   "HOME=/",        NULL};
    struct err e = {0};

    CHECK_INT(session_environment(&s, env, &out, &e), 0);
    CHECK_INT(out.n, 5);
    CHECK_STR(find(out.word, "PATH="), "PATH=/bin");
    CHECK_STR(find(out.word, "HOME="), "HOME=/");
    CHECK_STR(find(out.word, "DMTCP_QUIET="), "DMTCP_QUIET=1");
    CHECK_STR(find(out.word, "JALIB_"), "JALIB_STDERR_PATH=/jobs/dmtcp.log");
    CHECK_STR(find(out.word, "DMTCP_FAIL_RC="), "DMTCP_FAIL_RC=213");
}

static void words_are_cut_at_blanks(void)
{
    auto_words struct words w = {0};
    struct err e = {0};

    CHECK_INT(words_split(&w, "  --modify-env\t-i  5 ", &e), 0);
    CHECK_INT(words_split(&w, NULL, &e), 0);
    CHECK_INT(w.n, 3);
    CHECK_STR(w.n == 3 ? w.word[0] : "", "--modify-env");
    CHECK_STR(w.n == 3 ? w.word[2] : "", "5");
    CHECK(w.word && w.word[3] == NULL);
}

static void what_dmtcp_said_begins_with_its_first_error(void)
{
    static const char text[] =
        "WARNING: dangerous\n\033[0;31m[2026-11-22T14:26:59.167, 42000, 42002, Error] "
        "at "
        "file.cpp:477 in postRestart; REASON='JASSERT(x) failed; (_path = "
        "/a/b);Message: Unable to find it    bash: Terminating...\n    Backtrace:\n"
        "  1 _ZN16 in libdmtcp.so\n\033[0m[.., Error] at other.cpp:1 in later\n";
    struct scratch s = scratch_make();
    struct session session = {0};
    struct err e = {0};
    char said[700];

    snprintf(session.log, sizeof(session.log), "%s/log", s.path);
    session_last_words(&session, said, sizeof(said));
    CHECK_STR(said, "DMTCP does not say why");
    CHECK_INT(io_create_file(s.fd, "log", text, sizeof(text) - 1, &e), 0);
    session_last_words(&session, said, sizeof(said));
    CHECK_STR(
        said,
        "DMTCP says: file.cpp:477 in postRestart; REASON='JASSERT(x) failed; (_path "
        "= /a/b);Message: Unable to find it    bash");
    scratch_drop(&s);
}

static void put_program(struct scratch *s, const char *name, const char *text)
{
    struct err e = {0};
    char path[128];

    snprintf(path, sizeof(path), "bin/%s", name);
    CHECK_INT(io_create_file(s->fd, path, text, strlen(text), &e), 0);
    CHECK_INT(fchmodat(s->fd, path, 0700, 0), 0);
}

static void what_is_missing_of_an_installation_is_named(void)
{
    static const char *const names[] = {"dmtcp_launch", "dmtcp_restart",
                                        "dmtcp_command", "dmtcp_coordinator",
                                        "mtcp_restart"};
    struct scratch s = scratch_make();
    struct install in;

    CHECK_INT(mkdirat(s.fd, "bin", 0700), 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct err e = {0};

        CHECK_INT(install_find(s.path, &in, &e), -1);
        CHECK(e.kind == ERR_REFUSED);
        CHECK_HAS(e.text, names[i]);
        CHECK_HAS(e.text, "No such file or directory; set QCKPT_DMTCP_PREFIX");
        put_program(&s, names[i], "#!/bin/sh\necho 'dmtcp_launch (DMTCP) 9.1'\n");
    }
    struct err e = {0};

    CHECK_INT(install_find(s.path, &in, &e), -1);
    CHECK_HAS(e.text, "is of DMTCP 9.1");
    CHECK_INT(install_find("relative", &in, &e), -1);
    CHECK_HAS(e.text, "not an absolute path");
    scratch_drop(&s);
}

static void room_is_set_aside_and_given_back(void)
{
    struct scratch s = scratch_make();
    struct err e = {0};

    CHECK_INT(room_prove(s.fd, 1 << 20, &e), 0);
    CHECK_INT(scratch_size(s.fd, ".room"), -1);
    CHECK_INT(room_prove(s.fd, UINT64_C(1) << 60, &e), -1);
    CHECK(e.kind == ERR_REFUSED);
    CHECK_HAS(e.text, "1024.0 PiB");
    CHECK_INT(scratch_size(s.fd, ".room"), -1);
    scratch_drop(&s);
}

/* As dmtcp_launch does it: a program in between, which becomes the job's. */
static int start(const char *path, char **argv, int *status, struct err *e)
{
    char *envp[] = {"PATH=/usr/bin:/bin", NULL};
    struct start_how how = {.path = path,
                            .argv = argv,
                            .envp = envp,
                            .stdio = {0, 1, 2},
                            .name = "job",
                            .report_fd = 3};
    pid_t pid;

    sigemptyset(&how.mask);
    sigemptyset(&how.ignored);
    if (start_program(&how, &pid, status, e) < 0)
        return -1;
    CHECK(waitpid(pid, status, 0) == pid);
    return 0;
}

static void a_step_that_never_gets_to_the_job_is_told_from_it(void)
{
    char *argv[] = {"sh", "-c", "exit 213", NULL};
    struct err e = {0};
    int status = -1;

    CHECK_INT(start("/bin/sh", argv, &status, &e), -1);
    CHECK_INT(status, 213 << 8);
    CHECK(e.kind == ERR_FAILED);
    CHECK_HAS(e.text, "/bin/sh ended before it had started job");
}

static void the_job_is_executed_as_it_was_asked_for(void)
{
    char *shell[] = {
        "self", (char *)launch_word, "sh", "-sh", "-c", "case $0 in -sh) exit 5;; esac",
        NULL};
    char *missing[] = {"self", (char *)launch_word, "/no/such/program", "x", NULL};
    char *data[] = {"self", (char *)launch_word, "/etc/passwd", "x", NULL};
    struct err e = {0};
    int status = -1;

    CHECK_INT(start("/proc/self/exe", shell, &status, &e), 0);
    CHECK_INT(status, 5 << 8);
    CHECK_INT(start("/proc/self/exe", missing, &status, &e), -1);
    CHECK(e.kind == ERR_SYS);
    CHECK_INT(e.sys, ENOENT);
    CHECK_HAS(e.text, "start job: No such file");
    CHECK_INT(start("/proc/self/exe", data, &status, &e), -1);
    CHECK_INT(e.sys, EACCES);
}

int main(int argc, char **argv)
{
    launch_as_told(argc, argv);
    RUN(another_dmtcps_variables_do_not_get_in);
    RUN(words_are_cut_at_blanks);
    RUN(what_dmtcp_said_begins_with_its_first_error);
    RUN(what_is_missing_of_an_installation_is_named);
    RUN(room_is_set_aside_and_given_back);
    RUN(the_job_is_executed_as_it_was_asked_for);
    RUN(a_step_that_never_gets_to_the_job_is_told_from_it);
    return tap_done();
}
