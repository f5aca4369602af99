/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/arch.h"
#include "cpu/x86.h"

#include <cpuid.h>
#include <sys/auxv.h>

enum { HWCAP2_FSGSBASE_BIT = 1 << 1 }; /* asm/hwcap2.h, Linux 5.9 */

static void cpuid(void *arg, uint32_t leaf, uint32_t subleaf, struct x86_leaf *l)
{
    __cpuid_count(leaf, subleaf, l->a, l->b, l->c, l->d);
}

static uint64_t xcr0(void *arg)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

int arch_cpu_read(struct cpu *c, struct err *e)
{
    const struct x86_machine m = {
        .cpuid = cpuid,
        .xcr0 = xcr0,
        .fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT,
    };

    return x86_read(&m, c, e);
}
