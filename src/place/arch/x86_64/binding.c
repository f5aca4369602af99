/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place/binding.h"

#include "base/err.h"
#include "base/proc.h"
#include "base/scope.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    /* The components that ld.so saves: all that can hold arguments. */
    SAVED = 0xee | 1 << 19,
    LEGACY_SIZE = 576, /* with the header of the XSAVE area */
    BEFORE_SIZE = 64,  /* general registers below it */
    PLACE_ALIGN = 64,  /* of its size */
    PLACE_MAX = 1 << 16,
    TEXT_MAX = 1 << 20, /* of ld.so it is 200 KiB */
};

/* ---- how much this CPU needs ---- */

/* The standard format is never smaller than the compacted one. */
static uint64_t needed_size(void)
{
    uint32_t a, b, c, d, low, high;
    uint64_t size = LEGACY_SIZE;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    for (int i = 2; i < 32; i++) {
        if (!(low & SAVED & (uint32_t)1 << i))
            continue;
        __cpuid_count(0xd, i, a, b, c, d);
        if ((uint64_t)a + b > size)
            size = (uint64_t)a + b;
    }
    return (size + BEFORE_SIZE + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN;
}

/* ---- where ld.so has the size ---- */

/* push %rbx; mov %rsp,%rbx; and $-64,%rsp; sub SIZE(%rip),%rsp; mov %rax,(%rsp) */
static const uint8_t begin[] = {0x53, 0x48, 0x89, 0xe3, 0x48, 0x83,
                                0xe4, 0xc0, 0x48, 0x2b, 0x25};
static const uint8_t then[] = {0x48, 0x89, 0x04, 0x24};

/* The address of SIZE in code that lies at `start`; 0: there is none. */
static uint64_t find_size(const uint8_t *text, size_t size, uint64_t start)
{
    const size_t length = sizeof(begin) + sizeof(int32_t);
    const uint8_t *p = text;

    while ((p = memmem(p, size - (size_t)(p - text), begin, sizeof(begin)))) {
        size_t at = (size_t)(p - text);
        int32_t distance;

        if (size - at < length + sizeof(then))
            break;
        memcpy(&distance, p + sizeof(begin), sizeof(distance));
        if (memcmp(p + length, then, sizeof(then)) == 0)
            return start + at + length + (uint64_t)(int64_t)distance;
        p++;
    }
    return 0;
}

static bool is_named_ld(const struct proc_map *map)
{
    const char *slash = strrchr(map->path, '/');

    return slash &&
           (strncmp(slash, "/ld-", 4) == 0 || strncmp(slash, "/ld.so", 6) == 0);
}

static uint64_t find_in(int mem, const struct proc_map *map)
{
    size_t size = map->end - map->start;
    auto_free uint8_t *text = NULL;

    if (!(map->prot & PROT_EXEC) || map->path[0] == '[' || size > TEXT_MAX)
        return 0;
    text = malloc(size);
    /* Some can be executed and not read. */
    if (!text || pread(mem, text, size, (off_t)map->start) != (ssize_t)size)
        return 0;
    return find_size(text, size, map->start);
}

/* Under DMTCP the mappings of files have lost their names. */
static uint64_t find(int mem, const struct proc_maps *maps)
{
    bool has_ld = false;
    uint64_t at = 0;

    for (size_t i = 0; i < maps->n && !at; i++)
        if (is_named_ld(&maps->map[i])) {
            has_ld = true;
            at = find_in(mem, &maps->map[i]);
        }
    for (size_t i = 0; i < maps->n && !at && !has_ld; i++)
        at = find_in(mem, &maps->map[i]);
    return at;
}

/* ---- */

int binding_make_room(pid_t pid, struct err *e)
{
    struct proc_maps maps = {0};
    uint64_t at, size, needed = needed_size();
    auto_free char *path = NULL;
    auto_fd int mem = -1;

    if (asprintf(&path, "/proc/%d/mem", (int)pid) < 0)
        return err_sys(e, "memory of process %d", (int)pid);
    mem = open(path, O_RDWR | O_CLOEXEC);
    if (mem < 0)
        return err_sys(e, "open %s", path);
    if (proc_maps_read(pid, &maps, e) < 0)
        return -1;
    at = find(mem, &maps);
    proc_maps_free(&maps);
    if (!at || pread(mem, &size, sizeof(size), (off_t)at) != sizeof(size) ||
        size % PLACE_ALIGN != 0 || size < LEGACY_SIZE || size > PLACE_MAX ||
        size >= needed)
        return 0;
    if (pwrite(mem, &needed, sizeof(needed), (off_t)at) != sizeof(needed))
        return err_sys(e,
                       "process %d was started on a CPU with fewer registers, and its "
                       "ld.so cannot be told",
                       (int)pid);
    return 0;
}
