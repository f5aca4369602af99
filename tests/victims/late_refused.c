/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Can be saved until a file "late" appears: then it makes a System V semaphore. */
#include <sys/ipc.h>
#include <sys/sem.h>

#include "victim.h"

static int make_semaphore(void)
{
    struct sembuf up = {0, 3, 0};
    int id = semget(IPC_PRIVATE, 1, 0600);

    NEED(id >= 0 && semop(id, &up, 1) == 0);
    return id;
}

int main(void)
{
    int id = -1;

    victim_ready();
    while (!victim_go()) {
        if (id < 0 && access("late", F_OK) == 0) {
            id = make_semaphore();
            victim_ready_refused(getpid(), "System V semaphores");
        }
        victim_sleep_ms(20);
    }
    CHECK("the semaphore, if any", id < 0 || semctl(id, 0, GETVAL) == 3);
    if (id >= 0)
        semctl(id, 0, IPC_RMID);
    return victim_end();
}
