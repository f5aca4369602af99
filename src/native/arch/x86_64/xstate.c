/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Floating point and vector registers: the XSAVE area in its standard format (Intel SDM
 * volume 1, chapter 13). Where a component lies in it differs between CPUs, and CPUID
 * leaf 0xD tells; an area of one CPU is laid out anew for another, component by
 * component.
 */
#include "native/arch/arch.h"

#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "image/image.h"

#include <cpuid.h>
#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum {
    XSAVE_SW_FEATURES = 464, /* the kernel notes here which components it saved */
    XSAVE_HEADER = 512,      /* XSTATE_BV, XCOMP_BV */
    XSAVE_EXTENDED = 576,    /* the first component after x87 and SSE */
    XSAVE_MAX = 64 << 10,
    N_COMPONENTS = 63,
};

struct component {
    uint32_t offset, size;
};

struct layout {
    struct component component[N_COMPONENTS];
};

static uint64_t read_xcr0(void)
{
    uint32_t a, b, c, d;

    /* Without OSXSAVE xgetbv faults, and there is only x87 and SSE. */
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 3;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

static void read_layout(struct layout *l)
{
    uint64_t xcr0 = read_xcr0();

    memset(l, 0, sizeof(*l));
    for (int i = 2; i < N_COMPONENTS; i++) {
        uint32_t a, b, c, d;

        if (!(xcr0 >> i & 1))
            continue;
        __cpuid_count(0xd, i, a, b, c, d);
        l->component[i] = (struct component){b, a};
    }
}

int arch_xlayout(uint64_t *xfeatures, struct image_blob *xlayout, struct err *e)
{
    struct enc enc = {0};
    struct layout l;

    *xfeatures = read_xcr0();
    read_layout(&l);
    for (int i = 0; i < N_COMPONENTS; i++) {
        enc_u32(&enc, l.component[i].offset);
        enc_u32(&enc, l.component[i].size);
    }
    return enc_blob(&enc, xlayout, e);
}

int arch_get_xstate(pid_t tid, struct image_blob *xstate, struct err *e)
{
    auto_free uint8_t *area = calloc(1, XSAVE_MAX);
    struct iovec iov = {area, XSAVE_MAX};

    if (!area)
        return err_sys(e, "read extended registers");
    if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
        return err_sys(e, "read extended registers of thread %d", tid);
    if (iov.iov_len < XSAVE_EXTENDED)
        return err_set(e, ERR_REFUSED,
                       "thread %d: this CPU has no XSAVE, which saving needs", tid);
    xstate->data = take_ptr(area);
    xstate->size = iov.iov_len;
    return 0;
}

static int decode_layout(const struct image_blob *blob, struct layout *l, struct err *e)
{
    struct dec dec = {.data = blob->data, .size = blob->size};

    for (int i = 0; i < N_COMPONENTS; i++) {
        l->component[i].offset = dec_u32(&dec);
        l->component[i].size = dec_u32(&dec);
        if (l->component[i].offset > XSAVE_MAX || l->component[i].size > XSAVE_MAX)
            return err_set(e, ERR_CORRUPT,
                           "extended registers: component %d is too large", i);
    }
    return dec_end(&dec, "layout of the extended registers", e);
}

static const char *component_name(int i)
{
    static const char *const names[] = {
        "x87",         "sse", "avx",  "mpx bounds", "mpx",      "avx512 k",   "avx512",
        "avx512 high", "pt",  "pkru", "pasid",      "cet user", "cet kernel", "hdc",
        "uintr",       "lbr", "hwp",  "amx config", "amx tiles"};

    return i < (int)(sizeof(names) / sizeof(names[0])) ? names[i] : "unknown";
}

/* Moves the components of `from`, laid out as `old`, to where this CPU has them. */
static int relay(const struct image_blob *from, const struct layout *old,
                 const struct layout *own, uint8_t *area, size_t *size, struct err *e)
{
    const uint8_t *old_area = from->data;
    uint64_t present, own_features = read_xcr0();

    memcpy(&present, old_area + XSAVE_HEADER, sizeof(present));
    memcpy(area, old_area, XSAVE_EXTENDED);
    memcpy(area + XSAVE_SW_FEATURES, &own_features, sizeof(own_features));
    *size = XSAVE_EXTENDED;
    for (int i = 2; i < N_COMPONENTS; i++) {
        const struct component *o = &old->component[i], *n = &own->component[i];

        if (n->offset + n->size > *size)
            *size = n->offset + n->size;
        if (!(present >> i & 1))
            continue;
        if (!n->size)
            return err_set(e, ERR_REFUSED,
                           "the image uses %s registers, which this CPU does not have",
                           component_name(i));
        if (o->size != n->size || o->offset + o->size > from->size)
            return err_set(e, ERR_CORRUPT, "extended registers: %s has a wrong size",
                           component_name(i));
        memcpy(area + n->offset, old_area + o->offset, n->size);
    }
    return 0;
}

int arch_set_xstate(pid_t tid, const struct image_blob *xstate,
                    const struct image_blob *xlayout, struct err *e)
{
    auto_free uint8_t *area = calloc(1, 2 * XSAVE_MAX);
    struct layout old, own;
    struct iovec iov = {area, 0};

    if (!area)
        return err_sys(e, "set extended registers");
    if (xstate->size < XSAVE_EXTENDED || xstate->size > XSAVE_MAX)
        return err_set(e, ERR_CORRUPT, "extended registers of thread %d: %zu bytes",
                       tid, xstate->size);
    if (decode_layout(xlayout, &old, e) < 0)
        return -1;
    read_layout(&own);
    if (relay(xstate, &old, &own, area, &iov.iov_len, e) < 0)
        return -1;
    if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
        return err_sys(e, "set extended registers of thread %d", tid);
    return 0;
}
