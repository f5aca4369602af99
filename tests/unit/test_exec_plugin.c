/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plugin for programs that are executed under DMTCP, in a program that is its
 * DMTCP: what that does as it starts, as 4.2 does it.
 */
#include "tap.h"

#include <sys/mman.h>

enum { RESERVE = 90 << 20, DATA = 32 << 20 };

const char *dmtcp_get_tmpdir(void);
const char *dmtcp_get_tmpdir(void)
{
    return "/tmp";
}

/* As DMTCP calls it, which is not built for large files. */
void *plain_mmap(void *address, size_t size, int prot, int flags, int fd,
                 off_t offset) __asm__("mmap");

static char *data(void)
{
    char *p =
        mmap(NULL, DATA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    memset(p, 'x', DATA);
    return p;
}

static char *reserve(char *where)
{
    return plain_mmap(where, RESERVE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                      -1, 0);
}

static bool is_whole(const char *p)
{
    for (size_t i = 0; i < DATA; i++)
        if (p[i] != 'x')
            return false;
    return true;
}

/* The reserve of the program before began a page above what is here now. */
static void the_reserve_of_the_program_before_is_not_this_ones(void)
{
    char *mine = data(), *old = mine + 4096, *now;

    CHECK(mine);
    if (!mine)
        return;
    CHECK_INT(munmap(old, RESERVE), 0);
    CHECK(is_whole(mine));
    now = reserve(old);
    CHECK(now != MAP_FAILED);
    CHECK(now + RESERVE <= mine || now >= mine + DATA);
    CHECK(is_whole(mine));

    /* At a restart it is its own. */
    CHECK_INT(munmap(now, RESERVE), 0);
    CHECK_INT(msync(now, 4096, MS_ASYNC), -1); /* ENOMEM: nothing is there */
    CHECK(reserve(now) == now);
    CHECK_INT(munmap(mine, DATA), 0);
}

int main(void)
{
    RUN(the_reserve_of_the_program_before_is_not_this_ones);
    return tap_done();
}
