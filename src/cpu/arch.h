/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one question that only this machine can answer; see arch/. */
#ifndef CPU_ARCH_H
#define CPU_ARCH_H

#include "cpu/cpu.h"

int arch_cpu_read(struct cpu *c, struct err *e);

#endif
