/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The door before the real dmtcp_coordinator, with a job of two processes and three
 * threads (door_job.c) under dmtcp_launch. DMTCP is looked for below
 * QCKPT_DMTCP_PREFIX.
 */
#include "door_rig.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "tap.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char tools[64]; /* copies that every user can execute */

static const char *tool(const char *name)
{
    static char path[2][128];
    static int next;
    char *out = path[next ^= 1];

    snprintf(out, sizeof(path[0]), "%s/%s", tools, name);
    return out;
}

static const char *installed(const char *name)
{
    static char path[4096];
    const char *prefix = getenv("QCKPT_DMTCP_PREFIX");

    if (!prefix)
        return NULL;
    snprintf(path, sizeof(path), "%s/bin/%s", prefix, name);
    return access(path, X_OK) == 0 ? path : NULL;
}

static long long total(const char *dir)
{
    long long sum = 0;

    for (int i = 0; i < 3; i++) {
        char path[128];
        struct stat st;

        snprintf(path, sizeof(path), "%s/count%d", dir, i);
        if (stat(path, &st) < 0)
            return -1;
        sum += st.st_size;
    }
    return sum;
}

/* All three count. */
static bool runs(const char *dir)
{
    long long from = total(dir);

    for (int i = 0; i < WAIT_MS / 10; i++) {
        usleep(10000);
        if (from < 0)
            from = total(dir);
        else if (total(dir) > from + 30)
            return true;
    }
    return false;
}

static bool stands_still(const char *dir)
{
    long long from = total(dir);

    usleep(300000);
    return total(dir) == from;
}

static int files(const char *dir, const char *pattern)
{
    char path[128];
    glob_t found;
    int n = 0;

    snprintf(path, sizeof(path), "%s/%s", dir, pattern);
    if (glob(path, 0, NULL, &found) == 0)
        n = found.gl_pathc;
    globfree(&found);
    return n;
}

/* Starts argv in a session of its own; the session's number. */
static pid_t start_job(const struct rig *r, char *const *argv)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        char log[128];
        int fd;

        snprintf(log, sizeof(log), "%s/job.log", r->dir);
        fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        setsid();
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
        dup2(fd, 1);
        dup2(fd, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static pid_t launch(const struct rig *r)
{
    char port[16];
    char *argv[] = {(char *)installed("dmtcp_launch"),
                    "--join-coordinator",
                    "--coord-host",
                    "127.0.0.1",
                    "--coord-port",
                    port,
                    "--ckptdir",
                    (char *)r->dir,
                    "--no-gzip",
                    JOB,
                    (char *)r->dir,
                    NULL};

    snprintf(port, sizeof(port), "%d", door_port(r->door));
    return start_job(r, argv);
}

/* DMTCP's own descriptors and helpers are its business: the whole session goes. */
static void end_job(pid_t job)
{
    kill(-job, SIGKILL);
    waitpid(job, NULL, 0);
}

static int command(void *arg)
{
    const char *const *words = arg;
    char *argv[] = {(char *)tool("dmtcp_command"),
                    "-h",
                    "127.0.0.1",
                    "-p",
                    (char *)words[0],
                    (char *)words[1],
                    NULL};
    auto_spawn_output struct spawn_output o = {0};
    struct spawn_how how = {
        .path = argv[0], .argv = argv, .timeout_ms = WAIT_MS, .max_size = 1 << 16};
    struct err e = {0};

    return spawn_run(&how, &o, &e) < 0 ? 99 : WEXITSTATUS(o.status);
}

static int ask(const struct rig *r, unsigned uid, const char *option)
{
    char port[16];
    const char *words[] = {port, option};

    snprintf(port, sizeof(port), "%d", door_port(r->door));
    return status_of(as_user(uid, command, words));
}

static void release(struct rig *r)
{
    struct err e = {0};

    CHECK_INT(door_release(r->door, &e), 0);
}

static bool started(const struct rig *r)
{
    if (!r->door)
        printf("# %s\n", r->error);
    CHECK(r->door != NULL);
    return r->door != NULL;
}

static void every_process_stands_still_when_all_is_written(void)
{
    struct rig r;
    pid_t job;

    if (!installed("dmtcp_coordinator"))
        SKIP("DMTCP is not here: set QCKPT_DMTCP_PREFIX");
    r = rig_open(installed("dmtcp_coordinator"), 20);
    if (!started(&r))
        return;
    job = launch(&r);
    CHECK(runs(r.dir));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ask(&r, getuid(), "-c"), 0);
        CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
        CHECK(stands_still(r.dir));
        CHECK_INT(files(r.dir, "ckpt_*.dmtcp.temp"), 2);
        release(&r);
        CHECK(runs(r.dir));
        CHECK_INT(files(r.dir, "ckpt_*.dmtcp.temp"), 0);
        CHECK_INT(files(r.dir, "ckpt_*.dmtcp"), 2);
        CHECK_INT(rig_event(&r, 0), DOOR_NOTHING);
    }
    end_job(job);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    CHECK_HAS(r.text, "DMTCP's coordinator ended with status 0");
    rig_close(&r);
}

static void strangers_neither_block_nor_command_the_job(void)
{
    struct rig r;
    pid_t job, stranger;

    if (!installed("dmtcp_coordinator"))
        SKIP("DMTCP is not here: set QCKPT_DMTCP_PREFIX");
    if (getuid() != 0)
        SKIP("only root can be another user");
    r = rig_open(installed("dmtcp_coordinator"), 20);
    if (!started(&r))
        return;
    job = launch(&r);
    CHECK(runs(r.dir));
    CHECK(ask(&r, STRANGER, "-k") != 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_STRANGER);
    CHECK_HAS(r.text, "user 65534");
    CHECK(runs(r.dir));
    /* Connected, silent, and still there while the checkpoint is made. */
    stranger = fork();
    if (stranger == 0) {
        if (setgid(STRANGER) < 0 || setuid(STRANGER) < 0 || rig_connect(&r, 0) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK_INT(ask(&r, getuid(), "-c"), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    release(&r);
    CHECK(runs(r.dir));
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
    end_job(job);
    rig_close(&r);
}

/* A checkpoint of a new job; the rig keeps its directory, and has no door. */
static struct rig checkpointed(void)
{
    struct rig r = rig_open(installed("dmtcp_coordinator"), 20);
    pid_t job;

    if (!started(&r))
        return r;
    job = launch(&r);
    CHECK(runs(r.dir));
    CHECK_INT(ask(&r, getuid(), "-c"), 0);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
    release(&r);
    CHECK(runs(r.dir));
    end_job(job);
    CHECK_INT(rig_event(&r, WAIT_MS), DOOR_CLOSED);
    door_close(r.door);
    r.door = NULL;
    return r;
}

static pid_t restart(const struct rig *r, const char *images)
{
    char port[16], pattern[128];
    char *argv[16] = {(char *)installed("dmtcp_restart"),
                      "--join-coordinator",
                      "--coord-host",
                      "127.0.0.1",
                      "--coord-port",
                      port,
                      "--ckptdir",
                      (char *)r->dir};
    glob_t found;
    pid_t job;
    int n = 8;

    snprintf(port, sizeof(port), "%d", door_port(r->door));
    snprintf(pattern, sizeof(pattern), "%s/ckpt_*.dmtcp", images);
    if (glob(pattern, 0, NULL, &found))
        return -1;
    for (size_t i = 0; i < found.gl_pathc && n < 15; i++)
        argv[n++] = found.gl_pathv[i];
    job = start_job(r, argv);
    globfree(&found);
    return job;
}

static void a_restart_is_held_before_anything_has_run(void)
{
    struct rig old, r;
    pid_t job;

    if (!installed("dmtcp_coordinator"))
        SKIP("DMTCP is not here: set QCKPT_DMTCP_PREFIX");
    old = checkpointed();
    if (tap_test_failed)
        return;
    r = rig_open(installed("dmtcp_coordinator"), 20);
    if (started(&r)) {
        job = restart(&r, old.dir);
        CHECK(job > 0);
        CHECK_INT(rig_event(&r, WAIT_MS), DOOR_RESTORED);
        CHECK(stands_still(old.dir));
        release(&r);
        CHECK(runs(old.dir));
        CHECK_INT(ask(&r, getuid(), "-c"), 0);
        CHECK_INT(rig_event(&r, WAIT_MS), DOOR_WRITTEN);
        release(&r);
        CHECK(runs(old.dir));
        if (job > 0)
            end_job(job);
    }
    rig_close(&r);
    rig_close(&old);
}

static void copy_command(void)
{
    auto_free char *program = NULL;
    struct err e = {0};
    size_t size = 0;
    int fd;

    snprintf(tools, sizeof(tools), "/tmp/qckpt-door-XXXXXX");
    if (!mkdtemp(tools) || chmod(tools, 0755) < 0 ||
        io_read_file(AT_FDCWD, installed("dmtcp_command"), 1 << 26, &program, &size,
                     &e) < 0)
        printf("# %s\n", e.text);
    fd = open(tool("dmtcp_command"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (io_write_all(fd, program, size, &e) < 0 || fchmod(fd, 0755) < 0)
        printf("# %s\n", e.text);
    close(fd);
}

static bool required(void)
{
    const char *names = getenv("REQUIRE");

    return names && strstr(names, "dmtcp");
}

int main(void)
{
    struct err ignored;

    if (!installed("dmtcp_coordinator") && required()) {
        printf("Bail out! REQUIRE has \"dmtcp\", but QCKPT_DMTCP_PREFIX names none\n");
        return 1;
    }
    if (installed("dmtcp_command"))
        copy_command();
    RUN(every_process_stands_still_when_all_is_written);
    RUN(strangers_neither_block_nor_command_the_job);
    RUN(a_restart_is_held_before_anything_has_run);
    if (tools[0])
        io_remove_tree(AT_FDCWD, tools, &ignored);
    return tap_done();
}
