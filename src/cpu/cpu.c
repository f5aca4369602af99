/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/cpu.h"

#include "base/err.h"
#include "cpu/arch.h"
#include "cpu/arm64.h"
#include "cpu/fake.h"
#include "cpu/x86.h"

#include <string.h>

int cpu_read(struct cpu *c, struct err *e)
{
    struct cpu found;

    if (arch_cpu_read(&found, e) < 0 || fake_apply(&found, e) < 0)
        return -1;
    *c = found;
    return 0;
}

unsigned cpu_level(const char *arch, const struct cpu_flags *flags)
{
    unsigned level = CPU_LEVELS;
    const char *name;

    if (strcmp(arch, "x86_64") != 0)
        return 0;
    for (size_t i = 0; (name = x86_flag(i)); i++) {
        unsigned of = x86_flag_level(name);

        if (of > 0 && of <= level && !cpu_flags_has(flags, name))
            level = of - 1;
    }
    return level;
}

void cpu_level_flags(unsigned level, struct cpu_flags *out)
{
    struct err never;
    const char *name;

    out->count = 0;
    for (size_t i = 0; (name = x86_flag(i)); i++)
        if (x86_flag_level(name) > 0 && x86_flag_level(name) <= level)
            cpu_flags_add(out, name, &never);
}

const char *cpu_known_flag(const char *arch, size_t i)
{
    if (strcmp(arch, "x86_64") == 0)
        return x86_flag(i);
    if (strcmp(arch, "aarch64") == 0)
        return arm64_flag(i);
    return NULL;
}
