/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Registers that a program has to ask the kernel for (Linux 5.16,
 * Documentation/arch/x86/xstate.rst): the tiles of AMX. Apart from ptrace, so that it
 * can be tried on CPUs that are not there.
 */
#ifndef NATIVE_ARCH_X86_64_PERMIT_H
#define NATIVE_ARCH_X86_64_PERMIT_H

#include <stdint.h>

struct err;

/* `permitted`: what ARCH_GET_XCOMP_PERM says, a set of XSAVE components. ERR_REFUSED
 * names one that had to be asked for. */
int permit_check(uint64_t permitted, int pid, struct err *e);

#endif
