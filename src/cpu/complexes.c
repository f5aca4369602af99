/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/cpu.h"
#include "cpu/x86.h"

#include <stdio.h>
#include <string.h>

/* The names and shortcuts of the original integration, in its order. /proc/cpuinfo has
 * no sse3: there SSE3 is called pni. */
static const struct {
    const char *name, *shortcut, *flag;
} original[] = {
    {"cpuflag_avx", "cfsa", "avx"},       {"cpuflag_pni", "cfsp", "pni"},
    {"cpuflag_sse", "cfs", "sse"},        {"cpuflag_sse2", "cfs2", "sse2"},
    {"cpuflag_sse3", "cfs3", "pni"},      {"cpuflag_sse4_1", "cfs41", "sse4_1"},
    {"cpuflag_sse4_2", "cfs42", "sse4_2"}};

enum { N_ORIGINAL = sizeof(original) / sizeof(original[0]) };

static bool is_x86(const char *arch)
{
    return strcmp(arch, "x86_64") == 0;
}

static bool is_original(const char *flag)
{
    for (int i = 0; i < N_ORIGINAL; i++)
        if (strcmp(original[i].flag, flag) == 0)
            return true;
    return false;
}

/* Whether the flag has a complex that is not the original's. What every x86-64 host has
 * would only fill the tables. */
static bool is_today(const char *arch, const char *flag)
{
    return !is_x86(arch) || (x86_flag_level(flag) != 1 && !is_original(flag));
}

static void make(struct cpu_complex *c, const char *name, const char *shortcut,
                 const char *flag)
{
    snprintf(c->name, sizeof(c->name), "%s", name);
    snprintf(c->shortcut, sizeof(c->shortcut), "%s", shortcut);
    c->flag = flag;
}

static void make_today(struct cpu_complex *c, const char *flag)
{
    snprintf(c->name, sizeof(c->name), "cpuflag_%.*s", CPU_FLAG_SIZE, flag);
    snprintf(c->shortcut, sizeof(c->shortcut), "cf_%.*s", CPU_FLAG_SIZE, flag);
    c->flag = flag;
}

bool cpu_complex(const char *arch, size_t i, struct cpu_complex *out)
{
    const char *flag;

    if (is_x86(arch)) {
        if (i == 0) {
            make(out, "cpu_level", "cpu_lvl", NULL);
            return true;
        }
        i--;
        if (i < N_ORIGINAL) {
            make(out, original[i].name, original[i].shortcut, original[i].flag);
            return true;
        }
        i -= N_ORIGINAL;
    }
    for (size_t k = 0; (flag = cpu_known_flag(arch, k)); k++)
        if (is_today(arch, flag) && i-- == 0) {
            make_today(out, flag);
            return true;
        }
    return false;
}

unsigned cpu_complex_value(const struct cpu_complex *complex, const struct cpu *c)
{
    if (!complex->flag)
        return cpu_level(c->arch, &c->flags);
    return cpu_flags_has(&c->flags, complex->flag);
}

/* cpuflag_sse3 is asked for as cpuflag_pni: once is enough. */
static bool is_alias(const struct cpu_complex *complex)
{
    return strcmp(complex->name, "cpuflag_sse3") == 0;
}

size_t cpu_contract_requests(const struct cpu_contract *c,
                             struct cpu_request out[CPU_REQUESTS_MAX])
{
    const char *arch = c->made_on.arch;
    unsigned level = cpu_level(arch, &c->needs);
    struct cpu_complex complex;
    size_t count = 0;

    for (size_t i = 0; cpu_complex(arch, i, &complex); i++) {
        struct cpu_request *r = &out[count];
        unsigned of = complex.flag ? x86_flag_level(complex.flag) : 0;

        if (is_alias(&complex) ||
            (complex.flag ? !cpu_flags_has(&c->needs, complex.flag) : level == 0))
            continue;
        memcpy(r->name, complex.name, sizeof(r->name));
        snprintf(r->value, sizeof(r->value), "%u", complex.flag ? 1 : level);
        r->in_level = is_x86(arch) && of > 0 && of <= level;
        count++;
    }
    return count;
}
