/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPUs made up from what CPUID answers. */
#include "cpu/x86.h"

#include "base/err.h"
#include "tap.h"

static struct err e;

struct answer {
    uint32_t leaf, subleaf;
    struct x86_leaf says;
};

struct machine {
    const struct answer *answers;
    size_t count;
    uint64_t xcr0;
    bool was_asked_for_xcr0;
};

static void cpuid(void *arg, uint32_t leaf, uint32_t subleaf, struct x86_leaf *out)
{
    const struct machine *m = arg;

    *out = (struct x86_leaf){0};
    for (size_t i = 0; i < m->count; i++)
        if (m->answers[i].leaf == leaf && m->answers[i].subleaf == subleaf)
            *out = m->answers[i].says;
}

static uint64_t xcr0(void *arg)
{
    struct machine *m = arg;

    m->was_asked_for_xcr0 = true;
    return m->xcr0;
}

static void read_machine(struct machine *m, struct cpu *c)
{
    const struct x86_machine x = {
        .arg = m, .cpuid = cpuid, .xcr0 = xcr0, .fsgsbase = true};

    CHECK_INT(x86_read(&x, c, &e), 0);
}

#define MACHINE(list, state)                                 \
    (struct machine)                                         \
    {                                                        \
        list, sizeof(list) / sizeof((list)[0]), state, false \
    }

enum {
    EDX_V1 = 1 << 0 | 1 << 8 | 1 << 15 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26,
    ECX_V2 = 1 << 0 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23,
    ECX_V3 = ECX_V2 | 1 << 12 | 1 << 22 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29,
    EBX7_V3 = 1 << 3 | 1 << 5 | 1 << 8,
};
static const uint32_t ebx7_v4 =
    EBX7_V3 | 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;

/* "GenuineIntel", "AuthenticAMD" in EBX, EDX, ECX. */
#define INTEL                                    \
    {                                            \
        0x1b, 0x756e6547, 0x6c65746e, 0x49656e69 \
    }
#define AMD                                      \
    {                                            \
        0x10, 0x68747541, 0x444d4163, 0x69746e65 \
    }

/* An Opteron of 2003: no leaf 7, no XSAVE. */
static const struct answer sse2_only[] = {
    {0, 0, {1, 0x68747541, 0x444d4163, 0x69746e65}},
    {1, 0, {0xf5a, 0, 0, EDX_V1}},
    {0x80000000, 0, {0x80000001, 0, 0, 0}},
    {0x80000001, 0, {0, 0, 0, 1 << 29}},
};

/* A Skylake-X and an EPYC 9004: the same components of XSAVE in other places. */
static const struct answer intel_avx512[] = {
    {0, 0, INTEL},
    {1, 0, {0x50654, 0, ECX_V3 | 1 << 25 | 1 << 1, EDX_V1}},
    {7, 0, {0, ebx7_v4, 0, 0}},
    {0xd, 1, {0xf, 0, 0, 0}},
    {0xd, 2, {256, 576, 0, 0}},
    {0xd, 5, {64, 1088, 0, 0}},
    {0xd, 6, {512, 1152, 0, 0}},
    {0xd, 7, {1024, 1664, 0, 0}},
    {0xd, 9, {8, 2688, 0, 0}},
    {0x80000000, 0, {0x80000008, 0, 0, 0}},
    {0x80000001, 0, {0, 0, 1 << 0 | 1 << 5, 1 << 27}},
    {0x80000002, 0, {0x20202020, 0x65746e49, 0x2952286c, 0x6f655820}},
    {0x80000003, 0, {0x2952286e, 0x6c6f4720, 0x00000064, 0}},
};
static const struct answer amd_avx512[] = {
    {0, 0, AMD},
    {1, 0, {0xa10f11, 0, ECX_V3 | 1 << 25 | 1 << 1, EDX_V1}},
    {7, 0, {1, ebx7_v4 | 1 << 29, 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11, 0}},
    {7, 1, {1 << 5, 0, 0, 0}},
    {0xd, 1, {0xf, 0, 0, 0}},
    {0xd, 2, {256, 576, 0, 0}},
    {0xd, 5, {64, 832, 0, 0}},
    {0xd, 6, {512, 896, 0, 0}},
    {0xd, 7, {1024, 1408, 0, 0}},
    {0xd, 9, {8, 2432, 0, 0}},
    {0x80000000, 0, {0x80000028, 0, 0, 0}},
    {0x80000001, 0, {0, 0, 1 << 0 | 1 << 5 | 1 << 6, 1 << 27}},
};

static void an_old_cpu_has_what_it_has(void)
{
    struct machine m = MACHINE(sse2_only, 7);
    struct cpu c;

    read_machine(&m, &c);
    CHECK_STR(c.vendor, "AuthenticAMD");
    CHECK_STR(c.name, "");
    CHECK_INT(c.family, 15);
    CHECK_INT(c.model, 5);
    CHECK_INT(c.stepping, 10);
    CHECK_INT(cpu_level(c.arch, &c.flags), 1);
    CHECK_INT(c.flags.count, 7);
    CHECK(!m.was_asked_for_xcr0);
    CHECK_INT(c.xcr0, 0);
}

static void two_vendors_lay_the_same_state_out_differently(void)
{
    struct machine intel = MACHINE(intel_avx512, 0x2e7),
                   amd = MACHINE(amd_avx512, 0x2e7);
    struct cpu c;

    read_machine(&intel, &c);
    CHECK_STR(c.vendor, "GenuineIntel");
    CHECK_STR(c.name, "Intel(R) Xeon(R) Gold");
    CHECK_INT(c.family, 6);
    CHECK_INT(c.model, 0x55);
    CHECK_INT(cpu_level(c.arch, &c.flags), 4);
    CHECK_INT(c.component[5].offset, 1088);
    CHECK_INT(c.component[9].offset, 2688);
    read_machine(&amd, &c);
    CHECK_INT(c.family, 25);
    CHECK_INT(c.model, 0x11);
    CHECK_INT(cpu_level(c.arch, &c.flags), 4);
    CHECK_INT(c.component[5].offset, 832);
    CHECK_INT(c.component[5].size, 64);
    CHECK(cpu_flags_has(&c.flags, "avx512_bf16") && cpu_flags_has(&c.flags, "gfni"));
    CHECK(cpu_flags_has(&c.flags, "sse4a") && cpu_flags_has(&c.flags, "sha_ni"));
}

/* Linux with clearcpuid or noxsave, a hypervisor that masks state but not the flags. */
static void what_the_kernel_did_not_enable_is_not_offered(void)
{
    struct machine no_avx512 = MACHINE(amd_avx512, 0x7),
                   no_avx = MACHINE(amd_avx512, 3);
    struct cpu c;

    read_machine(&no_avx512, &c);
    CHECK_INT(cpu_level(c.arch, &c.flags), 3);
    CHECK(!cpu_flags_has(&c.flags, "avx512f") &&
          !cpu_flags_has(&c.flags, "avx512_bf16"));
    CHECK(cpu_flags_has(&c.flags, "vaes"));
    CHECK_INT(c.component[5].size, 0);
    read_machine(&no_avx, &c);
    CHECK_INT(cpu_level(c.arch, &c.flags), 2);
    CHECK(!cpu_flags_has(&c.flags, "fma") && !cpu_flags_has(&c.flags, "vaes"));
    CHECK(cpu_flags_has(&c.flags, "gfni") && cpu_flags_has(&c.flags, "bmi2"));
}

/* A virtual machine that was told to hide avx, and still has avx2 and avx512f. */
static void a_flag_counts_only_with_what_it_builds_on(void)
{
    struct answer masked[sizeof(intel_avx512) / sizeof(intel_avx512[0])];
    struct machine m = MACHINE(masked, 0x2e7);
    struct cpu c;

    memcpy(masked, intel_avx512, sizeof(masked));
    masked[1].says.c &= ~(1u << 28);
    read_machine(&m, &c);
    CHECK(!cpu_flags_has(&c.flags, "avx2") && !cpu_flags_has(&c.flags, "avx512vl"));
    CHECK(cpu_flags_has(&c.flags, "bmi1"));
    CHECK_INT(cpu_level(c.arch, &c.flags), 2);
}

static void leaves_that_do_not_exist_are_not_believed(void)
{
    struct answer few[sizeof(amd_avx512) / sizeof(amd_avx512[0])];
    struct machine m = MACHINE(few, 0x2e7);
    struct cpu c;

    memcpy(few, amd_avx512, sizeof(few));
    few[2].says.a = 0; /* leaf 7 ends with subleaf 0 */
    few[10].says.a = 0;
    read_machine(&m, &c);
    CHECK(!cpu_flags_has(&c.flags, "avx512_bf16") && !cpu_flags_has(&c.flags, "abm"));
    few[0].says.a = 1;
    read_machine(&m, &c);
    CHECK(!cpu_flags_has(&c.flags, "avx2") && cpu_flags_has(&c.flags, "avx"));
}

static void names_are_made_printable(void)
{
    static const struct answer odd[] = {
        {0, 0, {1, 0x01020304, 0xffffffff, 0x41414141}},
        {1, 0, {0, 0, 0, EDX_V1}},
        {0x80000000, 0, {0x80000004, 0, 0, 0}},
        {0x80000002, 0, {0x41414141, 0x41414141, 0x41414141, 0x41414141}},
        {0x80000003, 0, {0x41414141, 0x41414141, 0x41414141, 0x41414141}},
        {0x80000004, 0, {0x41414141, 0x41414141, 0x41414141, 0x41414141}},
    };
    struct machine m = MACHINE(odd, 0);
    char text[CPU_TEXT_SIZE];
    struct cpu c, again;

    read_machine(&m, &c);
    CHECK_STR(c.vendor, "????AAAA????");
    CHECK_INT(strlen(c.name), 48);
    CHECK_INT(cpu_format(&c, text, sizeof(text), &e), 0);
    CHECK_INT(cpu_parse(text, &again, &e), 0);
}

static void every_flag_has_its_parents_state(void)
{
    const char *name;

    CHECK_INT(x86_state("avx512_vnni"), 0xe6);
    CHECK_INT(x86_state("fma"), 6);
    CHECK_INT(x86_state("amx_int8"), 0x60000);
    CHECK_INT(x86_state("aes"), 0);
    CHECK_INT(x86_state("nonsense"), 0);
    for (size_t i = 0; (name = x86_flag(i)); i++)
        if (x86_parent(name)) {
            CHECK(x86_flag_level(name) == 0 ||
                  x86_flag_level(x86_parent(name)) <= x86_flag_level(name));
            CHECK(strcmp(x86_parent(name), name) != 0);
        }
}

int main(void)
{
    RUN(an_old_cpu_has_what_it_has);
    RUN(two_vendors_lay_the_same_state_out_differently);
    RUN(what_the_kernel_did_not_enable_is_not_offered);
    RUN(a_flag_counts_only_with_what_it_builds_on);
    RUN(leaves_that_do_not_exist_are_not_believed);
    RUN(names_are_made_printable);
    RUN(every_flag_has_its_parents_state);
    return tap_done();
}
