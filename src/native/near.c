/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/near.h"

#include "base/err.h"
#include "base/proc.h"

#include <string.h>

static bool bind_to(pid_t tid, int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(tid, sizeof(one), &one) == 0;
}

/* The kernel remembers what was asked for, and applies it again when the processors of
 * the cgroup change (sched_setaffinity(2), cpuset(7)). So a thread that may run
 * everywhere is given every processor there may ever be, not those of today. */
static void give_back(pid_t tid, const cpu_set_t *allowed)
{
    cpu_set_t all, now;

    memset(&all, 0xff, sizeof(all));
    if (sched_setaffinity(tid, sizeof(all), &all) == 0 &&
        sched_getaffinity(tid, sizeof(now), &now) == 0 && CPU_EQUAL(&now, allowed))
        return;
    sched_setaffinity(tid, sizeof(*allowed), allowed);
}

void near_bind(pid_t pid, pid_t tid, struct near *n)
{
    struct err ignored;

    n->bound = false;
    if (sched_getaffinity(tid, sizeof(n->allowed), &n->allowed) < 0 ||
        proc_last_cpu(pid, tid, &n->cpu, &ignored) < 0 || n->cpu < 0 ||
        n->cpu >= CPU_SETSIZE || !CPU_ISSET(n->cpu, &n->allowed))
        return;
    n->bound = bind_to(tid, n->cpu);
}

void near_release(pid_t tid, struct near *n)
{
    if (n->bound)
        give_back(tid, &n->allowed);
    n->bound = false;
}

void near_come(int cpu, struct near *own)
{
    if (own->bound && own->cpu == cpu)
        return;
    if (!own->bound && sched_getaffinity(0, sizeof(own->allowed), &own->allowed) < 0)
        return;
    /* Where this program may not run, it stays where it is. */
    if (!bind_to(0, cpu))
        return;
    own->bound = true;
    own->cpu = cpu;
}

void near_leave(struct near *own)
{
    near_release(0, own);
}
