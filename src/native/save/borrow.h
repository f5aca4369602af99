/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A few bytes of a frozen process, for what injected system calls read and write.
 *
 * They are its own, and get their contents back: a mapping made for the purpose would
 * need room that a process at its limit does not have (RLIMIT_AS, RLIMIT_DATA,
 * vm.max_map_count). Runs while the job is frozen.
 */
#ifndef NATIVE_SAVE_BORROW_H
#define NATIVE_SAVE_BORROW_H

#include "native/save/save.h"

enum { BORROWED_SIZE = 64 }; /* the largest structure asked for has 32 */

struct borrowed {
    uint64_t at;
    unsigned char contents[BORROWED_SIZE];
};

/* Finds memory that the kernel itself does not write to; collect_threads and
 * collect_memory have been there before. Nothing is changed yet. */
int borrow_memory(const struct save *s, uint32_t i, const struct tracee *t,
                  struct borrowed *b, struct err *e);

/* Puts back what was there. A process that this cannot be done in is killed. */
void borrow_return(const struct tracee *t, const struct borrowed *b);

#endif
