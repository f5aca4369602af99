/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Address space set aside, as Go, Java, V8 and the sanitizers do: terabytes, hardly
 * used. */
#include <sys/mman.h>

#include "victim.h"

#define TIB (1UL << 40)
#define PAGE 4096UL
/* An ordinary user can only read all of it. */
#define SHARED (256UL << 20)

static char *reserve(size_t size, int prot)
{
    char *p =
        mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    NEED(p != MAP_FAILED);
    return p;
}

/* Pages of it come into use, far from each other. */
static void use(char *p, size_t size, uint64_t seed)
{
    for (uint64_t i = 0; i < 50; i++)
        victim_fill(p + size / 50 / PAGE * PAGE * i, PAGE, seed + i);
}

static bool is_used(const char *p, size_t size, uint64_t seed)
{
    for (uint64_t i = 0; i < 50; i++)
        if (victim_differs(p + size / 50 / PAGE * PAGE * i, PAGE, seed + i) >= 0)
            return false;
    return true;
}

int main(void)
{
    char *closed = reserve(4 * TIB, PROT_NONE);
    char *open = reserve(TIB, PROT_READ | PROT_WRITE);
    char *part = reserve(TIB, PROT_NONE);
    char *unforked = reserve(64UL << 30, PROT_READ | PROT_WRITE);
    char *shared = mmap(NULL, SHARED, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    NEED(shared != MAP_FAILED);
    use(open, TIB, 1);
    NEED(mprotect(part + TIB / 2, 1 << 20, PROT_READ | PROT_WRITE) == 0);
    use(part + TIB / 2, 1 << 20, 2);
    NEED(madvise(unforked, 64UL << 30, MADV_DONTFORK) == 0);
    use(unforked, 64UL << 30, 3);
    use(shared, SHARED, 4);
    victim_wait();
    CHECK("open reservation", is_used(open, TIB, 1));
    CHECK("part of a closed one", is_used(part + TIB / 2, 1 << 20, 2));
    CHECK("MADV_DONTFORK", is_used(unforked, 64UL << 30, 3));
    CHECK("shared", is_used(shared, SHARED, 4));
    CHECK("a closed one can be opened",
          mprotect(closed + TIB, PAGE, PROT_READ | PROT_WRITE) == 0);
    closed[TIB] = 1;
    return victim_end();
}
