/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where ld.so of this process has the size of the place into which it saves registers
 * with XSAVE while it looks a function up (lazy binding; src/place/binding.h). It is
 * read only after ld.so's own start.
 */
#ifndef LIB_PLACE_OF_REGISTERS_H
#define LIB_PLACE_OF_REGISTERS_H

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The size on a CPU without AVX. */
enum { LESSER = 640 };

/* The operand of `and $-64,%rsp; sub SIZE(%rip),%rsp` in ld.so's trampolines. */
static inline int look_for_place(struct dl_phdr_info *info, size_t size, void *arg)
{
    static const uint8_t code[] = {0x48, 0x83, 0xe4, 0xc0, 0x48, 0x2b, 0x25};
    const uint64_t **place = arg;

    (void)size;
    for (int i = 0; strstr(info->dlpi_name, "/ld-") && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const char *text = (const char *)info->dlpi_addr + h->p_vaddr;
        const char *found = NULL;
        int32_t distance;

        if (h->p_type == PT_LOAD && (h->p_flags & PF_X))
            found = memmem(text, h->p_memsz, code, sizeof(code));
        if (!found)
            continue;
        memcpy(&distance, found + sizeof(code), sizeof(distance));
        *place = (const uint64_t *)(found + sizeof(code) + sizeof(distance) + distance);
    }
    return *place != NULL;
}

/* NULL: this CPU has no AVX, or this ld.so saves no registers with XSAVE. */
static inline const uint64_t *find_place(void)
{
    const uint64_t *place = NULL;

    if (__builtin_cpu_supports("avx"))
        dl_iterate_phdr(look_for_place, &place);
    return place;
}

/* In process `pid`, which has ld.so at the same address; -1 on failure. */
static inline int set_place(pid_t pid, const uint64_t *place, uint64_t size)
{
    char path[40];
    ssize_t n;
    int mem;

    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    mem = open(path, O_WRONLY | O_CLOEXEC);
    n = pwrite(mem, &size, sizeof(size), (off_t)(uintptr_t)place);
    close(mem);
    return n == sizeof(size) ? 0 : -1;
}

#endif
