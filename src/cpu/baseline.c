/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The variables with which libraries keep to a level. What each does is in
 * doc/format/cpu.md, section 4, with what no variable can do.
 */
#include "base/err.h"
#include "cpu/cpu.h"
#include "cpu/text.h"

#include <string.h>
#include <strings.h>

enum { IN_NO_LEVEL = CPU_LEVELS + 1 };

/*
 * What glibc chooses code by, and the level from which on it may. The names are those
 * of sysdeps/x86/cpu-tunables.c: up to 2.32 some end in _Usable. A name that a version
 * does not know is passed over. XSAVE and XSAVEC decide how lazy binding saves
 * registers, with a size and layout that are this CPU's (see LD_BIND_NOW).
 */
static const struct {
    const char *name;
    unsigned level;
} glibc_features[] = {
    {"SSSE3", 2},
    {"SSE4_1", 2},
    {"SSE4_2", 2},
    {"POPCNT", 2},
    {"AVX", 3},
    {"AVX_Usable", 3},
    {"AVX_Fast_Unaligned_Load", 3},
    {"AVX2", 3},
    {"AVX2_Usable", 3},
    {"BMI1", 3},
    {"BMI2", 3},
    {"FMA", 3},
    {"FMA_Usable", 3},
    {"LZCNT", 3},
    {"MOVBE", 3},
    {"OSXSAVE", 3},
    {"XSAVE", 3},
    {"AVX512F", 4},
    {"AVX512F_Usable", 4},
    {"AVX512BW", 4},
    {"AVX512CD", 4},
    {"AVX512DQ", 4},
    {"AVX512DQ_Usable", 4},
    {"AVX512VL", 4},
    {"AVX512ER", IN_NO_LEVEL},
    {"AVX512PF", IN_NO_LEVEL},
    {"FMA4", IN_NO_LEVEL},
    {"FMA4_Usable", IN_NO_LEVEL},
    {"RTM", IN_NO_LEVEL},
    {"XSAVEC", IN_NO_LEVEL},
    {"XSAVEC_Usable", IN_NO_LEVEL},
};

/* Kernels of OpenBLAS (driver/others/dynamic.c) that keep to a level; of each level the
 * first is ours. There is none without SSE3. */
static const struct {
    const char *name;
    unsigned level;
} openblas_kernels[] = {{"Prescott", 1},    {"Opteron_SSE3", 1}, {"Opteron", 1},
                        {"Nehalem", 2},     {"Core2", 2},        {"Penryn", 2},
                        {"Atom", 2},        {"Haswell", 3},      {"Zen", 3},
                        {"Sandybridge", 3}, {"SkylakeX", 4}};

/* MKL has nothing below SSE4_2. */
static const struct {
    const char *name;
    unsigned level;
} mkl_limits[] = {{"SSE4_2", 1}, {"AVX2", 3}, {"AVX", 3}, {"AVX512", 4}};

/* What OpenSSL is told not to see: OPENSSL_ia32cap(3). First ECX and EDX of CPUID leaf
 * 1, XOP in bit 43; then ECX and EBX of leaf 7. */
static const char *const openssl_masks[CPU_LEVELS + 1] = {
    [1] = "~0x7ed83a0300000000:~0xffffffffffffffff",
    [2] = "~0x7e40180200000000:~0xffffffffffffffff",
    [3] = "~0x4200080200000000:~0xfffffffffffffed7",
    [4] = "~0x4200080200000000:~0xffffffff2ffcfed7"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *set_by_user(char *(*get)(const char *name), const char *name)
{
    const char *value = get(name);

    return value && *value ? value : NULL;
}

static struct text_out value_of(struct cpu_variable *v, const char *name)
{
    v->name = name;
    v->value[0] = '\0';
    return (struct text_out){.data = v->value, .size = sizeof(v->value)};
}

static int finish(const struct text_out *out, const struct cpu_variable *v,
                  struct err *e)
{
    if (out->cut)
        return err_set(e, ERR_USAGE, "%s is too long to be merged; shorten it",
                       v->name);
    return 0;
}

/* ---- glibc ---- */

static const char *const hwcaps[] = {"glibc.cpu.hwcaps",
                                     "glibc.tune.hwcaps"}; /* before 2.29 */

static bool is_named(const char *piece, size_t length, const char *name)
{
    size_t n = strlen(name);

    return length > n && piece[n] == '=' && strncmp(piece, name, n) == 0;
}

static bool is_well_formed(const char *piece, size_t length)
{
    const char *equal = memchr(piece, '=', length);

    return equal && equal > piece &&
           !memchr(equal + 1, '=', length - (equal + 1 - piece));
}

/* The user's list for a tunable: the last counts. */
static const char *user_hwcaps(const char *user, const char *name, size_t *length)
{
    const char *found = NULL;
    size_t n;

    *length = 0;
    for (const char *p = user; p && *p; p += n + (p[n] == ':')) {
        n = strcspn(p, ":");
        if (is_named(p, n, name) && is_well_formed(p, n)) {
            found = p + strlen(name) + 1;
            *length = n - strlen(name) - 1;
        }
    }
    return found;
}

static void put_hwcaps(struct text_out *out, const char *name, unsigned level,
                       const char *user)
{
    size_t length;
    const char *before = user_hwcaps(user, name, &length);
    const char *comma = length > 0 ? "," : "";

    text_put(out, "%s=%.*s", name, (int)length, before ? before : "");
    for (size_t i = 0; i < COUNT(glibc_features); i++)
        if (glibc_features[i].level > level) {
            text_put(out, "%s-%s", comma, glibc_features[i].name);
            comma = ",";
        }
}

/* The user's other tunables go after ours, without what is ill-formed: glibc stops
 * there, and from 2.39 on ignores all of it. */
static int make_glibc(unsigned level, const char *user, struct cpu_variable *v,
                      struct err *e)
{
    struct text_out out = value_of(v, "GLIBC_TUNABLES");
    size_t n;

    put_hwcaps(&out, hwcaps[0], level, user);
    text_put(&out, ":");
    put_hwcaps(&out, hwcaps[1], level, user);
    for (const char *p = user; p && *p; p += n + (p[n] == ':')) {
        n = strcspn(p, ":");
        if (is_well_formed(p, n) && !is_named(p, n, hwcaps[0]) &&
            !is_named(p, n, hwcaps[1]))
            text_put(&out, ":%.*s", (int)n, p);
    }
    return finish(&out, v, e);
}

/* ---- the others ---- */

static int make_plain(const char *name, const char *value, struct cpu_variable *v,
                      struct err *e)
{
    struct text_out out = value_of(v, name);

    text_put(&out, "%s", value);
    return finish(&out, v, e);
}

/* What the user asks for is kept where it is known to stay within the level. */
static int make_openblas(unsigned level, const char *user, struct cpu_variable *v,
                         struct err *e)
{
    const char *ours = NULL;

    for (size_t i = 0; i < COUNT(openblas_kernels); i++) {
        if (!ours && openblas_kernels[i].level == level)
            ours = openblas_kernels[i].name;
        if (user && strcasecmp(user, openblas_kernels[i].name) == 0 &&
            openblas_kernels[i].level <= level)
            return make_plain("OPENBLAS_CORETYPE", user, v, e);
    }
    return make_plain("OPENBLAS_CORETYPE", ours, v, e);
}

static int make_mkl(unsigned level, const char *user, struct cpu_variable *v,
                    struct err *e)
{
    const char *ours = mkl_limits[0].name;
    unsigned best = 0;

    for (size_t i = 0; i < COUNT(mkl_limits); i++) {
        if (mkl_limits[i].level > level)
            continue;
        if (mkl_limits[i].level > best) {
            best = mkl_limits[i].level;
            ours = mkl_limits[i].name;
        }
        if (user && strcmp(user, mkl_limits[i].name) == 0)
            return make_plain("MKL_ENABLE_INSTRUCTIONS", user, v, e);
    }
    return make_plain("MKL_ENABLE_INSTRUCTIONS", ours, v, e);
}

int cpu_baseline(const struct cpu_policy *p, const struct cpu *here,
                 char *(*get)(const char *name),
                 struct cpu_variable out[CPU_BASELINE_VARIABLES], size_t *count,
                 struct err *e)
{
    unsigned level = cpu_level(here->arch, &here->flags);
    size_t n = 0;

    *count = 0;
    if (p->kind != CPU_POLICY_BASELINE || level == 0)
        return 0;
    if (level > p->level)
        level = p->level;
    if (make_glibc(level, set_by_user(get, "GLIBC_TUNABLES"), &out[n++], e) < 0 ||
        make_plain("LD_BIND_NOW", "1", &out[n++], e) < 0 ||
        make_openblas(level, set_by_user(get, "OPENBLAS_CORETYPE"), &out[n++], e) < 0 ||
        make_mkl(level, set_by_user(get, "MKL_ENABLE_INSTRUCTIONS"), &out[n++], e) < 0)
        return -1;
    if (!set_by_user(get, "OPENSSL_ia32cap") &&
        make_plain("OPENSSL_ia32cap", openssl_masks[level], &out[n++], e) < 0)
        return -1;
    *count = n;
    return 0;
}
