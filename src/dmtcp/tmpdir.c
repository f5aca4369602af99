/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/tmpdir.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char TMP_NAME[] = "qckpt-dmtcp-";

enum { TRIES = 1000 };

/* Not when it was opened before another swept it away and a third made it again: what
 * is locked then is not what has the name. */
static bool has_name(const struct stat *opened, const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && st.st_dev == opened->st_dev &&
           st.st_ino == opened->st_ino;
}

/* -1: it is somebody else's, or in use. */
static int lock_alone(const char *path)
{
    auto_fd int fd =
        openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ||
        !has_name(&st, path))
        return -1;
    return take_fd(&fd);
}

static void sweep(const char *path)
{
    struct err ignored = {0};
    auto_fd int fd = lock_alone(path);

    if (fd >= 0)
        io_remove_tree(AT_FDCWD, path, &ignored);
}

static void sweep_all(void)
{
    auto_dir DIR *dir = opendir("/tmp");
    struct dirent *entry;
    char path[NAME_MAX + 16];

    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, TMP_NAME, sizeof(TMP_NAME) - 1) != 0)
            continue;
        snprintf(path, sizeof(path), "/tmp/%s", entry->d_name);
        sweep(path);
    }
}

static int lock(const char *path, struct err *e)
{
    auto_fd int fd =
        openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_SH) < 0 || access(path, F_OK) < 0)
        return err_sys(e, "lock %s", path);
    return take_fd(&fd);
}

/* Between making and locking it another run that begins may have swept it away: as many
 * as begin at once can do so, each of them once. */
static bool was_swept(const struct err *e, int *tries)
{
    return e->kind == ERR_SYS && e->sys == ENOENT && --*tries > 0;
}

int tmpdir_make(char path[PATH_MAX], struct err *e)
{
    int fd, tries = TRIES;

    sweep_all();
    do {
        snprintf(path, PATH_MAX, "/tmp/%sXXXXXX", TMP_NAME);
        if (!mkdtemp(path)) {
            path[0] = '\0';
            return err_sys(e, "make a directory in /tmp");
        }
        fd = lock(path, e);
    } while (fd < 0 && was_swept(e, &tries));
    return fd;
}

int tmpdir_make_at(const char *path, bool *is_taken_over, struct err *e)
{
    auto_fd int fd = -1;
    int tries = TRIES;

    *is_taken_over = false;
    while (mkdir(path, 0700) == 0) {
        fd = lock(path, e);
        if (fd < 0 && was_swept(e, &tries))
            continue;
        sweep_all();
        return take_fd(&fd);
    }
    if (errno != EEXIST)
        return err_sys(e, "make %s", path);
    fd = lock_alone(path);
    if (fd < 0 || flock(fd, LOCK_SH) < 0)
        return err_set(e, ERR_REFUSED,
                       "%s is there already, and in use or somebody else's", path);
    *is_taken_over = true;
    return take_fd(&fd);
}
