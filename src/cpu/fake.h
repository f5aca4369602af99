/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QCKPT_FAKE_CPU: another CPU than this machine's, for tests (doc/format/cpu.md). */
#ifndef CPU_FAKE_H
#define CPU_FAKE_H

struct cpu;
struct err;

/* Changes `c`, what this machine has, as the environment says; nothing without it. */
int fake_apply(struct cpu *c, struct err *e);

#endif
