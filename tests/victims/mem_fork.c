/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parent and child after fork: equal pages, private changes, each sees its own. */
#include <sys/mman.h>

#include "victim.h"

#define SIZE (4UL << 20)
#define PAGE 4096UL

static bool check(const char *p, uint64_t odd)
{
    for (size_t page = 0; page < SIZE / PAGE; page++)
        if (victim_differs(p + page * PAGE, PAGE, page % 2 ? odd + page : page) >= 0)
            return false;
    return true;
}

static void change(char *p, uint64_t odd)
{
    for (size_t page = 1; page < SIZE / PAGE; page += 2)
        victim_fill(p + page * PAGE, PAGE, odd + page);
}

int main(void)
{
    char *p =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t child[2];
    int up[2];
    char c;

    NEED(p != MAP_FAILED);
    NEED(pipe(up) == 0);
    for (size_t page = 0; page < SIZE / PAGE; page++)
        victim_fill(p + page * PAGE, PAGE, page);
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        NEED(child[i] >= 0);
        if (child[i] == 0) {
            change(p, 5000 * ((uint64_t)i + 2));
            NEED(write(up[1], "u", 1) == 1);
            victim_wait_go();
            _exit(check(p, 5000 * ((uint64_t)i + 2)) ? 0 : 1);
        }
    }
    change(p, 5000);
    NEED(read(up[0], &c, 1) == 1 && read(up[0], &c, 1) == 1);
    victim_wait();
    CHECK("the parent's pages", check(p, 5000));
    CHECK_INT("the first child's pages", victim_waitpid(child[0]), 0);
    CHECK_INT("the second child's pages", victim_waitpid(child[1]), 0);
    return victim_end();
}
