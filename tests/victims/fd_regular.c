/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Regular files: offset, flags, append, a file replaced under its name, high numbers.
 */
#include <sys/stat.h>

#include "victim.h"

static int open_new(const char *name, int flags)
{
    int fd;

    unlink(name);
    fd = open(name, flags | O_CREAT | O_EXCL, 0640);
    NEED(fd >= 0);
    return fd;
}

static void check_offset(const char *what, int fd, off_t want)
{
    CHECK_INT(what, lseek(fd, 0, SEEK_CUR), want);
}

int main(void)
{
    int rw = open_new("fd_regular.rw", O_RDWR | O_CLOEXEC);
    int append = open_new("fd_regular.append", O_WRONLY | O_APPEND);
    int ro = open("fd_regular.rw", O_RDONLY | O_NONBLOCK | O_NOATIME);
    int high, beyond = open_new("fd_regular.beyond", O_RDWR);
    char buf[64] = "";
    struct stat st;

    NEED(write(rw, "0123456789", 10) == 10);
    NEED(lseek(rw, 4, SEEK_SET) == 4);
    NEED(write(append, "first\n", 6) == 6);
    NEED(read(ro, buf, 3) == 3);
    high = fcntl(rw, F_DUPFD_CLOEXEC, 700);
    NEED(high >= 700);
    NEED(lseek(beyond, 1000000, SEEK_SET) == 1000000);
    victim_wait();
    check_offset("offset", rw, 4);
    check_offset("offset of the reader", ro, 3);
    check_offset("offset beyond the end", beyond, 1000000);
    CHECK_INT("nothing was written there", fstat(beyond, &st) == 0 ? st.st_size : -1,
              0);
    CHECK_INT("flags", fcntl(rw, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
              O_RDWR);
    CHECK_INT("flags of append", fcntl(append, F_GETFL) & (O_ACCMODE | O_APPEND),
              O_WRONLY | O_APPEND);
    CHECK_INT("flags of the reader",
              fcntl(ro, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_NOATIME),
              O_RDONLY | O_NONBLOCK | O_NOATIME);
    CHECK_INT("close-on-exec", fcntl(rw, F_GETFD), FD_CLOEXEC);
    CHECK_INT("no close-on-exec", fcntl(append, F_GETFD), 0);
    CHECK_INT("close-on-exec of the high one", fcntl(high, F_GETFD), FD_CLOEXEC);
    NEED(read(rw, buf, 2) == 2);
    CHECK("content from there", memcmp(buf, "45", 2) == 0);
    check_offset("the duplicate moves too", high, 6);
    NEED(write(append, "second\n", 7) == 7);
    memset(buf, 0, sizeof(buf));
    rw = open("fd_regular.append", O_RDONLY);
    NEED(rw >= 0 && read(rw, buf, sizeof(buf) - 1) >= 0);
    CHECK_STR("appended once", buf, "first\nsecond\n");
    CHECK_INT("mode", fstat(rw, &st) == 0 ? st.st_mode & 0777 : 0, 0640);
    return victim_end();
}
