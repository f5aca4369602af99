/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One open file in several hands: by dup, by fork, in two unrelated children. */
#include "victim.h"

static int child_reads(int fd, char want)
{
    pid_t pid = fork();
    char c = 0;

    NEED(pid >= 0);
    if (pid == 0) {
        victim_wait_go();
        _exit(read(fd, &c, 1) == 1 && c == want ? 0 : 1);
    }
    return pid;
}

int main(void)
{
    int fd, twin, other;
    pid_t child;
    char c = 0;

    unlink("fd_shared");
    fd = open("fd_shared", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    NEED(fd >= 0);
    NEED(write(fd, "abcdefghij", 10) == 10);
    NEED(lseek(fd, 2, SEEK_SET) == 2);
    twin = dup(fd);
    other = open("fd_shared", O_RDWR | O_CLOEXEC);
    NEED(twin >= 0 && other >= 0);
    child = child_reads(fd, 'c');
    victim_wait();
    CHECK_INT("the child read the next byte", victim_waitpid(child), 0);
    CHECK("then we do", read(twin, &c, 1) == 1 && c == 'd');
    CHECK_INT("dup shares the offset", lseek(fd, 0, SEEK_CUR), 4);
    CHECK_INT("another open does not", lseek(other, 0, SEEK_CUR), 0);
    fcntl(twin, F_SETFL, O_APPEND);
    CHECK_INT("flags are shared", fcntl(fd, F_GETFL) & O_APPEND, O_APPEND);
    CHECK_INT("but not with another open", fcntl(other, F_GETFL) & O_APPEND, 0);
    CHECK_INT("descriptor flags are their own", fcntl(twin, F_GETFD), 0);
    CHECK_INT("each", fcntl(fd, F_GETFD), FD_CLOEXEC);
    return victim_end();
}
