/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A POSIX message queue with a message. */
#include <mqueue.h>

#include "victim.h"

int main(void)
{
    struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
    char name[64], buf[64];
    mqd_t q;

    snprintf(name, sizeof(name), "/victim-%d-%lld", (int)getpid(),
             (long long)victim_now_ms());
    q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (q < 0)
        victim_skip("no POSIX message queues");
    NEED(mq_send(q, "message", 7, 1) == 0);
    victim_ready_refused(getpid(), "(?i)mqueue|message queue");
    victim_wait_go();
    CHECK_INT("the message", mq_receive(q, buf, sizeof(buf), NULL), 7);
    CHECK_INT("unlink", mq_unlink(name), 0);
    return victim_end();
}
