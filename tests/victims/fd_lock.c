/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File locks: flock, POSIX record locks and open file description locks are held on. */
#include <sys/file.h>

#include "victim.h"

static int open_file(void)
{
    int fd = open("fd_lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    NEED(fd >= 0);
    return fd;
}

static int record(int fd, int cmd, short type, off_t start, off_t len)
{
    struct flock l = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

    return fcntl(fd, cmd, &l);
}

/* Can somebody else take it? Asked from a child with descriptors of its own. */
static bool others_can(int (*try)(int fd))
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0)
        _exit(try(open_file()) == 0 ? 0 : 1);
    return victim_waitpid(pid) == 0;
}

static int try_flock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB);
}

static int try_write_held(int fd)
{
    return record(fd, F_SETLK, F_WRLCK, 105, 1);
}

static int try_read_shared(int fd)
{
    return record(fd, F_SETLK, F_RDLCK, 205, 1);
}

static int try_write_shared(int fd)
{
    return record(fd, F_SETLK, F_WRLCK, 205, 1);
}

static int try_free(int fd)
{
    return record(fd, F_SETLK, F_WRLCK, 150, 10);
}

static int try_ofd(int fd)
{
    return record(fd, F_OFD_SETLK, F_WRLCK, 1000000, 1);
}

int main(void)
{
    int whole = open_file(), ranges = open_file(), ofd = open_file(), again;

    NEED(flock(whole, LOCK_EX) == 0);
    NEED(record(ranges, F_SETLK, F_WRLCK, 100, 10) == 0);
    NEED(record(ranges, F_SETLK, F_RDLCK, 200, 50) == 0);
    NEED(record(ofd, F_OFD_SETLK, F_WRLCK, 1000000, 0) == 0);
    victim_wait();
    again = open("fd_lock.other", O_RDWR | O_CREAT, 0600);
    NEED(again >= 0);
    CHECK("flock is held", !others_can(try_flock));
    CHECK("the write lock is held", !others_can(try_write_held));
    CHECK("the read lock is shared", others_can(try_read_shared));
    CHECK("but not for writing", !others_can(try_write_shared));
    CHECK("between them it is free", others_can(try_free));
    CHECK("the open file's lock is held, to the end", !others_can(try_ofd));
    CHECK("flock can be given back",
          flock(whole, LOCK_UN) == 0 && others_can(try_flock));
    CHECK("record locks too",
          record(ranges, F_SETLK, F_UNLCK, 0, 0) == 0 && others_can(try_write_held));
    CHECK("and the open file's",
          record(ofd, F_OFD_SETLK, F_UNLCK, 0, 0) == 0 && others_can(try_ofd));
    return victim_end();
}
