/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System V message queues, too, live outside of any process. */
#include <sys/ipc.h>
#include <sys/msg.h>

#include "victim.h"

int main(void)
{
    struct {
        long type;
        char text[8];
    } m = {1, "message"};
    int id = msgget(IPC_PRIVATE, 0600);

    if (id < 0)
        victim_skip("no System V message queues");
    NEED(msgsnd(id, &m, sizeof(m.text), 0) == 0);
    victim_ready_refused(getpid(), "System V message queue");
    victim_wait_go();
    m.text[0] = 0;
    CHECK_INT("the message", msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT),
              sizeof(m.text));
    CHECK_STR("its text", m.text, "message");
    CHECK_INT("remove", msgctl(id, IPC_RMID, NULL), 0);
    return victim_end();
}
