/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc/PID/pagemap: which pages of a mapping are the process's own.
 *
 * Documentation/admin-guide/mm/pagemap.rst. Linux 6.7 answers by ranges
 * (PAGEMAP_SCAN), which steps over what is empty; before, every page is looked at: half
 * a second for each TiB of address space.
 */
#ifndef NATIVE_MEMORY_PAGEMAP_H
#define NATIVE_MEMORY_PAGEMAP_H

#include <stdint.h>

struct err;

/* Told of each range of pages; may be told of neighbours one by one. */
typedef int pagemap_found(void *arg, uint64_t start, uint64_t end, struct err *e);

struct pagemap_search {
    int fd;
    uint32_t page_size;
    pagemap_found *found;
    void *arg;
};

/* Finds pages in [start, end) that are present or swapped out and not a file's. Stops
 * with the first failure of `found`. ERR_GONE: the process has ended. */
int pagemap_search(const struct pagemap_search *s, uint64_t start, uint64_t end,
                   struct err *e);

/* ERR_GONE when the memory is gone. What a search found before is only true when this
 * says so afterwards: the page map of a dying process looks empty. */
int pagemap_check_alive(int fd, struct err *e);

#endif
