/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A protection key that protects nothing yet, with the rights that Linux starts from.
 */
#include <sys/mman.h>

#include "victim.h"

int main(void)
{
    int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    char *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (key < 0)
        victim_skip("the CPU has no protection keys");
    NEED(p != MAP_FAILED);
    victim_ready_refused(getpid(), "protection key");
    victim_wait_go();
    CHECK("the key can be used", pkey_mprotect(p, 4096, PROT_READ, key) == 0);
    CHECK_INT("rights", pkey_get(key), PKEY_DISABLE_ACCESS);
    return victim_end();
}
