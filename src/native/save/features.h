/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a process has asked of its CPU and what a restart does not give back to it: it
 * is refused, by name. Protection keys (pkeys(7)), and registers that need a permission
 * (AMX; arch.h).
 */
#ifndef NATIVE_SAVE_FEATURES_H
#define NATIVE_SAVE_FEATURES_H

#include "native/save/save.h"

/* Asks a frozen process; `at` is memory of it for 8 bytes, see borrow.h. ERR_REFUSED
 * names it. Runs while the job is frozen. */
int features_ask(const struct save *s, uint32_t i, const struct tracee *t, uint64_t at,
                 struct err *e);

/* ERR_REFUSED when the mapping has a protection key of the program's. */
int features_check_key(const struct proc_vm *vm, uint32_t prot, int pid, struct err *e);

#endif
