/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AT_HWCAP and AT_HWCAP2 of 64-bit ARM as names:
 * Documentation/arch/arm64/elf_hwcaps.rst and arch/arm64/include/uapi/asm/hwcap.h,
 * Linux 6.12. */
#ifndef CPU_ARM64_H
#define CPU_ARM64_H

#include "cpu/cpu.h"

/* Adds what is set. */
int arm64_flags(uint64_t hwcap, uint64_t hwcap2, struct cpu_flags *set, struct err *e);

/* Vendor, model and so on from MIDR_EL1; 0: not known. */
void arm64_model(uint64_t midr, struct cpu *c);

/* All flags that are known, from 0 until NULL. */
const char *arm64_flag(size_t i);

#endif
