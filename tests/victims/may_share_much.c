/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared memory larger than the host's, hardly used: carried where holes can be seen.
 */
#include <sys/mman.h>

#include "victim.h"

#define SIZE (1UL << 40)

int main(void)
{
    char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        victim_skip("no room for a large reservation");
    victim_fill(p + SIZE / 2, 4096, 7);
    victim_ready_refused(getpid(), "MiB of memory at");
    victim_wait_go();
    CHECK_INT("content", victim_differs(p + SIZE / 2, 4096, 7), -1);
    return victim_end();
}
