/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each test runs in namespaces of its own, as pid 1 of a restart does. */
#include "native/restore/carry.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/native.h"
#include "native/restore/namespaces.h"
#include "place/place.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];

static const char *at(const char *name)
{
    static char path[4][256];
    static int next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "%s/%s", base, name);
    return path[next];
}

static void put(const char *name, const char *text)
{
    int fd = open(at(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static const char *get(const char *name)
{
    static char text[256];
    int fd = open(at(name), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? "(none)" : text;
}

static void carry(struct image *img, const char *name, unsigned mode, const char *text)
{
    struct image_carried *c = IMAGE_APPEND(img, carried);

    c->path = strdup(at(name));
    c->mode = mode;
    c->mtime_ns = 1234567890123456789;
    c->content = (struct image_blob){strdup(text), strlen(text)};
}

static void make_tree(void)
{
    strcpy(base, "/tmp/qckpt-carry-XXXXXX");
    CHECK(mkdtemp(base) != NULL);
    CHECK(mkdir(at("closed"), 0755) == 0 && mkdir(at("closed/sub"), 0755) == 0);
    put("closed/there", "there");
    put("closed/sub/below", "below");
    put("closed/output", "what the job writes");
    CHECK(symlink("there", at("closed/link")) == 0);
    put("mine", "newer and longer");
    CHECK(mkdir(at("now"), 0700) == 0);
}

static void remove_tree(void)
{
    struct err ignored = {0};

    io_remove_tree(AT_FDCWD, base, &ignored);
}

/* In pid 1: nothing can be made below `closed`. */
static void close_directory(void)
{
    CHECK(mount(at("closed"), at("closed"), NULL, MS_BIND, NULL) == 0);
    CHECK(mount(NULL, at("closed"), NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
}

static void run_in_namespaces(void (*test)(void))
{
    struct namespaces ns;
    struct err e = {0};
    int status = 0;
    pid_t pid;

    make_tree();
    namespaces_prepare(&ns);
    fflush(stdout);
    pid = namespaces_clone(&ns, &e);
    if (pid == 0) {
        if (namespaces_enter(&ns, &e) < 0)
            _exit(77);
        close_directory();
        test();
        fflush(stdout);
        _exit(tap_test_failed);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (pid < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 77))
        tap_skip_reason = "no namespaces here";
    else
        CHECK_INT(status, 0);
}

static void in_a_closed_directory(void)
{
    const struct native_restart how = {0};
    auto_image struct image *img = image_new(&(struct err){0});
    struct err e = {0};
    struct stat st;

    carry(img, "closed/gone/deep/script", S_IFREG | 0755, "echo hello");
    carry(img, "closed/there", S_IFREG | 0644, "as it was");
    carry(img, "closed/output", S_IFREG | 0644, "shorter");
    *IMAGE_APPEND(img, files) =
        (struct image_file){.kind = IMAGE_FILE_REGULAR,
                            .flags = O_RDWR,
                            .path = strdup(at("closed/output"))};
    CHECK_INT(carry_put_back(img, &how, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_STR(get("closed/gone/deep/script"), "echo hello");
    CHECK(stat(at("closed/gone/deep/script"), &st) == 0);
    CHECK_INT(st.st_mode & 0777, 0755);
    CHECK_INT(st.st_mtim.tv_sec, 1234567890);
    CHECK_STR(get("closed/there"), "as it was");
    CHECK_STR(get("closed/link"), "as it was");
    CHECK_STR(get("closed/output"), "what the job writes");
    CHECK_STR(get("closed/sub/below"), "below");
}

static void missing_files_appear_where_nothing_can_be_made(void)
{
    run_in_namespaces(in_a_closed_directory);
    CHECK_STR(get("closed/gone/deep/script"), "(none)");
    CHECK_STR(get("closed/there"), "there");
    remove_tree();
}

static void in_a_writable_directory(void)
{
    const struct native_restart how = {0};
    auto_image struct image *img = image_new(&(struct err){0});
    struct err e = {0};

    carry(img, "mine", S_IFREG | 0644, "older");
    carry(img, "a/b/c", S_IFREG | 0644, "made");
    CHECK_INT(carry_put_back(img, &how, &e), 0);
    put("a/b/output", "must reach the disk");
    CHECK_STR(get("mine"), "newer and longer");
}

static void what_the_job_can_write_is_never_covered(void)
{
    run_in_namespaces(in_a_writable_directory);
    CHECK_STR(get("mine"), "newer and longer");
    if (!tap_skip_reason) {
        CHECK_STR(get("a/b/c"), "made");
        CHECK_STR(get("a/b/output"), "must reach the disk");
    }
    remove_tree();
}

static void with_a_failure(void)
{
    const struct native_restart how = {0};
    auto_image struct image *img = image_new(&(struct err){0});
    struct err e = {0};

    carry(img, "a/b/c", S_IFREG | 0644, "made");
    CHECK_INT(carry_put_back(img, &how, &e), 0);
    CHECK_STR(get("a/b/c"), "made");
    place_undo();
}

static void a_failed_restart_leaves_nothing_behind(void)
{
    run_in_namespaces(with_a_failure);
    CHECK(access(at("a"), F_OK) < 0);
    remove_tree();
}

static void with_a_new_tmpdir(void)
{
    char now[128];
    const struct native_restart how = {.tmpdir = now};
    auto_image struct image *img = image_new(&(struct err){0});
    struct err e = {0};

    snprintf(now, sizeof(now), "%s", at("now"));
    img->tmpdir = strdup(at("old"));
    carry(img, "old/dir", S_IFDIR | 0750, "");
    carry(img, "old/dir/file", S_IFREG | 0600, "scratch");
    carry(img, "old/dir/link", S_IFLNK | 0777, "file");
    CHECK_INT(carry_put_back(img, &how, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_STR(get("old/dir/link"), "scratch");
    put("old/more", "more");
}

static void the_old_tmpdir_is_the_new_one(void)
{
    run_in_namespaces(with_a_new_tmpdir);
    if (!tap_skip_reason) {
        CHECK_STR(get("now/dir/file"), "scratch");
        CHECK_STR(get("now/more"), "more");
    }
    remove_tree();
}

int main(void)
{
    RUN(missing_files_appear_where_nothing_can_be_made);
    RUN(what_the_job_can_write_is_never_covered);
    RUN(a_failed_restart_leaves_nothing_behind);
    RUN(the_old_tmpdir_is_the_new_one);
    return tap_done();
}
