/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A parent in vfork whose child does not exec: the parent cannot be stopped. */
#include "victim.h"

int main(void)
{
    pid_t child;

    child = vfork();
    NEED(child >= 0);
    if (child == 0) {
        /* Not what vfork's child may do by POSIX; Linux has no objection. */
        victim_ready();
        victim_wait_go();
        _exit(12);
    }
    CHECK_INT("the child's status", victim_waitpid(child), 12 << 8);
    return victim_end();
}
