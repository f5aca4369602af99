/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory with a protection key, which is not the first: those were given back. */
#include <sys/mman.h>

#include "victim.h"

int main(void)
{
    int first = pkey_alloc(0, 0), second = pkey_alloc(0, 0);
    int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
    char *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (key < 0)
        victim_skip("the CPU has no protection keys");
    NEED(p != MAP_FAILED && pkey_free(first) == 0 && pkey_free(second) == 0);
    strcpy(p, "protected");
    NEED(pkey_mprotect(p, 4096, PROT_READ | PROT_WRITE, key) == 0);
    victim_ready_refused(getpid(), "(?i)protection key|pkey");
    victim_wait_go();
    CHECK_STR("content", p, "protected");
    CHECK_INT("rights", pkey_get(key), PKEY_DISABLE_WRITE);
    return victim_end();
}
