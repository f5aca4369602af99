/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended registers moved between CPUs that are not here. */
#include "native/arch/x86_64/xstate.h"

#include "base/err.h"
#include "image/codec.h"
#include "image/image.h"
#include "native/arch/arch.h"
#include "tap.h"

#include <stdlib.h>

static struct err e;

enum {
    HEADER = 512,
    SW_FEATURES = 464,
    AVX = 2,
    OPMASK = 5,
    ZMM_HIGH = 6,
    ZMM_16 = 7,
    PKRU = 9,
    X87_SSE_AVX = 7,
    WITH_AVX512 = 0xe7,
    WITH_PKRU = 0x200,
};

/* A Xeon with AVX-512 and protection keys, an EPYC 9004, one before it. */
static const struct xstate_layout intel = {WITH_AVX512 | WITH_PKRU,
                                           {[AVX] = {576, 256},
                                            [OPMASK] = {1088, 64},
                                            [ZMM_HIGH] = {1152, 512},
                                            [ZMM_16] = {1664, 1024},
                                            [PKRU] = {2688, 8}}};
static const struct xstate_layout amd = {WITH_AVX512 | WITH_PKRU,
                                         {[AVX] = {576, 256},
                                          [OPMASK] = {832, 64},
                                          [ZMM_HIGH] = {896, 512},
                                          [ZMM_16] = {1408, 1024},
                                          [PKRU] = {2432, 8}}};
static const struct xstate_layout avx_only = {X87_SSE_AVX, {[AVX] = {576, 256}}};
static const struct xstate_layout sse_only = {3, {{0}}};

struct area {
    uint8_t data[4096];
    struct image_blob blob;
};

static size_t size_of(const struct xstate_layout *l)
{
    size_t size = 576;

    for (int i = 2; i < XSTATE_COMPONENTS; i++)
        if (l->component[i].offset + l->component[i].size > size)
            size = l->component[i].offset + l->component[i].size;
    return size;
}

/* Every byte of a component says which one it is of. */
static uint8_t byte_of(int component, size_t at)
{
    return 37 * component + 11 * at + 1;
}

static void fill(struct area *a, const struct xstate_layout *l, uint64_t in_use)
{
    memset(a, 0, sizeof(*a));
    for (int i = 0; i < 464; i++)
        a->data[i] = byte_of(0, i);
    memcpy(a->data + SW_FEATURES, &l->features, 8);
    memcpy(a->data + HEADER, &in_use, 8);
    for (int i = 2; i < XSTATE_COMPONENTS; i++)
        for (size_t k = 0; in_use >> i & 1 && k < l->component[i].size; k++)
            a->data[l->component[i].offset + k] = byte_of(i, k);
    a->blob = (struct image_blob){a->data, size_of(l)};
}

static struct image_blob encode(const struct xstate_layout *l)
{
    struct image_blob blob = {0};
    struct enc enc = {0};

    for (int i = 0; i < XSTATE_COMPONENTS; i++) {
        enc_u32(&enc, l->component[i].offset);
        enc_u32(&enc, l->component[i].size);
    }
    CHECK_INT(enc_blob(&enc, &blob, &e), 0);
    return blob;
}

static int relay(const struct area *from, const struct xstate_layout *old,
                 const struct xstate_layout *own, struct area *to)
{
    struct image_blob layout = encode(old), out = {0};
    int rc = xstate_relay(&from->blob, &layout, own, &out, &e);

    free(layout.data);
    if (rc < 0)
        return -1;
    CHECK_INT(out.size, size_of(own));
    memset(to, 0, sizeof(*to));
    memcpy(to->data, out.data, out.size);
    to->blob = (struct image_blob){to->data, out.size};
    free(out.data);
    return 0;
}

/* What a CPU with this layout would have saved itself. */
static void check_is(const struct area *got, const struct xstate_layout *l,
                     uint64_t in_use)
{
    struct area wanted;

    fill(&wanted, l, in_use);
    CHECK_INT(got->blob.size, wanted.blob.size);
    for (size_t i = 0; i < wanted.blob.size; i++)
        if (got->data[i] != wanted.data[i]) {
            printf("# byte %zu is %d, not %d\n", i, got->data[i], wanted.data[i]);
            CHECK(!"the same");
            return;
        }
}

static void components_move_to_the_other_vendors_places(void)
{
    struct area from, to, back;

    fill(&from, &intel, WITH_AVX512 | WITH_PKRU);
    CHECK_INT(relay(&from, &intel, &amd, &to), 0);
    check_is(&to, &amd, WITH_AVX512 | WITH_PKRU);
    CHECK_INT(relay(&to, &amd, &intel, &back), 0);
    check_is(&back, &intel, WITH_AVX512 | WITH_PKRU);
}

static void a_larger_cpu_has_the_rest_in_its_initial_state(void)
{
    struct area from, to;

    fill(&from, &avx_only, X87_SSE_AVX);
    CHECK_INT(relay(&from, &avx_only, &intel, &to), 0);
    check_is(&to, &intel, X87_SSE_AVX);
    fill(&from, &sse_only, 3);
    CHECK_INT(relay(&from, &sse_only, &avx_only, &to), 0);
    check_is(&to, &avx_only, 3);
}

static void what_is_not_in_use_may_be_missing(void)
{
    struct area from, to;

    fill(&from, &intel, X87_SSE_AVX);
    CHECK_INT(relay(&from, &intel, &avx_only, &to), 0);
    check_is(&to, &avx_only, X87_SSE_AVX);
    fill(&from, &intel, 3);
    CHECK_INT(relay(&from, &intel, &sse_only, &to), 0);
    check_is(&to, &sse_only, 3);
}

static void what_is_in_use_and_missing_is_refused_by_name(void)
{
    struct area from, to;

    fill(&from, &intel, WITH_AVX512);
    CHECK_INT(relay(&from, &intel, &avx_only, &to), -1);
    CHECK_INT(e.kind, ERR_WRONG_HOST);
    CHECK_STR(e.text,
              "the image uses avx512 k registers, which this CPU does not have");
    fill(&from, &avx_only, X87_SSE_AVX);
    CHECK_INT(relay(&from, &avx_only, &sse_only, &to), -1);
    CHECK_HAS(e.text, "uses avx registers");
}

/* A CPU may say so of registers that were used once, and cleared. */
static void what_is_in_use_but_initial_may_be_missing(void)
{
    struct area from, to;

    fill(&from, &intel, WITH_AVX512);
    for (int i = OPMASK; i <= ZMM_16; i++)
        memset(from.data + intel.component[i].offset, 0, intel.component[i].size);
    CHECK_INT(relay(&from, &intel, &avx_only, &to), 0);
    check_is(&to, &avx_only, X87_SSE_AVX);
    from.data[intel.component[ZMM_16].offset + 1023] = 1;
    CHECK_INT(relay(&from, &intel, &avx_only, &to), -1);
    CHECK_HAS(e.text, "uses avx512 high registers");
}

/* Linux starts every process with it, so that it is always in use. */
static void an_untouched_pkru_is_no_reason(void)
{
    const uint32_t untouched = 0x55555554, changed = 0x55555550;
    struct area from, to;

    fill(&from, &intel, X87_SSE_AVX | WITH_PKRU);
    memcpy(from.data + intel.component[PKRU].offset, &untouched, sizeof(untouched));
    CHECK_INT(relay(&from, &intel, &avx_only, &to), 0);
    check_is(&to, &avx_only, X87_SSE_AVX);
    CHECK_INT(relay(&from, &intel, &amd, &to), 0);
    CHECK(memcmp(to.data + amd.component[PKRU].offset, &untouched, 4) == 0);
    memcpy(from.data + intel.component[PKRU].offset, &changed, sizeof(changed));
    CHECK_INT(relay(&from, &intel, &avx_only, &to), -1);
    CHECK_HAS(e.text, "uses pkru registers");
}

static void check_corrupt(const struct area *from, const struct xstate_layout *old,
                          const char *message)
{
    struct area to;

    e.kind = ERR_NONE;
    CHECK_INT(relay(from, old, &intel, &to), -1);
    CHECK_INT(e.kind, ERR_CORRUPT);
    CHECK_HAS(e.text, message);
}

static void an_area_that_does_not_fit_its_layout_is_refused(void)
{
    struct xstate_layout wrong = intel;
    struct area from;

    fill(&from, &intel, WITH_AVX512);
    from.blob.size = 1700;
    check_corrupt(&from, &intel, "avx512 high has a wrong size");
    from.blob.size = 575;
    check_corrupt(&from, &intel, "575 bytes");
    fill(&from, &intel, WITH_AVX512);
    wrong.component[ZMM_HIGH].size = 500;
    check_corrupt(&from, &wrong, "avx512 has a wrong size");
    wrong.component[ZMM_HIGH].size = 0;
    check_corrupt(&from, &wrong, "avx512 has a wrong size");
    wrong.component[ZMM_HIGH] = (struct xstate_component){1 << 30, 512};
    check_corrupt(&from, &wrong, "too large");
    fill(&from, &intel, WITH_AVX512 | 1ull << 40);
    check_corrupt(&from, &intel, "unknown has a wrong size");
}

static void the_compacted_format_is_refused(void)
{
    const uint64_t compacted = 1ull << 63 | 7;
    struct area from;

    fill(&from, &intel, X87_SSE_AVX);
    memcpy(from.data + HEADER + 8, &compacted, sizeof(compacted));
    check_corrupt(&from, &intel, "not in the standard format");
}

static void a_layout_that_is_cut_is_refused(void)
{
    struct image_blob layout = encode(&intel), out = {0};
    struct area from;

    fill(&from, &intel, X87_SSE_AVX);
    layout.size--;
    CHECK_INT(xstate_relay(&from.blob, &layout, &intel, &out, &e), -1);
    CHECK_INT(e.kind, ERR_CORRUPT);
    CHECK(!out.data);
    free(layout.data);
}

static void this_machine_has_a_layout(void)
{
    struct image_blob layout = {0};
    uint64_t features;

    CHECK_INT(arch_xlayout(&features, &layout, &e), 0);
    CHECK((features & 3) == 3);
    CHECK_INT(layout.size, XSTATE_COMPONENTS * 8);
    free(layout.data);
}

int main(void)
{
    RUN(components_move_to_the_other_vendors_places);
    RUN(a_larger_cpu_has_the_rest_in_its_initial_state);
    RUN(what_is_not_in_use_may_be_missing);
    RUN(what_is_in_use_and_missing_is_refused_by_name);
    RUN(what_is_in_use_but_initial_may_be_missing);
    RUN(an_untouched_pkru_is_no_reason);
    RUN(an_area_that_does_not_fit_its_layout_is_refused);
    RUN(the_compacted_format_is_refused);
    RUN(a_layout_that_is_cut_is_refused);
    RUN(this_machine_has_a_layout);
    return tap_done();
}
