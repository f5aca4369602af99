/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/io.h"

#include "base/err.h"
#include "base/scope.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int scratch(void)
{
    char path[] = "/tmp/qckpt-io-XXXXXX";
    int fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    return fd;
}

static void drop(int dir)
{
    char link[64], path[256] = {0};
    struct err e;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    if (readlink(link, path, sizeof(path) - 1) > 0)
        io_remove_tree(AT_FDCWD, path, &e);
    close(dir);
}

static void a_file_is_created_once(void)
{
    struct err e = {0};
    int dir = scratch();
    auto_free char *back = NULL;
    size_t size = 0;

    CHECK_INT(io_create_file(dir, "a", "hello", 5, &e), 0);
    CHECK_INT(io_create_file(dir, "a", "other", 5, &e), -1);
    CHECK_INT(e.sys, EEXIST);
    CHECK_STR(e.text, "create a: File exists");
    CHECK_INT(io_read_file(dir, "a", 100, &back, &size, &e), 0);
    CHECK_STR(back, "hello");
    CHECK_INT(size, 5);
    drop(dir);
}

static void a_symbolic_link_is_not_read(void)
{
    struct err e = {0};
    int dir = scratch();
    char *back = NULL;

    CHECK_INT(symlinkat("/etc/passwd", dir, "link"), 0);
    CHECK_INT(io_read_file(dir, "link", 1 << 20, &back, NULL, &e), -1);
    CHECK_INT(e.sys, ELOOP);
    CHECK(back == NULL);
    drop(dir);
}

static void a_file_longer_than_allowed_is_refused(void)
{
    struct err e = {0};
    int dir = scratch();
    char *back = NULL;

    CHECK_INT(io_create_file(dir, "a", "0123456789", 10, &e), 0);
    CHECK_INT(io_read_file(dir, "a", 9, &back, NULL, &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    drop(dir);
}

static void removing_a_tree_does_not_follow_links(void)
{
    struct err e = {0};
    int dir = scratch();

    CHECK_INT(mkdirat(dir, "keep", 0700), 0);
    CHECK_INT(mkdirat(dir, "gone", 0700), 0);
    CHECK_INT(io_create_file(dir, "keep/file", "x", 1, &e), 0);
    CHECK_INT(symlinkat("../keep", dir, "gone/link"), 0);
    CHECK_INT(io_remove_tree(dir, "gone", &e), 0);
    CHECK_INT(faccessat(dir, "keep/file", F_OK, 0), 0);
    CHECK_INT(faccessat(dir, "gone", F_OK, 0), -1);
    CHECK_INT(io_remove_tree(dir, "never-there", &e), 0);
    drop(dir);
}

static void a_short_file_says_how_much_is_missing(void)
{
    struct err e = {0};
    int dir = scratch();
    auto_fd int fd = -1;
    char buf[10];

    CHECK_INT(io_create_file(dir, "a", "abc", 3, &e), 0);
    fd = openat(dir, "a", O_RDONLY);
    CHECK_INT(io_pread_exact(fd, buf, 10, 0, &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    CHECK_HAS(e.text, "7 bytes too early");
    drop(dir);
}

int main(void)
{
    RUN(a_file_is_created_once);
    RUN(a_symbolic_link_is_not_read);
    RUN(a_file_longer_than_allowed_is_refused);
    RUN(removing_a_tree_does_not_follow_links);
    RUN(a_short_file_says_how_much_is_missing);
    return tap_done();
}
