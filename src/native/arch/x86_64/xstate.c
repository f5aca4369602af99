/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Floating point and vector registers: the XSAVE area in its standard format (Intel SDM
 * volume 1, chapter 13). Where a component lies in it differs between CPUs, and CPUID
 * leaf 0xD tells; an area of one CPU is laid out anew for another, component by
 * component.
 */
#include "native/arch/x86_64/xstate.h"

#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "image/image.h"
#include "native/arch/arch.h"

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
    N_COMPONENTS = XSTATE_COMPONENTS,

    COMPONENT_PKRU = 9,
    PKRU_DEFAULT = 0x55555554, /* init_pkru_value, arch/x86/mm/pkeys.c, Linux 4.9 */
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

static void read_layout(struct xstate_layout *l)
{
    memset(l, 0, sizeof(*l));
    l->features = read_xcr0();
    for (int i = 2; i < N_COMPONENTS; i++) {
        uint32_t a, b, c, d;

        if (!(l->features >> i & 1))
            continue;
        __cpuid_count(0xd, i, a, b, c, d);
        l->component[i] = (struct xstate_component){b, a};
    }
}

int arch_xlayout(uint64_t *xfeatures, struct image_blob *xlayout, struct err *e)
{
    struct enc enc = {0};
    struct xstate_layout l;

    read_layout(&l);
    *xfeatures = l.features;
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

static int decode_layout(const struct image_blob *blob, struct xstate_layout *l,
                         struct err *e)
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

/* All zero, which is the initial state of each component from 2 on: a CPU may take one
 * for in use all the same (SDM 13.6). */
static bool is_initial(const uint8_t *component, size_t size)
{
    for (size_t k = 0; k < size; k++)
        if (component[k] != 0)
            return false;
    return true;
}

/* What says nothing, and need not be put back where there is no place for it. Linux
 * gives every process a PKRU that is not in its initial state; here one that no program
 * has changed. */
static bool is_untouched(int i, const uint8_t *component, size_t size)
{
    uint32_t pkru;

    if (is_initial(component, size))
        return true;
    if (i != COMPONENT_PKRU || size < sizeof(pkru))
        return false;
    memcpy(&pkru, component, sizeof(pkru));
    return pkru == PKRU_DEFAULT;
}

/* Whether component `i`, which is in use, is left out; -1: it cannot be placed. */
static int place(int i, const struct image_blob *from, const struct xstate_component *o,
                 const struct xstate_component *n, uint8_t *area, struct err *e)
{
    const uint8_t *old_area = from->data;

    if (o->size == 0 || o->offset + o->size > from->size)
        return err_set(e, ERR_CORRUPT, "extended registers: %s has a wrong size",
                       component_name(i));
    if (n->size == 0 && is_untouched(i, old_area + o->offset, o->size))
        return 1;
    if (n->size == 0)
        return err_set(e, ERR_WRONG_HOST,
                       "the image uses %s registers, which this CPU does not have",
                       component_name(i));
    if (o->size != n->size)
        return err_set(e, ERR_CORRUPT, "extended registers: %s has a wrong size",
                       component_name(i));
    memcpy(area + n->offset, old_area + o->offset, n->size);
    return 0;
}

static int check_area(const struct image_blob *from, struct err *e)
{
    uint64_t compacted;

    if (from->size < XSAVE_EXTENDED || from->size > XSAVE_MAX)
        return err_set(e, ERR_CORRUPT, "extended registers of %zu bytes", from->size);
    memcpy(&compacted, (const uint8_t *)from->data + XSAVE_HEADER + 8,
           sizeof(compacted));
    if (compacted != 0)
        return err_set(e, ERR_CORRUPT,
                       "extended registers are not in the standard format");
    return 0;
}

static size_t area_size(const struct xstate_layout *l)
{
    size_t size = XSAVE_EXTENDED;

    for (int i = 2; i < N_COMPONENTS; i++)
        if (l->component[i].offset + l->component[i].size > size)
            size = l->component[i].offset + l->component[i].size;
    return size;
}

int xstate_relay(const struct image_blob *from, const struct image_blob *xlayout,
                 const struct xstate_layout *own, struct image_blob *out, struct err *e)
{
    size_t size = area_size(own);
    auto_free uint8_t *area = calloc(1, size);
    struct xstate_layout old = {0};
    uint64_t present;

    if (!area)
        return err_sys(e, "set extended registers");
    if (check_area(from, e) < 0 || decode_layout(xlayout, &old, e) < 0)
        return -1;
    memcpy(area, from->data, XSAVE_EXTENDED);
    memcpy(area + XSAVE_SW_FEATURES, &own->features, sizeof(own->features));
    memcpy(&present, area + XSAVE_HEADER, sizeof(present));
    for (int i = 2; i < N_COMPONENTS; i++) {
        int left_out = 0;

        if (present >> i & 1)
            left_out = place(i, from, &old.component[i], &own->component[i], area, e);
        if (left_out < 0)
            return -1;
        if (left_out)
            present &= ~((uint64_t)1 << i);
    }
    memcpy(area + XSAVE_HEADER, &present, sizeof(present));
    out->data = take_ptr(area);
    out->size = size;
    return 0;
}

int arch_set_xstate(pid_t tid, const struct image_blob *xstate,
                    const struct image_blob *xlayout, struct err *e)
{
    auto_free void *area = NULL;
    struct image_blob here = {0};
    struct xstate_layout own;
    struct iovec iov;

    read_layout(&own);
    if (xstate_relay(xstate, xlayout, &own, &here, e) < 0)
        return err_wrap(e, "thread %d", tid);
    area = here.data;
    iov = (struct iovec){here.data, here.size};
    if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
        return err_sys(e, "set extended registers of thread %d", tid);
    return 0;
}
