/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POSIX shared memory in /dev/shm: its contents are on this host only and must travel.
 */
#include <sys/mman.h>
#include <sys/stat.h>

#include "victim.h"

#define SIZE (1UL << 20)

static char *map(int fd)
{
    char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    NEED(p != MAP_FAILED);
    return p;
}

int main(void)
{
    char name[64], gone[80];
    int fd, gone_fd;
    char *p, *g;
    pid_t child;

    snprintf(name, sizeof(name), "/victim-%d-%lld", (int)getpid(),
             (long long)victim_now_ms());
    snprintf(gone, sizeof(gone), "%s-gone", name);
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    gone_fd = shm_open(gone, O_RDWR | O_CREAT | O_EXCL, 0600);
    NEED(fd >= 0 && gone_fd >= 0);
    NEED(ftruncate(fd, SIZE) == 0 && ftruncate(gone_fd, SIZE) == 0);
    p = map(fd);
    g = map(gone_fd);
    close(fd);
    shm_unlink(gone);
    close(gone_fd);
    victim_fill(p, SIZE, 51);
    victim_fill(g, SIZE, 52);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        for (int t = 0; t < 12000 && p[0] != 'P'; t++)
            victim_sleep_ms(5);
        _exit(p[0] == 'P' && victim_differs(g, SIZE, 52) < 0 ? 0 : 1);
    }
    victim_wait();
    CHECK_INT("content", victim_differs(p, SIZE, 51), -1);
    CHECK_INT("content of the removed one", victim_differs(g, SIZE, 52), -1);
    p[0] = 'P';
    CHECK_INT("the child sees it", victim_waitpid(child), 0);
    fd = shm_open(name, O_RDWR, 0600);
    CHECK("its name is there", fd >= 0);
    if (fd >= 0) {
        char c = 0;

        CHECK("and is the same memory", pread(fd, &c, 1, 0) == 1 && c == 'P');
    }
    shm_unlink(name);
    return victim_end();
}
