/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place/cover.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "place/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- directories ---- */

/* Makes an entry of the same kind in the covering directory for something to be bound
 * on. */
static int make_place(int new_dir, const char *name, const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return mkdirat(new_dir, name, 0755);
    int fd = openat(new_dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

    return fd < 0 ? -1 : close(fd);
}

static int bind_back(int old_dir, int new_dir, const char *name, struct err *e)
{
    char from[64 + NAME_MAX], to[64 + NAME_MAX], target[PATH_MAX];
    struct stat st;
    ssize_t n;

    if (fstatat(old_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(e, "%s", name);
    if (S_ISLNK(st.st_mode)) {
        n = readlinkat(old_dir, name, target, sizeof(target) - 1);
        if (n < 0)
            return err_sys(e, "read link %s", name);
        target[n] = '\0';
        return symlinkat(target, new_dir, name) < 0 ? err_sys(e, "link %s", name) : 0;
    }
    if (make_place(new_dir, name, &st) < 0)
        return err_sys(e, "make %s", name);
    snprintf(from, sizeof(from), "/proc/self/fd/%d/%s", old_dir, name);
    snprintf(to, sizeof(to), "/proc/self/fd/%d/%s", new_dir, name);
    /* What is mounted below must come along: the kernel does not let an unprivileged
     * namespace uncover it (mount_namespaces(7)). */
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
        return err_sys(e, "bind %s", name);
    return 0;
}

static int bind_all(int old_dir, int new_dir, struct err *e)
{
    int copy = openat(old_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir)
        return err_sys(e, "list it");
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (bind_back(old_dir, new_dir, entry->d_name, e) < 0)
            return -1;
    }
    return 0;
}

/* Directories whose entries come and go by themselves, or that cannot be covered. */
static int check_coverable(int dir, const char *path, struct err *e)
{
    struct statfs fs;

    if (strcmp(path, "/") == 0 || fstatfs(dir, &fs) < 0 ||
        fs.f_type == AUTOFS_SUPER_MAGIC || fs.f_type == PROC_SUPER_MAGIC ||
        fs.f_type == SYSFS_MAGIC)
        return err_set(e, ERR_REFUSED,
                       "nothing can be put into %s here: make the directory that the "
                       "job had there",
                       path);
    return 0;
}

int cover_directory(const char *path, struct err *e)
{
    auto_fd int old_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd int new_dir = -1;
    char options[32];
    struct stat st;

    if (old_dir < 0 || fstat(old_dir, &st) < 0)
        return err_sys(e, "open %s", path);
    if (check_coverable(old_dir, path, e) < 0)
        return -1;
    snprintf(options, sizeof(options), "mode=%o", st.st_mode & 07777);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return err_sys(e, "mount a tmpfs on %s", path);
    new_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (new_dir < 0)
        return err_sys(e, "open %s", path);
    if (bind_all(old_dir, new_dir, e) < 0)
        return err_wrap(e, "cover %s", path);
    return 0;
}

/* ---- files ---- */

/* A directory that every /proc has and nobody looks at: a tmpfs is mounted there for
 * the moment in which its only file is bound elsewhere. */
static const char staging[] = "/proc/fs";

static int fill(int fd, const struct place_file *file, struct err *e)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = file->mtime_ns / 1000000000,
                                       .tv_nsec = file->mtime_ns % 1000000000}};

    if (io_write_all(fd, file->data, file->size, e) < 0)
        return -1;
    if (fchmod(fd, file->mode & 0777) < 0 || futimens(fd, times) < 0)
        return err_sys(e, "set mode and time");
    return 0;
}

static int stage(const struct place_file *file, struct err *e)
{
    char path[sizeof(staging) + sizeof("/file")];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), "%s/file", staging);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, "create %s", path);
    if (fill(fd, file, e) < 0)
        return err_wrap(e, "%s", path);
    close(take_fd(&fd));
    fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open %s", path) : take_fd(&fd);
}

int cover_file(const struct place_file *file, struct err *e)
{
    char from[64];
    int fd, rc = 0;

    if (mount("tmpfs", staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
        return err_sys(e, "mount a tmpfs on %s", staging);
    fd = stage(file, e);
    if (fd >= 0) {
        snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
        if (mount(from, file->path, NULL, MS_BIND, NULL) < 0)
            rc = err_sys(e, "bind the saved copy over %s", file->path);
        close(fd);
    }
    if (umount2(staging, MNT_DETACH) < 0 && fd >= 0 && rc == 0)
        return err_sys(e, "unmount %s", staging);
    return fd < 0 ? -1 : rc;
}
