/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/stdfile.h"

#include "base/err.h"
#include "base/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the new run's file is the one of the checkpoint. */
static bool is_same(int fd, const struct stdfile *was, const struct stat *st)
{
    char link[32], path[PATH_MAX];
    ssize_t n;

    if (st->st_ino == was->inode)
        return true;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0 || !was->path)
        return false;
    path[n] = '\0';
    return strcmp(path, was->path) == 0;
}

int stdfile_cut(int fd, const char *what, uint64_t size, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(e, "%s", what);
    if ((uint64_t)st.st_size <= size)
        return 0;
    if (ftruncate(fd, (off_t)size) < 0)
        return err_sys(e, "cut %s back to %" PRIu64 " bytes", what, size);
    log_info("cut %s from %" PRIu64 " back to %" PRIu64 " bytes, its size at the "
             "checkpoint",
             what, (uint64_t)st.st_size, size);
    return 0;
}

static int seek(int fd, uint64_t position, struct err *e)
{
    if (position > INT64_MAX || lseek(fd, (off_t)position, SEEK_SET) < 0)
        return err_sys(e, "position %" PRIu64, position);
    return 0;
}

int stdfile_continue(int fd, int number, const struct stdfile *was, struct err *e)
{
    const char *what = was->path && was->path[0] ? was->path : "the output";
    int flags = fcntl(fd, F_GETFL);
    struct stat st;
    bool writes;

    if (flags < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "descriptor %d of the run", number);
    if (!S_ISREG(st.st_mode))
        return 0;
    writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && !is_same(fd, was, &st))
        return 0;
    if (writes && stdfile_cut(fd, what, was->size_bytes, e) < 0)
        return -1;
    if ((uint64_t)st.st_size >= was->position)
        return seek(fd, was->position, e);
    return 0;
}
