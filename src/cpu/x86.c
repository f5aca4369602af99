/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/x86.h"

#include "base/err.h"

#include <string.h>

enum { EAX, EBX, ECX, EDX };

/* The leaves and subleaves of CPUID that have flags. */
enum { L1, L7, L7_1, LD_1, LX1, N_LEAVES };
static const uint32_t leaves[N_LEAVES][2] = {[L1] = {1, 0},
                                             [L7] = {7, 0},
                                             [L7_1] = {7, 1},
                                             [LD_1] = {0xd, 1},
                                             [LX1] = {0x80000001, 0}};

enum {
    STATE_AVX = 0x6,     /* SSE and the upper halves of YMM */
    STATE_AVX512 = 0xe6, /* and opmask, ZMM_Hi256, Hi16_ZMM */
    STATE_AMX = 0x60000, /* XTILECFG, XTILEDATA */
    STATE_APX = 0x80000, /* R16 to R31 */
    OSXSAVE = 1 << 27,   /* CPUID.1:ECX */
    N_EXTENDED_NAME = 3, /* leaves 0x80000002 to 4 hold the name */
    XSAVE_AREA_MAX = 1 << 20,
};

/*
 * The flags that decide what code a program can execute: instructions that compilers
 * generate or libraries choose by. Others are no reason to keep a job from a host:
 * privileged instructions, properties that only change how fast code is (erms, fsrm),
 * what is harmless where it is not known (3dnowprefetch), and what nobody uses unasked
 * and only one vendor has (clzero, misalignsse, rdpru; mmxext, which SSE includes).
 *
 * A flag counts only where its parent does; the kernel has the same dependencies
 * (arch/x86/kernel/cpu/cpuid-deps.c, Linux 6.12), so that a virtual machine that hides
 * avx but forgets avx2 has neither. State is what XCR0 must have, beside the parent's.
 */
static const struct flag {
    const char *name;
    uint8_t leaf, reg, bit;
    uint8_t level; /* of the psABI, 0: in none */
    const char *parent;
    uint64_t state;
} flags[] = {
    {"fpu", L1, EDX, 0, 1, NULL, 0},
    {"cx8", L1, EDX, 8, 1, NULL, 0},
    {"cmov", L1, EDX, 15, 1, NULL, 0},
    {"mmx", L1, EDX, 23, 1, NULL, 0},
    {"fxsr", L1, EDX, 24, 1, NULL, 0},
    {"sse", L1, EDX, 25, 1, "fxsr", 0},
    {"sse2", L1, EDX, 26, 1, "sse", 0},
    {"pni", L1, ECX, 0, 2, "sse2", 0},
    {"pclmulqdq", L1, ECX, 1, 0, "sse2", 0},
    {"ssse3", L1, ECX, 9, 2, "pni", 0},
    {"fma", L1, ECX, 12, 3, "avx", 0},
    {"cx16", L1, ECX, 13, 2, NULL, 0},
    {"sse4_1", L1, ECX, 19, 2, "ssse3", 0},
    {"sse4_2", L1, ECX, 20, 2, "sse4_1", 0},
    {"movbe", L1, ECX, 22, 3, NULL, 0},
    {"popcnt", L1, ECX, 23, 2, NULL, 0},
    {"aes", L1, ECX, 25, 0, "sse2", 0},
    {"xsave", L1, ECX, 27, 3, NULL, 0}, /* OSXSAVE: the kernel uses it */
    {"avx", L1, ECX, 28, 3, "xsave", STATE_AVX},
    {"f16c", L1, ECX, 29, 3, "avx", 0},
    {"rdrand", L1, ECX, 30, 0, NULL, 0},

    {"fsgsbase", L7, EBX, 0, 0, NULL, 0},
    {"bmi1", L7, EBX, 3, 3, NULL, 0},
    {"avx2", L7, EBX, 5, 3, "avx", 0},
    {"bmi2", L7, EBX, 8, 3, NULL, 0},
    {"rtm", L7, EBX, 11, 0, NULL, 0},
    {"avx512f", L7, EBX, 16, 4, "avx2", STATE_AVX512},
    {"avx512dq", L7, EBX, 17, 4, "avx512f", 0},
    {"rdseed", L7, EBX, 18, 0, NULL, 0},
    {"adx", L7, EBX, 19, 0, NULL, 0},
    {"avx512ifma", L7, EBX, 21, 0, "avx512f", 0},
    {"clflushopt", L7, EBX, 23, 0, NULL, 0},
    {"clwb", L7, EBX, 24, 0, NULL, 0},
    {"avx512pf", L7, EBX, 26, 0, "avx512f", 0},
    {"avx512er", L7, EBX, 27, 0, "avx512f", 0},
    {"avx512cd", L7, EBX, 28, 4, "avx512f", 0},
    {"sha_ni", L7, EBX, 29, 0, "sse2", 0},
    {"avx512bw", L7, EBX, 30, 4, "avx512f", 0},
    {"avx512vl", L7, EBX, 31, 4, "avx512f", 0},

    {"avx512vbmi", L7, ECX, 1, 0, "avx512f", 0},
    {"ospke", L7, ECX, 4, 0, "xsave", 0},
    {"waitpkg", L7, ECX, 5, 0, NULL, 0},
    {"avx512_vbmi2", L7, ECX, 6, 0, "avx512f", 0},
    {"gfni", L7, ECX, 8, 0, "sse2", 0},
    {"vaes", L7, ECX, 9, 0, "avx", 0},
    {"vpclmulqdq", L7, ECX, 10, 0, "avx", 0},
    {"avx512_vnni", L7, ECX, 11, 0, "avx512f", 0},
    {"avx512_bitalg", L7, ECX, 12, 0, "avx512f", 0},
    {"avx512_vpopcntdq", L7, ECX, 14, 0, "avx512f", 0},
    {"rdpid", L7, ECX, 22, 0, NULL, 0},
    {"movdiri", L7, ECX, 27, 0, NULL, 0},
    {"movdir64b", L7, ECX, 28, 0, NULL, 0},

    {"avx512_4vnniw", L7, EDX, 2, 0, "avx512f", 0},
    {"avx512_4fmaps", L7, EDX, 3, 0, "avx512f", 0},
    {"avx512_vp2intersect", L7, EDX, 8, 0, "avx512f", 0},
    {"serialize", L7, EDX, 14, 0, NULL, 0},
    {"amx_bf16", L7, EDX, 22, 0, "amx_tile", 0},
    {"avx512_fp16", L7, EDX, 23, 0, "avx512bw", 0},
    {"amx_tile", L7, EDX, 24, 0, "xsave", STATE_AMX},
    {"amx_int8", L7, EDX, 25, 0, "amx_tile", 0},

    {"sha512", L7_1, EAX, 0, 0, "avx2", 0},
    {"sm3", L7_1, EAX, 1, 0, "avx", 0},
    {"sm4", L7_1, EAX, 2, 0, "avx2", 0},
    {"avx_vnni", L7_1, EAX, 4, 0, "avx2", 0},
    {"avx512_bf16", L7_1, EAX, 5, 0, "avx512vl", 0},
    {"cmpccxadd", L7_1, EAX, 7, 0, NULL, 0},
    {"amx_fp16", L7_1, EAX, 21, 0, "amx_tile", 0},
    {"avx_ifma", L7_1, EAX, 23, 0, "avx2", 0},
    {"avx_vnni_int8", L7_1, EDX, 4, 0, "avx2", 0},
    {"avx_ne_convert", L7_1, EDX, 5, 0, "avx2", 0},
    {"amx_complex", L7_1, EDX, 8, 0, "amx_tile", 0},
    {"avx_vnni_int16", L7_1, EDX, 10, 0, "avx2", 0},
    {"avx10", L7_1, EDX, 19, 0, "avx512f", 0},
    {"apx_f", L7_1, EDX, 21, 0, "xsave", STATE_APX},

    {"xsaveopt", LD_1, EAX, 0, 0, "xsave", 0},
    {"xsavec", LD_1, EAX, 1, 0, "xsave", 0},
    {"xgetbv1", LD_1, EAX, 2, 0, "xsave", 0},

    {"lahf_lm", LX1, ECX, 0, 2, NULL, 0},
    {"abm", LX1, ECX, 5, 3, NULL, 0}, /* lzcnt */
    {"sse4a", LX1, ECX, 6, 0, "pni", 0},
    {"xop", LX1, ECX, 11, 0, "avx", 0},
    {"fma4", LX1, ECX, 16, 0, "avx", 0},
    {"tbm", LX1, ECX, 21, 0, NULL, 0},
    {"rdtscp", LX1, EDX, 27, 0, NULL, 0},
    {"3dnowext", LX1, EDX, 30, 0, "3dnow", 0},
    {"3dnow", LX1, EDX, 31, 0, "mmx", 0},
};

enum { N_FLAGS = sizeof(flags) / sizeof(flags[0]) };

static const struct flag *find(const char *name)
{
    for (int i = 0; name && i < N_FLAGS; i++)
        if (strcmp(flags[i].name, name) == 0)
            return &flags[i];
    return NULL;
}

const char *x86_flag(size_t i)
{
    return i < N_FLAGS ? flags[i].name : NULL;
}

const char *x86_parent(const char *name)
{
    const struct flag *f = find(name);

    return f ? f->parent : NULL;
}

uint64_t x86_state(const char *name)
{
    uint64_t state = 0;

    for (const struct flag *f = find(name); f; f = find(f->parent))
        state |= f->state;
    return state;
}

unsigned x86_flag_level(const char *name)
{
    const struct flag *f = find(name);

    return f ? f->level : 0;
}

/* A leaf above the highest of its range answers with another leaf's data. */
static void ask(const struct x86_machine *m, uint32_t leaf, uint32_t subleaf,
                struct x86_leaf *out)
{
    struct x86_leaf highest;

    memset(out, 0, sizeof(*out));
    m->cpuid(m->arg, leaf & 0x80000000, 0, &highest);
    if (highest.a < leaf || (highest.a ^ leaf) & 0x80000000)
        return;
    if (leaf == 7 && subleaf > 0) {
        m->cpuid(m->arg, 7, 0, &highest);
        if (highest.a < subleaf)
            return;
    }
    m->cpuid(m->arg, leaf, subleaf, out);
}

/* What the machine said, and the state that its kernel has enabled. */
struct answers {
    struct x86_leaf leaf[N_LEAVES];
    uint64_t xcr0;
    bool fsgsbase;
};

static bool says(const struct answers *answers, const struct flag *f)
{
    uint32_t reg[4];

    memcpy(reg, &answers->leaf[f->leaf], sizeof(reg));
    return reg[f->reg] >> f->bit & 1;
}

static bool offers(const struct answers *answers, const struct flag *flag)
{
    if (strcmp(flag->name, "fsgsbase") == 0 && !answers->fsgsbase)
        return false;
    for (const struct flag *f = flag; f; f = find(f->parent))
        if (!says(answers, f) || (answers->xcr0 & f->state) != f->state)
            return false;
    return true;
}

static int read_flags(const struct x86_machine *m, struct cpu *c, struct err *e)
{
    struct answers answers = {.xcr0 = c->xcr0, .fsgsbase = m->fsgsbase};

    for (int i = 0; i < N_LEAVES; i++)
        ask(m, leaves[i][0], leaves[i][1], &answers.leaf[i]);
    for (int i = 0; i < N_FLAGS; i++)
        if (offers(&answers, &flags[i]) &&
            cpu_flags_add(&c->flags, flags[i].name, e) < 0)
            return -1;
    return 0;
}

static void read_xsave(const struct x86_machine *m, struct cpu *c)
{
    struct x86_leaf l;

    ask(m, 1, 0, &l);
    if (!(l.c & OSXSAVE))
        return;
    c->xcr0 = m->xcr0(m->arg);
    for (int i = 2; i < CPU_COMPONENTS; i++) {
        if (!(c->xcr0 >> i & 1))
            continue;
        ask(m, 0xd, i, &l);
        if (l.a <= XSAVE_AREA_MAX && l.b <= XSAVE_AREA_MAX)
            c->component[i] = (struct cpu_component){.offset = l.b, .size = l.a};
    }
}

static void read_model(const struct x86_machine *m, struct cpu *c)
{
    struct x86_leaf l;
    uint32_t family, model;

    ask(m, 1, 0, &l);
    family = l.a >> 8 & 0xf;
    model = l.a >> 4 & 0xf;
    if (family == 6 || family == 0xf)
        model |= l.a >> 12 & 0xf0;
    if (family == 0xf)
        family += l.a >> 20 & 0xff;
    c->family = family;
    c->model = model;
    c->stepping = l.a & 0xf;
}

/* Text that a hypervisor made up may hold anything. */
static void clean(char *text)
{
    size_t skip = strspn(text, " "), length;

    memmove(text, text + skip, strlen(text + skip) + 1);
    length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        text[--length] = '\0';
    for (char *p = text; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
}

static void read_names(const struct x86_machine *m, struct cpu *c)
{
    struct x86_leaf l;

    ask(m, 0, 0, &l);
    memcpy(c->vendor, &l.b, 4);
    memcpy(c->vendor + 4, &l.d, 4);
    memcpy(c->vendor + 8, &l.c, 4);
    for (int i = 0; i < N_EXTENDED_NAME; i++) {
        ask(m, 0x80000002 + i, 0, &l);
        memcpy(c->name + i * sizeof(l), &l, sizeof(l));
    }
    clean(c->vendor);
    clean(c->name);
}

int x86_read(const struct x86_machine *m, struct cpu *c, struct err *e)
{
    memset(c, 0, sizeof(*c));
    memcpy(c->arch, "x86_64", sizeof("x86_64"));
    read_names(m, c);
    read_model(m, c);
    read_xsave(m, c);
    return read_flags(m, c, e);
}
