/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What CPUID says, as names: Intel SDM volume 2 (CPUID) and volume 1 chapter 13
 * (XSAVE), AMD APM volume 3 appendix E. Works on the answers of any machine.
 */
#ifndef CPU_X86_H
#define CPU_X86_H

#include "cpu/cpu.h"

struct x86_leaf {
    uint32_t a, b, c, d;
};

/* A machine that can be asked. */
struct x86_machine {
    void *arg;
    void (*cpuid)(void *arg, uint32_t leaf, uint32_t subleaf, struct x86_leaf *out);
    /* Asked only when CPUID says OSXSAVE; without that xgetbv faults. */
    uint64_t (*xcr0)(void *arg);
    /* Whether programs may use fsgsbase: AT_HWCAP2 bit 1, Linux 5.9. */
    bool fsgsbase;
};

/* Fills in the whole of `c`. */
int x86_read(const struct x86_machine *m, struct cpu *c, struct err *e);

/* What the flag builds on, which is never missing where the flag is; NULL: nothing, or
 * the flag is not known. */
const char *x86_parent(const char *flag);

/* The XSAVE components that the flag's instructions need, of itself or what it builds
 * on; 0: none. */
uint64_t x86_state(const char *flag);

/* All flags that are known, from 0 until NULL. */
const char *x86_flag(size_t i);

/* The lowest level that has the flag; 0: none. */
unsigned x86_flag_level(const char *flag);

#endif
