/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Private anonymous memory: patterns, zero pages, holes, read-only, code, odd
 * addresses. */
#include <setjmp.h>
#include <sys/mman.h>

#include "victim.h"

#define PAGE 4096UL
#define BIG (8UL << 20)

static sigjmp_buf landing;

static void fault(int sig)
{
    (void)sig;
    siglongjmp(landing, 1);
}

/* Does touching `at` fault? */
static bool faults(volatile char *at, bool write)
{
    if (sigsetjmp(landing, 1))
        return true;
    if (write)
        *at = *at;
    else
        (void)*at;
    return false;
}

static char *map(void *at, size_t size, int prot, int flags)
{
    char *p = mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    NEED(p != MAP_FAILED);
    return p;
}

static char *make_code(void)
{
    /* mov eax, 42; ret */
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    char *p = map(NULL, PAGE, PROT_READ | PROT_WRITE, 0);

    memcpy(p, code, sizeof(code));
    NEED(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0);
    return p;
}

/* Every third page written, every third written with zeros, the rest never touched. */
static char *make_sparse(void)
{
    char *p = map(NULL, BIG, PROT_READ | PROT_WRITE, 0);

    for (size_t page = 0; page < BIG / PAGE; page++)
        if (page % 3 == 0)
            victim_fill(p + page * PAGE, PAGE, page);
        else if (page % 3 == 1)
            memset(p + page * PAGE, 0, PAGE);
    return p;
}

static long bad_sparse(const char *p)
{
    static const char zero[PAGE];

    for (size_t page = 0; page < BIG / PAGE; page++) {
        const char *at = p + page * PAGE;

        if (page % 3 == 0 ? victim_differs(at, PAGE, page) >= 0
                          : memcmp(at, zero, PAGE) != 0)
            return (long)page;
    }
    return -1;
}

int main(void)
{
    struct sigaction sa = {.sa_handler = fault};
    char *full = map(NULL, BIG, PROT_READ | PROT_WRITE, 0);
    char *sparse = make_sparse();
    char *guard = map(NULL, 3 * PAGE, PROT_NONE, 0);
    char *code = make_code();
    char *low =
        map((void *)0x200000, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE);
    char *many[300];
    int bad = 0;

    sigaction(SIGSEGV, &sa, NULL);
    victim_fill(full, BIG, 99);
    NEED(mprotect(guard + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    strcpy(guard + PAGE, "middle");
    NEED(mprotect(guard + PAGE, PAGE, PROT_READ) == 0);
    strcpy(low, "low");
    for (int i = 0; i < 300; i++) {
        many[i] = map(NULL, PAGE * 2, PROT_READ | PROT_WRITE, 0);
        victim_fill(many[i], PAGE, (uint64_t)i);
        NEED(mprotect(many[i] + PAGE, PAGE, PROT_NONE) == 0);
    }
    /* A page whose content is out of reach of the program itself. */
    char *hidden = map(NULL, PAGE, PROT_READ | PROT_WRITE, 0);
    strcpy(hidden, "hidden");
    NEED(mprotect(hidden, PAGE, PROT_NONE) == 0);
    victim_wait();
    CHECK_INT("full area", victim_differs(full, BIG, 99), -1);
    CHECK_INT("sparse area", bad_sparse(sparse), -1);
    CHECK("hole before", faults(guard, false));
    CHECK("hole behind", faults(guard + 2 * PAGE, false));
    CHECK("read-only page is not writable", faults(guard + PAGE, true));
    CHECK_STR("read-only page", guard + PAGE, "middle");
    CHECK_INT("code", ((int (*)(void))(uintptr_t)code)(), 42);
    CHECK("code is not writable", faults(code, true));
    CHECK_STR("low address", low, "low");
    CHECK("hidden page", faults(hidden, false));
    NEED(mprotect(hidden, PAGE, PROT_READ) == 0);
    CHECK_STR("its content", hidden, "hidden");
    for (int i = 0; i < 300; i++)
        if (victim_differs(many[i], PAGE, (uint64_t)i) >= 0 ||
            !faults(many[i] + PAGE, false))
            bad++;
    CHECK_INT("many small areas", bad, 0);
    CHECK("a wild address still faults", faults((char *)0x1000, false));
    return victim_end();
}
