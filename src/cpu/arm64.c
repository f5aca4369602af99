/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/arm64.h"

#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>

enum { N_BITS = 64 };

/* By bit; NULL: not for code, or more than code (evtstrm, cpuid, ssbs, dgh, ecv, rprfm,
 * poe). */
static const char *const names[2][N_BITS] = {
    {"fp",      "asimd", NULL,      "aes",   "pmull",    "sha1",   "sha2", "crc32",
     "atomics", "fphp",  "asimdhp", NULL,    "asimdrdm", "jscvt",  "fcma", "lrcpc",
     "dcpop",   "sha3",  "sm3",     "sm4",   "asimddp",  "sha512", "sve",  "asimdfhm",
     "dit",     "uscat", "ilrcpc",  "flagm", NULL,       "sb",     "paca", "pacg"},
    {"dcpodp",    "sve2",      "sveaes",    "svepmull",  "svebitperm", "svesha3",
     "svesm4",    "flagm2",    "frint",     "svei8mm",   "svef32mm",   "svef64mm",
     "svebf16",   "i8mm",      "bf16",      NULL,        "rng",        "bti",
     "mte",       NULL,        "afp",       "rpres",     "mte3",       "sme",
     "smei16i64", "smef64f64", "smei8i32",  "smef16f32", "smeb16f32",  "smef32f32",
     "smefa64",   "wfxt",      "ebf16",     "sveebf16",  "cssc",       NULL,
     "sve2p1",    "sme2",      "sme2p1",    "smei16i32", "smebi32i32", "smeb16b16",
     "smef16f16", "mops",      "hbc",       "sveb16b16", "lrcpc3",     "lse128",
     "fpmr",      "lut",       "faminmax",  "f8cvt",     "f8fma",      "f8dp4",
     "f8dp2",     "f8e4m3",    "f8e5m2",    "smelutv2",  "smef8f16",   "smef8f32",
     "smesf8fma", "smesf8dp4", "smesf8dp2", NULL},
};

static int add(uint64_t bits, const char *const *name, struct cpu_flags *set,
               struct err *e)
{
    for (int i = 0; i < N_BITS; i++)
        if (name[i] && bits >> i & 1 && cpu_flags_add(set, name[i], e) < 0)
            return -1;
    return 0;
}

int arm64_flags(uint64_t hwcap, uint64_t hwcap2, struct cpu_flags *set, struct err *e)
{
    if (add(hwcap, names[0], set, e) < 0 || add(hwcap2, names[1], set, e) < 0)
        return -1;
    return 0;
}

/* Those that the architecture allows; a host may have another as a special one. */
static const char *const lengths[] = {
    "sve_vl128", "sve_vl256", "sve_vl512", "sve_vl1024", "sve_vl2048",
    "sme_vl128", "sme_vl256", "sme_vl512", "sme_vl1024", "sme_vl2048"};

enum { N_LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

static int add_length(const char *kind, int said, struct cpu_flags *set, struct err *e)
{
    char name[CPU_FLAG_SIZE];

    if (said < 0 || (said & ARM64_VL_MASK) == 0)
        return 0;
    snprintf(name, sizeof(name), "%s_vl%d", kind, (said & ARM64_VL_MASK) * 8);
    return cpu_flags_add(set, name, e);
}

int arm64_vector_lengths(int sve, int sme, struct cpu_flags *set, struct err *e)
{
    if (add_length("sve", sve, set, e) < 0 || add_length("sme", sme, set, e) < 0)
        return -1;
    return 0;
}

void arm64_model(uint64_t midr, struct cpu *c)
{
    if (midr == 0)
        return;
    snprintf(c->vendor, sizeof(c->vendor), "0x%02x", (unsigned)(midr >> 24 & 0xff));
    c->family = 8;
    c->model = midr >> 4 & 0xfff;
    c->stepping = (midr >> 20 & 0xf) << 4 | (midr & 0xf);
}

const char *arm64_flag(size_t i)
{
    for (size_t bit = 0; bit < 2 * N_BITS; bit++)
        if (names[bit / N_BITS][bit % N_BITS] && i-- == 0)
            return names[bit / N_BITS][bit % N_BITS];
    return i < N_LENGTHS ? lengths[i] : NULL;
}
