/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/images.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "scratch.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASH "ckpt_bash_98ff-40000-e8d874bc27a"
#define ODD "ckpt_a b_c.temp_98ff-41000-e8d89e2bfcf"

static struct scratch scratch;
static char image[4096];

/* The start of one that DMTCP has written. */
static void load_image(const char *name)
{
    auto_free char *start = NULL;
    char path[512];
    size_t size = 0;
    struct err e = {0};

    snprintf(path, sizeof(path), "%s/dmtcp/%s.bin", GOLDEN, name);
    CHECK_INT(io_read_file(AT_FDCWD, path, sizeof(image), &start, &size, &e), 0);
    memset(image, 0, sizeof(image));
    if (start)
        memcpy(image, start, size);
}

static void put(int dirfd, const char *name, const void *data, size_t size)
{
    struct err e = {0};

    CHECK_INT(io_create_file(dirfd, name, data, size, &e), 0);
}

static int directory(int at, const char *name)
{
    int fd;

    CHECK_INT(mkdirat(at, name, 0700), 0);
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* One of its own for each use. */
static int scratch_dir(void)
{
    static int n;
    char name[16];

    snprintf(name, sizeof(name), "%d", n++);
    return directory(scratch.fd, name);
}

static void both_formats_are_taken(void)
{
    static const char *const starts[] = {"image-start-3.2", "image-start-4.2"};

    for (int i = 0; i < 2; i++) {
        auto_images struct images set = {0};
        auto_fd int top = scratch_dir();
        struct err e = {0};

        load_image(starts[i]);
        put(top, BASH ".dmtcp.temp", image, sizeof(image));
        CHECK_INT(images_list(top, &set, &e), 0);
        CHECK_STR(e.text, "");
        CHECK_INT(set.n, 1);
        CHECK_STR(set.n ? set.image[0].unique : "", "98ff-40000-e8d874bc27a");
        CHECK_INT(images_growth(top), sizeof(image));
    }
}

static void a_set_goes_into_a_generation_and_out_again(void)
{
    auto_images struct images set = {0};
    auto_fd int top = scratch_dir(), from = directory(top, "from");
    auto_fd int stage = directory(top, "stage"), out = directory(top, "out");
    auto_fd int saved = directory(from, ODD "_files");
    auto_free char *text = NULL;
    char target[256] = "";
    struct stat a, b;
    struct err e = {0};

    load_image("image-start-4.2");
    put(from, BASH ".dmtcp.temp", image, sizeof(image));
    put(from, ODD ".dmtcp.temp", image, 100);
    put(from, "dmtcp_restart_script.sh", "no", 2);
    put(saved, "fd-info.txt", "info", 4);
    CHECK_INT(images_list(from, &set, &e), 0);
    CHECK_INT(set.n, 2);
    if (set.n != 2)
        return;
    CHECK_STR(set.image[0].name, ODD ".dmtcp");
    CHECK_STR(set.image[1].name, BASH ".dmtcp");
    CHECK_INT(set.image[0].n_saved, 1);
    CHECK_INT(images_link(from, &set, stage, &e), 0);
    CHECK_INT(fstatat(from, BASH ".dmtcp.temp", &a, 0), 0);
    CHECK_INT(fstatat(stage, "ckpt_0002.dmtcp", &b, 0), 0);
    CHECK_INT(a.st_ino, b.st_ino);

    CHECK_INT(images_lay_out(&set, "/gen", out, &e), 0);
    CHECK(readlinkat(out, ODD ".dmtcp", target, sizeof(target) - 1) > 0);
    CHECK_STR(target, "/gen/ckpt_0001.dmtcp");
    CHECK_INT(images_copy_saved(&set, stage, out, &e), 0);
    CHECK_INT(io_read_file(out, ODD "_files/fd-info.txt", 100, &text, NULL, &e), 0);
    CHECK_STR(text, "info");
}

static void fails(int dirfd, const char *part)
{
    struct images set = {0};
    struct err e = {0};

    CHECK_INT(images_list(dirfd, &set, &e), -1);
    CHECK_HAS(e.text, part);
    CHECK(set.image == NULL);
}

static void what_is_no_image_is_refused(void)
{
    auto_fd int torn = scratch_dir(), wrong = scratch_dir(), link = scratch_dir();
    auto_fd int name = scratch_dir(), left = scratch_dir(), deep = scratch_dir();
    auto_fd int files = -1, below = -1, lost = -1;

    load_image("image-start-4.2");
    put(torn, BASH ".dmtcp.temp", image, 10);
    fails(torn, BASH ".dmtcp.temp");
    put(wrong, BASH ".dmtcp.temp", "DMTCP_CHECKPOINT_image_v4.0.....", 32);
    fails(wrong, "does not begin as an image");
    CHECK_INT(symlinkat("/etc/passwd", link, BASH ".dmtcp.temp"), 0);
    fails(link, BASH ".dmtcp.temp");
    put(name, "ckpt_bash_.dmtcp.temp", image, sizeof(image));
    fails(name, "is not named as an image");
    lost = directory(left, BASH "_files");
    fails(left, "but not the process");
    put(deep, BASH ".dmtcp.temp", image, sizeof(image));
    files = directory(deep, BASH "_files");
    below = directory(files, "below");
    fails(deep, "below is no plain file");
}

int main(void)
{
    scratch = scratch_make();
    RUN(both_formats_are_taken);
    RUN(a_set_goes_into_a_generation_and_out_again);
    RUN(what_is_no_image_is_refused);
    scratch_drop(&scratch);
    return tap_done();
}
