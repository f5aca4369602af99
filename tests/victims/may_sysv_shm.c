/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * System V shared memory of two processes: refused, or carried whole. As mere shared
 * memory, without its id, shmdt would fail.
 */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "victim.h"

int main(void)
{
    int id = shmget(IPC_PRIVATE, 1 << 20, 0600);
    struct shmid_ds ds;
    pid_t child;
    char *p;

    if (id < 0)
        victim_skip("no System V shared memory");
    p = shmat(id, NULL, 0);
    NEED(p != (void *)-1);
    shmctl(id, IPC_RMID, NULL);
    victim_fill(p, 1 << 20, 3);
    child = fork();
    NEED(child >= 0);
    if (child == 0) {
        victim_wait_go();
        for (int t = 0; t < 12000 && p[0] != 'P'; t++)
            victim_sleep_ms(5);
        _exit(p[0] == 'P' ? 0 : 1);
    }
    victim_ready_refused(getpid(), "(?i)shared memory|SysV|System V");
    victim_wait_go();
    CHECK_INT("content", victim_differs(p, 1 << 20, 3), -1);
    p[0] = 'P';
    CHECK_INT("the child sees it", victim_waitpid(child), 0);
    CHECK_INT("detach", shmdt(p), 0);
    CHECK("it is gone", shmctl(id, IPC_STAT, &ds) < 0);
    return victim_end();
}
