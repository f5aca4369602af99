/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small file in /tmp, mapped shared by two processes and closed, as Java has one. If
 * the driver removes it (another host has its own /tmp) it comes back with its
 * contents.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "victim.h"

#define SIZE 32768UL

int main(void)
{
    char dir[] = "/tmp/victim-temporary-XXXXXX", path[64];
    int fd, again;
    pid_t child;
    char *p;

    NEED(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/map", dir);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    NEED(fd >= 0 && ftruncate(fd, SIZE) == 0);
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED);
    close(fd);
    victim_fill(p, SIZE, 81);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        for (int t = 0; t < 12000 && p[0] != 'P'; t++)
            victim_sleep_ms(5);
        _exit(p[0] == 'P' ? 0 : 1);
    }
    NEED(symlink(path, "temporary") == 0);
    victim_wait();
    CHECK_INT("content", victim_differs(p, SIZE, 81), -1);
    p[0] = 'P';
    CHECK_INT("the child sees it", victim_waitpid(child), 0);
    again = open(path, O_RDONLY | O_CLOEXEC);
    CHECK("its name is there", again >= 0 && read(again, dir, 1) == 1 && dir[0] == 'P');
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    return victim_end();
}
