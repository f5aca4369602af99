/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

static const char *const points[] = {"store.stage", "store.manifest",
                                     "store.before-rename", "store.after-rename",
                                     "store.prune"};

enum { N_POINTS = sizeof(points) / sizeof(points[0]), KILLS = 40 };

static void ask_fault(const char *point, const char *how)
{
    char fault[64];

    snprintf(fault, sizeof(fault), "%s%s", point, how);
    setenv("QCKPT_TESTING", "1", 1);
    setenv("QCKPT_FAULT", fault, 1);
}

/* Publishes in a child; returns how that ended. */
static int publish_in_child(struct fixture *f, const char *point)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct err e = {0};

        ask_fault(point, "");
        _exit(fixture_publish(f->s, f->epoch, NULL, &e) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return status;
}

/* What the next run finds: everything listed is whole, nothing half done is left. */
static void check_whole(struct fixture *f)
{
    struct store_generation *list = NULL;
    struct err e = {0};
    char gen[160];
    size_t n = 0;

    store_close(f->s);
    f->s = fixture_open(f, true, &e);
    f->epoch = fixture_take(f->s);
    CHECK_INT(store_list(f->s, &list, &n, &e), 0);
    CHECK(n > 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(
            store_verify(f->s, list[i].generation, STORE_FULL, NULL, NULL, NULL, &e),
            0);
        CHECK_STR(e.text, "");
    }
    snprintf(gen, sizeof(gen), "%s/gen", f->job);
    CHECK_INT(fixture_entries(gen), n);
    free(list);
}

static void a_death_at_any_point_leaves_the_previous_generation(void)
{
    for (int i = 0; i < N_POINTS; i++) {
        struct fixture f = fixture_make();
        struct err e = {0};
        int status;

        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        status = publish_in_child(&f, points[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_whole(&f);
        CHECK_STR(fixture_list(f.s), i < 3 ? "1 2" : i == 3 ? "1 2 3" : "2 3");
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        CHECK_STR(fixture_list(f.s), i < 3 ? "2 3" : "3 4");
        fixture_drop(&f);
    }
}

static void a_failure_at_any_point_leaves_older_generations_as_they_were(void)
{
    for (int i = 0; i < N_POINTS; i++) {
        struct fixture f = fixture_make();
        bool prune = i == N_POINTS - 1;
        struct err e = {0};

        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        ask_fault(points[i], ":fail");
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), prune ? 0 : -1);
        if (!prune) {
            CHECK_INT(e.sys, ENOSPC);
            CHECK_HAS(e.text, points[i]);
        }
        unsetenv("QCKPT_FAULT");
        check_whole(&f);
        CHECK_STR(fixture_list(f.s), prune ? "2 3" : "1 2");
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        fixture_drop(&f);
    }
}

static void a_death_at_any_moment_leaves_only_whole_generations(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    unsigned seed = 20261122;

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    for (int i = 0; i < KILLS; i++) {
        struct timespec wait = {.tv_nsec = rand_r(&seed) % 4000000};
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0)
            for (;;)
                fixture_publish(f.s, f.epoch, NULL, &e);
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        check_whole(&f);
    }
    fixture_drop(&f);
}

static void a_removal_cut_short_leaves_a_usable_or_an_empty_store(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    int status = -1;
    pid_t pid;

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_done_write(f.s, f.epoch, 5, &e), 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        ask_fault("store.prune", "");
        _exit(store_remove(f.s, f.epoch, &e));
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status));
    check_whole(&f);
    CHECK_STR(fixture_list(f.s), "2");
    CHECK_INT(store_done_read(f.s, &status, NULL, &e), 0);
    CHECK_INT(status, 5);
    CHECK_INT(store_remove(f.s, f.epoch, &e), 0);
    fixture_drop(&f);
}

/* ---- a file system that is full ---- */

/* A file that takes all the space there is. */
static void fill(int dirfd)
{
    char block[4096] = "x";
    int fd = openat(dirfd, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    while (write(fd, block, sizeof(block)) > 0)
        ;
    CHECK_INT(errno, ENOSPC);
    close(fd);
}

static void check_unchanged(struct fixture *f)
{
    struct err e = {0};
    char gen[160];

    CHECK_STR(fixture_list(f->s), "1");
    CHECK_INT(store_verify(f->s, 1, STORE_FULL, NULL, NULL, NULL, &e), 0);
    snprintf(gen, sizeof(gen), "%s/gen", f->job);
    CHECK_INT(fixture_entries(gen), 1);
}

static void run_full(struct fixture *f)
{
    struct store_meta meta = fixture_meta();
    struct err e = {0};
    struct store_stage *stage;
    int status;

    /* In the engine's hands. */
    stage = store_stage_begin(f->s, f->epoch, &e);
    CHECK_INT(fixture_write(store_stage_dirfd(stage), "pages", 8 << 20, 'p', &e), -1);
    CHECK_INT(e.sys, ENOSPC);
    CHECK_HAS(e.text, "pages: write: No space left on device");
    store_stage_abandon(stage);
    check_unchanged(f);
    /* When everything but the manifest is written. */
    stage = store_stage_begin(f->s, f->epoch, &e);
    CHECK_INT(fixture_write(store_stage_dirfd(stage), "pages", 9000, 'p', &e), 0);
    fill(f->dir.fd);
    CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
    CHECK_INT(e.sys, ENOSPC);
    CHECK_HAS(e.text, "generation 2: manifest.json");
    fill(f->dir.fd);
    CHECK_INT(store_done_write(f->s, f->epoch, 0, &e), -1);
    CHECK_INT(e.sys, ENOSPC);
    CHECK_HAS(e.text, "done.json");
    CHECK_INT(store_done_read(f->s, &status, NULL, &e), -1);
    store_log(f->s, LOG_INFO, "supervisor", 1, "checkpoint-failed", NULL, "full");
    check_unchanged(f);
    /* Space again. */
    CHECK_INT(unlinkat(f->dir.fd, "ballast", 0), 0);
    CHECK_INT(fixture_publish(f->s, f->epoch, NULL, &e), 0);
    CHECK_INT(store_done_write(f->s, f->epoch, 0, &e), 0);
    CHECK_STR(fixture_list(f->s), "1 2");
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return done;
}

/* A tmpfs of 1 MiB on /tmp, for this process only. */
static bool small_tmp(void)
{
    char uid[64], gid[64];

    snprintf(uid, sizeof(uid), "0 %u 1", geteuid());
    snprintf(gid, sizeof(gid), "0 %u 1", getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", uid) &&
           write_text("/proc/self/gid_map", gid) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/tmp", "tmpfs", 0, "size=1m,mode=1777") == 0;
}

static void a_full_file_system_leaves_the_previous_generation(void)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct fixture f;
        struct err e = {0};

        if (!small_tmp())
            _exit(77);
        f = fixture_make();
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
        run_full(&f);
        fixture_drop(&f);
        fflush(stdout);
        _exit(tap_test_failed);
    }
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("no user namespaces, so no small file system");
    CHECK_INT(status, 0);
}

int main(void)
{
    RUN(a_death_at_any_point_leaves_the_previous_generation);
    RUN(a_failure_at_any_point_leaves_older_generations_as_they_were);
    RUN(a_death_at_any_moment_leaves_only_whole_generations);
    RUN(a_removal_cut_short_leaves_a_usable_or_an_empty_store);
    RUN(a_full_file_system_leaves_the_previous_generation);
    return tap_done();
}
