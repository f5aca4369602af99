/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory that can only be executed: where the CPU has protection keys, the kernel takes
 * one for that. */
#include <sys/mman.h>

#include "victim.h"

/* mov $42, %eax; ret */
static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};

int main(void)
{
    void *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int (*function)(void);

    NEED(p != MAP_FAILED);
    memcpy(p, code, sizeof(code));
    NEED(mprotect(p, 4096, PROT_EXEC) == 0);
    memcpy(&function, &p, sizeof(function));
    victim_wait();
    CHECK_INT("the code", function(), 42);
    return victim_end();
}
