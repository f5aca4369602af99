/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A directory of its own for a test, and files in it.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include "base/err.h"
#include "base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[64];
    int fd;
};

static inline struct scratch scratch_make(void)
{
    struct scratch s = {.path = "/tmp/qckpt-unit-XXXXXX", .fd = -1};

    if (!mkdtemp(s.path) ||
        (s.fd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        printf("Bail out! %s\n", s.path);
        exit(1);
    }
    return s;
}

static inline void scratch_drop(struct scratch *s)
{
    struct err e;

    close(s->fd);
    if (io_remove_tree(AT_FDCWD, s->path, &e) < 0)
        printf("# %s\n", e.text);
}

/* Flips one bit of a file in place. */
static inline bool scratch_flip(int dirfd, const char *name, off_t at, int bit)
{
    int fd = openat(dirfd, name, O_RDWR | O_CLOEXEC);
    unsigned char c = 0;
    bool done = fd >= 0 && pread(fd, &c, 1, at) == 1;

    c ^= 1 << bit;
    done = done && pwrite(fd, &c, 1, at) == 1;
    if (fd >= 0)
        close(fd);
    return done;
}

static inline off_t scratch_size(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : st.st_size;
}

/* Replaces a file's content, whatever it was. */
static inline void scratch_put(int dirfd, const char *name, const char *data,
                               size_t size)
{
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        printf("# cannot write %s\n", name);
    if (fd >= 0)
        close(fd);
}

#endif
