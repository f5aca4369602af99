/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File mappings: private with changed pages, shared, read-only, at an offset, past the
 * end. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "victim.h"

#define SIZE (1UL << 20)
#define PAGE 4096UL

static int make_file(const char *name, uint64_t seed)
{
    static char data[SIZE];
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    NEED(fd >= 0);
    victim_fill(data, sizeof(data), seed);
    NEED(write(fd, data, sizeof(data)) == (ssize_t)sizeof(data));
    return fd;
}

static char *map(int fd, int prot, int flags, off_t at, size_t size)
{
    char *p = mmap(NULL, size, prot, flags, fd, at);

    NEED(p != MAP_FAILED);
    return p;
}

static void check_private(const char *p)
{
    long bad = -1;

    for (size_t page = 0; page < SIZE / PAGE; page++) {
        uint64_t seed = page % 5 ? 100 + page * PAGE / 8 : 7000 + page;

        if (victim_differs(p + page * PAGE, PAGE, seed) >= 0)
            bad = (long)page;
    }
    CHECK_INT("private mapping, changed and unchanged pages", bad, -1);
}

int main(void)
{
    int fd = make_file("mem_file.private", 100);
    int shared_fd = make_file("mem_file.shared", 200);
    int partial_fd = open("mem_file.partial", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *private = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, SIZE);
    char *readonly = map(fd, PROT_READ, MAP_SHARED, (off_t)(16 * PAGE), SIZE / 2);
    char *shared = map(shared_fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, SIZE);
    char *partial, byte = 0;

    close(fd);
    NEED(write(partial_fd, "partial page", 12) == 12);
    partial = map(partial_fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0, PAGE);
    for (size_t page = 0; page < SIZE / PAGE; page += 5)
        victim_fill(private + page * PAGE, PAGE, 7000 + page);
    strcpy(shared + 5 * PAGE, "written to the shared mapping");
    strcpy(partial + 100, "beyond the end of the file");
    victim_wait();
    check_private(private);
    CHECK_INT("read-only mapping at an offset",
              victim_differs(readonly, SIZE / 2, 100 + 16 * PAGE / 8), -1);
    CHECK_STR("shared mapping", shared + 5 * PAGE, "written to the shared mapping");
    CHECK_INT("its other pages", victim_differs(shared, 5 * PAGE, 200), -1);
    shared[9 * PAGE] ^= 0x55;
    NEED(pread(shared_fd, &byte, 1, 9 * PAGE) == 1);
    CHECK_INT("the mapping is the file", byte, shared[9 * PAGE]);
    byte ^= 3;
    NEED(pwrite(shared_fd, &byte, 1, 9 * PAGE) == 1);
    CHECK_INT("the file is the mapping", shared[9 * PAGE], byte);
    CHECK("the start of a partial page", memcmp(partial, "partial page", 12) == 0);
    CHECK_STR("its end", partial + 100, "beyond the end of the file");
    return victim_end();
}
