/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Switching the memory of a stub to that of the image, from outside: the stub is made
 * to unmap all it has and to map what the image says, by system calls through the vDSO,
 * which is moved out of the way first.
 */
#ifndef NATIVE_RESTORE_REMAP_H
#define NATIVE_RESTORE_REMAP_H

#include "native/restore/restored.h"

struct err;
struct setup;

/* Traces the stub and stops it. */
int remap_attach(struct restored *r, pid_t pid, struct err *e);

/* Replaces the mappings; the contents may then be written through r->mem_fd, for which
 * mappings that will have contents are writable for the time being. */
int remap_switch(struct restored *r, const struct setup *s, struct err *e);

/* With the contents in place: protections, advice, vDSO, and what the kernel notes of a
 * memory (PR_SET_MM_MAP). */
int remap_finish(struct restored *r, const struct setup *s, struct err *e);

/* Removes the scratch memory; the last thing that is injected. */
int remap_clean(struct restored *r, struct err *e);

#endif
