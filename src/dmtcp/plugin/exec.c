/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plugin of DMTCP 4 for every job: a library that dmtcp_launch loads into each of its
 * processes (--with-plugin), before its own libraries.
 *
 * In every process DMTCP reserves memory for a later restart. A program that is
 * executed in it (execve(2)) is told where the reserve of the one before was, and 4.2
 * begins by giving that back and reserving it anew, at the same address. But its memory
 * is another program's now, at addresses that the kernel chose at random: what lies
 * there, mostly nothing, is lost. One of some ten thousand programs dies of it, as soon
 * as it starts, whether the job is ever saved or not, and a shell goes on without it.
 *
 * So the reserve that this program has not made is not given back, and its address is
 * no more than a wish. From its own reserve on nothing is changed.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

/* The reserve is 90 MiB; nothing else of DMTCP's that is given back at a start is. */
enum { LARGE = 16 << 20 };

/* From its plugin interface, dmtcp.h. */
const char *dmtcp_get_tmpdir(void) __attribute__((weak));
void *dmtcp_dlsym(void *handle, const char *symbol) __attribute__((weak));

static bool has_reserve;
static void *foreign; /* where the program before had its reserve */

static void *next(const char *name)
{
    return dmtcp_dlsym ? dmtcp_dlsym(RTLD_NEXT, name) : dlsym(RTLD_NEXT, name);
}

/* Does DMTCP's main library call? */
static bool is_dmtcp(const void *caller)
{
    Dl_info who, dmtcp;

    return dmtcp_get_tmpdir && dladdr(caller, &who) &&
           dladdr((void *)dmtcp_get_tmpdir, &dmtcp) && who.dli_fbase == dmtcp.dli_fbase;
}

__attribute__((visibility("default"))) int munmap(void *address, size_t size)
{
    static int (*real)(void *, size_t);

    if (!has_reserve && size >= LARGE && is_dmtcp(__builtin_return_address(0))) {
        foreign = address;
        return 0;
    }
    if (!real)
        real = next("munmap");
    return real(address, size);
}

/* The function of this name, which the headers call mmap64 here. */
void *reserve(void *address, size_t size, int prot, int flags, int fd,
              off_t offset) __asm__("mmap");

__attribute__((visibility("default"))) void *
reserve(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);

    if (!has_reserve && size >= LARGE && prot == PROT_NONE && (flags & MAP_SHARED) &&
        is_dmtcp(__builtin_return_address(0))) {
        has_reserve = true;
        if (address == foreign)
            flags &= ~MAP_FIXED;
    }
    if (!real)
        real = next("mmap");
    return real(address, size, prot, flags, fd, offset);
}
