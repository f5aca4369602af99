/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pid that was used a moment ago is not given again so soon: a shell takes a new
 * child of that pid for the background job that it remembers. */
#include "victim.h"

enum { CHILDREN = 40 };

static pid_t used[CHILDREN];

static pid_t short_child(void)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0)
        _exit(0);
    NEED(victim_waitpid(pid) == 0);
    return pid;
}

int main(void)
{
    int again = 0;

    for (int i = 0; i < CHILDREN; i++)
        used[i] = short_child();
    victim_wait();
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = short_child();

        for (int k = 0; k < CHILDREN; k++)
            again += pid == used[k];
    }
    CHECK_INT("pids that were used before", again, 0);
    return victim_end();
}
