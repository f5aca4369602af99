/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System V semaphores live outside of any process and are not carried. */
#include <sys/ipc.h>
#include <sys/sem.h>

#include "victim.h"

int main(void)
{
    struct sembuf up = {0, 1, SEM_UNDO};
    int id = semget(IPC_PRIVATE, 1, 0600);

    if (id < 0)
        victim_skip("no System V semaphores");
    NEED(semop(id, &up, 1) == 0);
    victim_ready_refused(getpid(), "(?i)semaphore|SysV|System V");
    victim_wait_go();
    CHECK_INT("value", semctl(id, 0, GETVAL), 1);
    CHECK_INT("remove", semctl(id, 0, IPC_RMID), 0);
    return victim_end();
}
