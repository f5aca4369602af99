/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AT_HWCAP and AT_HWCAP2 of 64-bit ARM as names:
 * Documentation/arch/arm64/elf_hwcaps.rst and arch/arm64/include/uapi/asm/hwcap.h,
 * Linux 6.12. */
#ifndef CPU_ARM64_H
#define CPU_ARM64_H

#include "cpu/cpu.h"

/* Adds what is set. */
int arm64_flags(uint64_t hwcap, uint64_t hwcap2, struct cpu_flags *set, struct err *e);

enum { ARM64_VL_MASK = 0xffff }; /* PR_SVE_VL_LEN_MASK, linux/prctl.h */

/*
 * Adds the lengths of vectors that programs are started with, as "sve_vl256" in bits:
 * `sve` and `sme` are what prctl(2) said to PR_SVE_GET_VL and PR_SME_GET_VL, negative
 * where there is none. A length is not one feature more or less: what a program has
 * computed with it (counts, strides, saved registers) is wrong with any other, so that
 * only a host with the same one has the flag. An administrator can make it the same
 * (Documentation/arch/arm64/sve.rst, /proc/sys/abi/sve_default_vector_length).
 */
int arm64_vector_lengths(int sve, int sme, struct cpu_flags *set, struct err *e);

/* Vendor, model and so on from MIDR_EL1; 0: not known. */
void arm64_model(uint64_t midr, struct cpu *c);

/* All flags that are known, from 0 until NULL. */
const char *arm64_flag(size_t i);

#endif
