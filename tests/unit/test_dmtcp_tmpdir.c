/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/tmpdir.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 8, ROUNDS = 50 };

static bool make(const char *name, char path[PATH_MAX])
{
    struct err e = {0};
    bool is_taken_over;
    int fd = name ? tmpdir_make_at(name, &is_taken_over, &e) : tmpdir_make(path, &e);

    if (name)
        snprintf(path, PATH_MAX, "%s", name);
    if (fd < 0)
        printf("# %s\n", e.text);
    else if (access(path, F_OK) < 0)
        printf("# %s is locked and not there\n", path);
    else if (io_remove_tree(AT_FDCWD, path, &e) == 0) {
        close(fd);
        return true;
    }
    return false;
}

/* Each looks for what others have left behind, and removes it. */
static _Noreturn void be_run(int number, bool at)
{
    char name[64], path[PATH_MAX];
    int failed = 0;

    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "/tmp/qckpt-dmtcp-test-%d-%d-%d", getpid(), number,
                 i);
        failed += !make(at ? name : NULL, path);
    }
    fflush(stdout);
    _exit(failed > 0);
}

static void check_all_begin(bool at)
{
    pid_t runs[RUNS];
    int status;

    fflush(stdout);
    for (int i = 0; i < RUNS; i++) {
        runs[i] = fork();
        if (runs[i] == 0)
            be_run(i, at);
    }
    for (int i = 0; i < RUNS; i++) {
        CHECK(waitpid(runs[i], &status, 0) == runs[i]);
        CHECK_INT(status, 0);
    }
}

static void runs_that_begin_at_once_all_have_their_directory(void)
{
    check_all_begin(false);
}

static void so_have_those_that_are_told_its_name(void)
{
    check_all_begin(true);
}

int main(void)
{
    RUN(runs_that_begin_at_once_all_have_their_directory);
    RUN(so_have_those_that_are_told_its_name);
    return tap_done();
}
