/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The XSAVE area in its standard format, laid out anew for another CPU: where a
 * component lies differs between vendors (Intel SDM volume 1, 13.4; CPUID leaf 0xD).
 * Apart from ptrace, so that it can be tried on CPUs that are not there.
 */
#ifndef NATIVE_ARCH_X86_64_XSTATE_H
#define NATIVE_ARCH_X86_64_XSTATE_H

#include <stdint.h>

struct err;
struct image_blob;

enum { XSTATE_COMPONENTS = 63 };

struct xstate_component {
    uint32_t offset, size; /* size 0: this CPU does not have it */
};

struct xstate_layout {
    uint64_t features; /* XCR0 */
    struct xstate_component component[XSTATE_COMPONENTS];
};

/*
 * `from`, saved on a host with the layout `xlayout` (image.xlayout), for a host with
 * `own`. Components that were in their initial state are so again. One that was in use
 * and does not exist here is ERR_WRONG_HOST and named, but for one that is all zero,
 * and for a PKRU that still has Linux's default value. ERR_CORRUPT: the area does not
 * fit its layout, or is in the compacted format, which ptrace never gives. The caller
 * frees out->data.
 */
int xstate_relay(const struct image_blob *from, const struct image_blob *xlayout,
                 const struct xstate_layout *own, struct image_blob *out,
                 struct err *e);

#endif
