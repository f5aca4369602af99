/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/io.h"

#include "base/err.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int io_write_all(int fd, const void *data, size_t size, struct err *e)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "write");
        p += n;
        size -= n;
    }
    return 0;
}

int io_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, struct err *e)
{
    const char *p = data;

    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "write");
        p += n;
        size -= n;
        offset += n;
    }
    return 0;
}

ssize_t io_read_up_to(int fd, void *data, size_t size, struct err *e)
{
    size_t used = 0;

    while (used < size) {
        ssize_t n = read(fd, (char *)data + used, size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "read");
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

int io_read_exact(int fd, void *data, size_t size, struct err *e)
{
    ssize_t n = io_read_up_to(fd, data, size, e);

    if (n < 0)
        return -1;
    return (size_t)n == size
               ? 0
               : err_set(e, ERR_CORRUPT, "ends %zu bytes too early", size - n);
}

int io_pread_exact(int fd, void *data, size_t size, uint64_t offset, struct err *e)
{
    char *p = data;

    while (size > 0) {
        ssize_t n = pread(fd, p, size, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "read");
        if (n == 0)
            return err_set(e, ERR_CORRUPT, "ends %zu bytes too early", size);
        p += n;
        size -= n;
        offset += n;
    }
    return 0;
}

int io_read_fd(int fd, size_t max, char **data, size_t *size, struct err *e)
{
    size_t room = 4096, used = 0;
    auto_free char *buf = malloc(room + 1);

    if (!buf)
        return err_sys(e, "read");
    for (;;) {
        ssize_t n = read(fd, buf + used, room - used);
        char *bigger;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "read");
        if (n == 0)
            break;
        used += n;
        if (used > max)
            return err_set(e, ERR_CORRUPT, "is longer than %zu bytes", max);
        if (used < room)
            continue;
        room *= 2;
        bigger = realloc(buf, room + 1);
        if (!bigger)
            return err_sys(e, "read");
        buf = bigger;
    }
    buf[used] = '\0';
    *data = take_ptr(buf);
    if (size)
        *size = used;
    return 0;
}

int io_read_file(int dirfd, const char *name, size_t max, char **data, size_t *size,
                 struct err *e)
{
    auto_fd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(e, "open %s", name);
    if (io_read_fd(fd, max, data, size, e) < 0)
        return err_wrap(e, "%s", name);
    return 0;
}

int io_write_text(const char *path, const char *text, struct err *e)
{
    auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(e, "open %s", path);
    if (write(fd, text, strlen(text)) < 0)
        return err_sys(e, "write %s", path);
    return 0;
}

int io_close(int *fd, struct err *e)
{
    int taken = take_fd(fd);

    if (taken < 0)
        return 0;
    /* Linux frees the descriptor even when close says EINTR: never again (close(2)). */
    if (close(taken) < 0 && errno != EINTR)
        return err_sys(e, "close");
    return 0;
}

int io_sync_dir(int dirfd, struct err *e)
{
    /* Some file systems cannot sync a directory and say EINVAL: nothing to wait for. */
    if (fsync(dirfd) < 0 && errno != EINVAL)
        return err_sys(e, "sync directory");
    return 0;
}

int io_create_file(int dirfd, const char *name, const void *data, size_t size,
                   struct err *e)
{
    auto_fd int fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(e, "create %s", name);
    if (io_write_all(fd, data, size, e) < 0)
        return err_wrap(e, "%s", name);
    if (fsync(fd) < 0)
        return err_sys(e, "sync %s", name);
    /* NFS reports a failed write at close; losing that would publish a torn file. */
    if (io_close(&fd, e) < 0)
        return err_wrap(e, "%s", name);
    return 0;
}

static int remove_entries(int fd, struct err *e)
{
    auto_dir DIR *dir = NULL;
    auto_fd int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;

    if (copy < 0)
        return err_sys(e, "open directory");
    dir = fdopendir(copy);
    if (!dir)
        return err_sys(e, "read directory");
    take_fd(&copy);
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (io_remove_tree(fd, entry->d_name, e) < 0)
            return -1;
    }
    return 0;
}

int io_remove_tree(int dirfd, const char *name, struct err *e)
{
    auto_fd int fd = -1;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_sys(e, "remove %s", name);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
    if (remove_entries(fd, e) < 0)
        return err_wrap(e, "%s", name);
    if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_sys(e, "remove %s", name);
    return 0;
}

int io_move_fd(int *fd, int min, struct err *e)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, min);

    if (moved < 0)
        return err_sys(e, "move descriptor %d", *fd);
    close(*fd);
    *fd = moved;
    return 0;
}

uint64_t io_bytes_in(int dirfd)
{
    int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    uint64_t sum = 0;

    while (dir && (entry = readdir(dir))) {
        struct stat st;

        if (fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            sum += st.st_size;
    }
    return sum;
}
