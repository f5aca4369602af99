/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Areas moved, split and advised: mremap, huge-page advice, locked, wipe and no copy on
 * fork. */
#include <sys/mman.h>

#include "victim.h"

#define SIZE (1UL << 20)
#define PAGE 4096UL
#define HUGE (8UL << 20)

static char *map(size_t size)
{
    char *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(p != MAP_FAILED);
    return p;
}

/* The kernel's flags of the area at `at`, from /proc/self/smaps: "rd wr mr ...". */
static bool has_flag(const void *at, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[512];
    bool inside = false, found = false;
    unsigned long from, to;

    NEED(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= (uintptr_t)at && (uintptr_t)at < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line + 8, flag) != NULL;
    }
    fclose(f);
    return found;
}

static bool child_sees(const char *p, char want)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0)
        _exit(p[0] == want ? 0 : 1);
    return victim_waitpid(pid) == 0;
}

static bool child_faults(const char *p)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(const volatile char *)p);
    }
    return WIFSIGNALED(victim_waitpid(pid));
}

int main(void)
{
    char *moved = map(SIZE), *target = map(3 * SIZE), *split = map(SIZE);
    char *huge = map(HUGE), *nohuge = map(SIZE), *dontfork = map(SIZE),
         *wipe = map(SIZE);
    char *dontdump = map(SIZE), *locked = map(4 * PAGE);
    bool is_locked;

    victim_fill(moved, SIZE, 1);
    moved = mremap(moved, SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
    NEED(moved == target + PAGE);
    victim_fill(moved + SIZE, SIZE, 2);
    victim_fill(split, SIZE, 3);
    NEED(munmap(split + 4 * PAGE, PAGE) == 0);
    NEED(mprotect(split + 8 * PAGE, PAGE, PROT_READ) == 0);
    madvise(huge, HUGE, MADV_HUGEPAGE);
    victim_fill(huge, HUGE, 4);
    madvise(nohuge, SIZE, MADV_NOHUGEPAGE);
    victim_fill(nohuge, SIZE, 5);
    NEED(madvise(dontfork, SIZE, MADV_DONTFORK) == 0);
    victim_fill(dontfork, SIZE, 6);
    NEED(madvise(wipe, SIZE, MADV_WIPEONFORK) == 0);
    wipe[0] = 'W';
    NEED(madvise(dontdump, SIZE, MADV_DONTDUMP) == 0);
    victim_fill(dontdump, SIZE, 8);
    is_locked = mlock(locked, 4 * PAGE) == 0;
    victim_fill(locked, 4 * PAGE, 9);
    victim_wait();
    CHECK_INT("moved area", victim_differs(moved, SIZE, 1), -1);
    CHECK_INT("its new part", victim_differs(moved + SIZE, SIZE, 2), -1);
    CHECK_INT("before a hole", victim_differs(split, 4 * PAGE, 3), -1);
    CHECK_INT("behind it",
              victim_differs(split + 5 * PAGE, SIZE - 5 * PAGE, 3 + 5 * PAGE / 8), -1);
    CHECK("the hole", child_faults(split + 4 * PAGE));
    CHECK_INT("area with huge pages", victim_differs(huge, HUGE, 4), -1);
    CHECK("its advice", has_flag(huge, " hg"));
    CHECK_INT("area without", victim_differs(nohuge, SIZE, 5), -1);
    CHECK("its advice", has_flag(nohuge, " nh"));
    CHECK_INT("MADV_DONTFORK area", victim_differs(dontfork, SIZE, 6), -1);
    CHECK("is not in a child", child_faults(dontfork));
    /* It may be wiped by the checkpoint, as by any fork: random state is not for reuse.
     */
    CHECK("MADV_WIPEONFORK area", wipe[0] == 'W' || wipe[0] == 0);
    wipe[0] = 'X';
    CHECK("is wiped in a child", child_sees(wipe, 0));
    CHECK_INT("MADV_DONTDUMP area", victim_differs(dontdump, SIZE, 8), -1);
    CHECK("its advice", has_flag(dontdump, " dd"));
    CHECK_INT("locked area", victim_differs(locked, 4 * PAGE, 9), -1);
    if (is_locked)
        CHECK("is locked", has_flag(locked, " lo"));
    moved = mremap(moved, 2 * SIZE, SIZE, 0);
    CHECK("mremap goes on", moved != MAP_FAILED && victim_differs(moved, SIZE, 1) < 0);
    return victim_end();
}
