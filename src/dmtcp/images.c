/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/images.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "base/str.h"
#include "dmtcp/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GZIP_TIMEOUT_MS = 3600 * 1000, GZIP_OUTPUT_MAX = 64 << 10 };

static const char prefix[] = "ckpt_", suffix[] = ".dmtcp", temp[] = ".dmtcp.temp",
                  files[] = "_files";

void images_free(struct images *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->image[i].saved);
    free(set->image);
    *set = (struct images){0};
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static DIR *open_list(int dirfd, const char *name, struct err *e)
{
    auto_fd int fd =
        openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        err_sys(e, "list %s", name);
        return NULL;
    }
    fd = -1;
    return dir;
}

/* ---- one image ---- */

/* The first bytes of an image: DMTCP's, with the version of its format behind them, or
 * gzip's. */
static int check_start(int fd, const char *name, struct err *e)
{
    static const char magic[] = "DMTCP_CHECKPOINT_IMAGE_v";
    static const char gzip[] = "\x1f\x8b\x08";
    char start[sizeof(magic) - 1];

    if (io_pread_exact(fd, start, sizeof(start), 0, e) < 0)
        return err_wrap(e, "%s", name);
    if (memcmp(start, magic, sizeof(magic) - 1) != 0 &&
        memcmp(start, gzip, sizeof(gzip) - 1) != 0)
        return err_set(e, ERR_FAILED, "%s does not begin as an image of DMTCP does",
                       name);
    return 0;
}

/* "ckpt_PROGRAM_UNIQUE": the part behind the last '_'. */
static int take_unique(const char *name, struct image *image, struct err *e)
{
    size_t length = strlen(image->name) - (sizeof(suffix) - 1);
    size_t at = length;

    while (at > 0 && image->name[at - 1] != '_')
        at--;
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || at == 0 || at == length ||
        length - at >= sizeof(image->unique) ||
        strspn(image->name + at, "0123456789abcdef-") < length - at)
        return err_set(e, ERR_FAILED, "%s is not named as an image of DMTCP is", name);
    snprintf(image->unique, sizeof(image->unique), "%.*s", (int)(length - at),
             image->name + at);
    return 0;
}

static int look_at(int dirfd, const char *name, struct image *image, struct err *e)
{
    auto_fd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "%s", name);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return err_set(e, ERR_UNSAFE, "%s is not a file of this user", name);
    snprintf(image->name, sizeof(image->name), "%.*s",
             (int)(strlen(name) - strlen(temp) + strlen(suffix)), name);
    image->size_bytes = st.st_size;
    return take_unique(name, image, e) < 0 ? -1 : check_start(fd, name, e);
}

/* ---- what belongs to it ---- */

static int add_saved(struct image *image, const char *name, struct err *e)
{
    struct image_saved *more =
        realloc(image->saved, (image->n_saved + 1) * sizeof(*image->saved));

    if (!more)
        return err_sys(e, "%s", name);
    image->saved = more;
    more += image->n_saved++;
    *more = (struct image_saved){0};
    snprintf(more->name, sizeof(more->name), "%s", name);
    return 0;
}

/* The name of its directory, "X_files" for X.dmtcp. */
static int saved_directory(const struct image *image, char *out, size_t size,
                           struct err *e)
{
    return str_format(out, size, e, "%.*s%s",
                      (int)(strlen(image->name) - strlen(suffix)), image->name, files);
}

static int list_saved(int images, struct image *image, struct err *e)
{
    char name[NAME_MAX + 16];
    auto_dir DIR *dir = NULL;
    struct dirent *entry;
    struct stat st;

    if (saved_directory(image, name, sizeof(name), e) < 0)
        return -1;
    if (fstatat(images, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(e, "%s", name);
    dir = open_list(images, name, e);
    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return err_sys(e, "%s/%s", name, entry->d_name);
        if (!S_ISREG(st.st_mode))
            return err_set(e, ERR_FAILED,
                           "%s/%s is no plain file, which DMTCP is not known to save",
                           name, entry->d_name);
        if (add_saved(image, entry->d_name, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- the set ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct image *)a)->name, ((const struct image *)b)->name);
}

static int add_image(struct images *set, int dirfd, const char *name, struct err *e)
{
    struct image *more = realloc(set->image, (set->n + 1) * sizeof(*set->image));

    if (!more)
        return err_sys(e, "%s", name);
    set->image = more;
    more += set->n++;
    *more = (struct image){0};
    return look_at(dirfd, name, more, e) < 0 ? -1 : list_saved(dirfd, more, e);
}

static int name_files(struct images *set, struct err *e)
{
    for (size_t i = 0; i < set->n; i++) {
        struct image *image = &set->image[i];

        if (str_format(image->file, sizeof(image->file), e, "ckpt_%04zu.dmtcp", i + 1) <
            0)
            return -1;
        for (size_t k = 0; k < image->n_saved; k++)
            if (str_format(image->saved[k].file, sizeof(image->saved[k].file), e,
                           "ckpt_%04zu.file%zu", i + 1, k + 1) < 0)
                return -1;
    }
    return 0;
}

static size_t count_saved(const struct images *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++)
        n += set->image[i].n_saved > 0;
    return n;
}

int images_list(int dirfd, struct images *out, struct err *e)
{
    auto_images struct images set = {0};
    auto_dir DIR *dir = open_list(dirfd, ".", e);
    size_t directories = 0;
    struct dirent *entry;

    if (!dir)
        return -1;
    while ((entry = readdir(dir))) {
        if (ends_with(entry->d_name, temp) &&
            add_image(&set, dirfd, entry->d_name, e) < 0)
            return -1;
        directories += ends_with(entry->d_name, files);
    }
    if (directories > count_saved(&set))
        return err_set(e, ERR_FAILED,
                       "DMTCP has saved files of a process, but not the process");
    if (set.n > 0)
        qsort(set.image, set.n, sizeof(*set.image), by_name);
    if (name_files(&set, e) < 0)
        return -1;
    *out = set;
    set = (struct images){0};
    return 0;
}

uint64_t images_growth(int dirfd)
{
    struct err ignored = {0};
    auto_dir DIR *dir = open_list(dirfd, ".", &ignored);
    struct dirent *entry;
    uint64_t bytes = 0;
    struct stat st;

    while (dir && (entry = readdir(dir)))
        if (ends_with(entry->d_name, temp) &&
            fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += st.st_size;
    return bytes;
}

/* ---- into a generation ---- */

static int link_saved(int dirfd, const struct image *image, int stage, struct err *e)
{
    char name[NAME_MAX + 16];
    auto_fd int from = -1;

    if (image->n_saved == 0)
        return 0;
    if (saved_directory(image, name, sizeof(name), e) < 0)
        return -1;
    from = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return err_sys(e, "%s", name);
    for (size_t k = 0; k < image->n_saved; k++)
        if (linkat(from, image->saved[k].name, stage, image->saved[k].file, 0) < 0)
            return err_sys(e, "link %s/%s", name, image->saved[k].name);
    return 0;
}

int images_link(int dirfd, const struct images *set, int stage, struct err *e)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct image *image = &set->image[i];
        char name[NAME_MAX + 16];

        if (str_format(name, sizeof(name), e, "%s.temp", image->name) < 0)
            return -1;
        if (linkat(dirfd, name, stage, image->file, 0) < 0)
            return err_sys(e, "link %s", name);
        if (link_saved(dirfd, image, stage, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- compressed ones ---- */

/* gzip has it open as its standard output. */
static bool writes_below(pid_t pid, const char *directory)
{
    char path[64], target[PATH_MAX];
    size_t length = strlen(directory);
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/fd/1", pid);
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return false;
    target[n] = '\0';
    return strncmp(target, directory, length) == 0 && target[length] == '/';
}

bool images_is_written(const char *directory, const struct processes *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (writes_below(all->process[i].pid, directory))
            return true;
    return false;
}

int images_test_compressed(int dirfd, const char *name, struct err *e)
{
    char path[64 + NAME_MAX];
    char *argv[] = {"gzip", "-t", "-q", path, NULL};
    struct spawn_how how = {.path = "/bin/gzip",
                            .argv = argv,
                            .timeout_ms = GZIP_TIMEOUT_MS,
                            .max_size = GZIP_OUTPUT_MAX};
    auto_spawn_output struct spawn_output output = {0};

    if (str_format(path, sizeof(path), e, "/proc/%d/fd/%d/%s", getpid(), dirfd, name) <
            0 ||
        spawn_run(&how, &output, e) < 0)
        return -1;
    if (WIFEXITED(output.status) && WEXITSTATUS(output.status) == 0)
        return 0;
    return err_set(e, ERR_FAILED, "%s is not whole: %.200s", name, output.err);
}

/* ---- out of a generation ---- */

int images_lay_out(const struct images *set, const char *from, int dirfd, struct err *e)
{
    for (size_t i = 0; i < set->n; i++) {
        char target[PATH_MAX];

        if (str_format(target, sizeof(target), e, "%s/%s", from, set->image[i].file) <
            0)
            return -1;
        if (symlinkat(target, dirfd, set->image[i].name) < 0)
            return err_sys(e, "link %s", set->image[i].name);
    }
    return 0;
}

static int copy_file(int from, const char *file, int to, const char *name,
                     struct err *e)
{
    auto_fd int in = openat(from, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    auto_fd int out = -1;
    char buffer[64 << 10];
    ssize_t n;

    if (in < 0)
        return err_sys(e, "%s", file);
    out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return err_sys(e, "create %s", name);
    while ((n = read(in, buffer, sizeof(buffer))) > 0)
        if (io_write_all(out, buffer, n, e) < 0)
            return err_wrap(e, "%s", name);
    if (n < 0)
        return err_sys(e, "read %s", file);
    return io_close(&out, e);
}

int images_copy_saved(const struct images *set, int generation, int dirfd,
                      struct err *e)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct image *image = &set->image[i];
        char name[NAME_MAX + 16];
        auto_fd int to = -1;

        if (image->n_saved == 0)
            continue;
        if (saved_directory(image, name, sizeof(name), e) < 0)
            return -1;
        if (mkdirat(dirfd, name, 0700) < 0)
            return err_sys(e, "make %s", name);
        to = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
            return err_sys(e, "%s", name);
        for (size_t k = 0; k < image->n_saved; k++)
            if (copy_file(generation, image->saved[k].file, to, image->saved[k].name,
                          e) < 0)
                return -1;
    }
    return 0;
}
