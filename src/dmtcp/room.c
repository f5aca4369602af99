/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/room.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char name[] = ".room";

static int refuse(uint64_t bytes, const char *why, struct err *e)
{
    char text[32];

    return err_set(e, ERR_REFUSED,
                   "the images may take %s, and there is no room for that beside the "
                   "job's generations (%s): free some; DMTCP would end the job",
                   str_bytes(bytes, text), why);
}

static int ask_file_system(int dirfd, uint64_t bytes, struct err *e)
{
    struct statvfs fs;
    char text[64], room[32];

    if (fstatvfs(dirfd, &fs) < 0)
        return err_sys(e, "ask for the free room");
    if ((uint64_t)fs.f_bavail * fs.f_frsize >= bytes)
        return 0;
    if (str_format(text, sizeof(text), e, "%s are free",
                   str_bytes((uint64_t)fs.f_bavail * fs.f_frsize, room)) < 0)
        return -1;
    return refuse(bytes, text, e);
}

int room_prove(int dirfd, uint64_t bytes, struct err *e)
{
    auto_fd int fd = -1;
    int rc, code;

    unlinkat(dirfd, name, 0);
    fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, "create a file beside the generations");
    /* Not posix_fallocate: the C library would write all of it instead. */
    do
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
    while (rc < 0 && errno == EINTR);
    code = errno;
    unlinkat(dirfd, name, 0);
    if (rc == 0)
        return 0;
    if (code == EOPNOTSUPP || code == ENOSYS)
        return ask_file_system(dirfd, bytes, e);
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        return refuse(bytes, strerror(code), e);
    return err_code(e, code, "set aside room for the images");
}
