/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/pagemap.h"

#include "base/err.h"
#include "base/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Bits of an entry. */
#define PM_PRESENT (UINT64_C(1) << 63)
#define PM_SWAPPED (UINT64_C(1) << 62)
#define PM_FILE (UINT64_C(1) << 61)
/* Linux 6.15: MADV_GUARD_INSTALL; such a page has no content and cannot be read. */
#define PM_GUARD (UINT64_C(1) << 58)

/* From linux/fs.h of Linux 6.7, which not every build host has. */
struct scan_region {
    uint64_t start, end, categories;
};

struct scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_GUARD (UINT64_C(1) << 8) /* Linux 6.15 */

enum { BATCH_ENTRIES = 2048, BATCH_REGIONS = 512 };

static int gone(struct err *e)
{
    return err_set(e, ERR_GONE, "its memory is gone: it has ended");
}

/* The number of entries read; 0 when the memory is gone, -1 with errno. */
static ssize_t read_entries(int fd, uint64_t *entries, size_t n, uint64_t page)
{
    ssize_t size;

    do
        size = pread(fd, entries, n * sizeof(*entries), page * sizeof(*entries));
    while (size < 0 && errno == EINTR);
    return size < 0 ? -1 : size / (ssize_t)sizeof(*entries);
}

static bool is_private(uint64_t entry)
{
    return (entry & (PM_PRESENT | PM_SWAPPED)) && !(entry & (PM_FILE | PM_GUARD));
}

static int look_at_each(const struct pagemap_search *s, uint64_t start, uint64_t end,
                        struct err *e)
{
    uint64_t entries[BATCH_ENTRIES];

    for (uint64_t at = start; at < end;) {
        uint64_t left = (end - at) / s->page_size;
        ssize_t n =
            read_entries(s->fd, entries, left < BATCH_ENTRIES ? left : BATCH_ENTRIES,
                         at / s->page_size);

        if (n < 0)
            return err_sys(e, "read the page map at %" PRIx64, at);
        if (n == 0)
            return gone(e);
        for (ssize_t i = 0; i < n; i++, at += s->page_size)
            if (is_private(entries[i]) &&
                s->found(s->arg, at, at + s->page_size, e) < 0)
                return -1;
    }
    return 0;
}

/* One PAGEMAP_SCAN; the number of regions or -1 with errno. */
static int scan_once(int fd, struct scan_arg *a)
{
    int n;

    /* A kernel that does not know guard pages does not know their category. */
    a->category_inverted = a->category_mask = SCAN_FILE | SCAN_GUARD;
    n = ioctl(fd, SCAN_IOCTL, a);
    if (n >= 0 || errno != EINVAL)
        return n;
    a->category_inverted = a->category_mask = SCAN_FILE;
    return ioctl(fd, SCAN_IOCTL, a);
}

/* 1 when done, 0 when this kernel cannot. */
static int scan(const struct pagemap_search *s, uint64_t start, uint64_t end,
                struct err *e)
{
    struct scan_region regions[BATCH_REGIONS];
    struct scan_arg a = {.size = sizeof(a),
                         .start = start,
                         .end = end,
                         .vec = (uintptr_t)regions,
                         .vec_len = BATCH_REGIONS,
                         .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                         .return_mask = SCAN_PRESENT};

    while (a.start < end) {
        int n = scan_once(s->fd, &a);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOTTY || errno == EINVAL) && a.start == start)
            return 0;
        if (n < 0)
            return err_sys(e, "scan the page map at %" PRIx64, (uint64_t)a.start);
        for (int i = 0; i < n; i++)
            if (s->found(s->arg, regions[i].start, regions[i].end, e) < 0)
                return -1;
        if (a.walk_end <= a.start)
            return err_set(e, ERR_FAILED, "the scan of the page map stands still");
        a.start = a.walk_end;
    }
    return 1;
}

int pagemap_search(const struct pagemap_search *s, uint64_t start, uint64_t end,
                   struct err *e)
{
    int done = fault_fails("pagemap-scan") ? 0 : scan(s, start, end, e);

    if (done < 0)
        return -1;
    if (done == 0 && look_at_each(s, start, end, e) < 0)
        return -1;
    return 0;
}

int pagemap_check_alive(int fd, struct err *e)
{
    uint64_t entry;
    ssize_t n = read_entries(fd, &entry, 1, 0);

    if (n < 0)
        return err_sys(e, "read the page map");
    return n == 0 ? gone(e) : 0;
}
