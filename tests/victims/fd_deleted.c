/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A deleted file that is only open: content, holes, offset; a deleted directory as fd.
 */
#include <sys/stat.h>

#include "victim.h"

#define SIZE (3UL << 20)

int main(void)
{
    static char data[65536], back[65536];
    int fd = open("fd_deleted", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pid_t child;
    struct stat st;
    char c = 1;

    NEED(fd >= 0);
    NEED(unlink("fd_deleted") == 0);
    victim_fill(data, sizeof(data), 61);
    NEED(write(fd, data, sizeof(data)) == (ssize_t)sizeof(data));
    NEED(pwrite(fd, data, 4096, SIZE) == 4096);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        _exit(write(fd, "child", 5) == 5 ? 0 : 1);
    }
    victim_wait();
    CHECK_INT("the child's write", victim_waitpid(child), 0);
    CHECK_INT("moved our offset", lseek(fd, 0, SEEK_CUR), sizeof(data) + 5);
    NEED(pread(fd, back, sizeof(back), 0) == (ssize_t)sizeof(back));
    CHECK("content", memcmp(data, back, sizeof(data)) == 0);
    NEED(pread(fd, back, 5, sizeof(data)) == 5);
    CHECK("the child's content", memcmp(back, "child", 5) == 0);
    NEED(pread(fd, back, 4096, SIZE) == 4096);
    CHECK("content behind the hole", memcmp(data, back, 4096) == 0);
    CHECK("the hole", pread(fd, &c, 1, SIZE / 2) == 1 && c == 0);
    CHECK_INT("size", fstat(fd, &st) == 0 ? (long long)st.st_size : -1, SIZE + 4096);
    CHECK_INT("links", st.st_nlink, 0);
    CHECK("no file of that name", access("fd_deleted", F_OK) < 0);
    return victim_end();
}
