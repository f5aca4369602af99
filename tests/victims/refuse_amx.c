/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May use the tile registers of AMX. */
#include <sys/syscall.h>

#include "victim.h"

enum { GET_PERMISSION = 0x1022, ASK_PERMISSION = 0x1023, TILES = 18 };

int main(void)
{
    uint64_t permitted = 0;

    if (syscall(SYS_arch_prctl, ASK_PERMISSION, TILES) != 0)
        victim_skip("the CPU has no AMX, or the kernel gives no permission for it");
    victim_ready_refused(getpid(), "AMX");
    victim_wait_go();
    NEED(syscall(SYS_arch_prctl, GET_PERMISSION, &permitted) == 0);
    CHECK("permission", permitted >> TILES & 1);
    return victim_end();
}
