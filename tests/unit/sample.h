/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images for tests.
 */
#ifndef TESTS_UNIT_SAMPLE_H
#define TESTS_UNIT_SAMPLE_H

#include "image/image.h"

/* The least that is valid: one process with one thread and no memory. */
struct image *sample_small(void);

/* Something in every field: the same bytes each time. */
struct image *sample_full(void);

/* Adds a mapping to a process. */
struct image_vma *sample_vma(struct image_process *p, uint64_t start, uint64_t end,
                             enum image_vma_kind kind);

/* A new empty directory below TMPDIR or /tmp, as a descriptor; its name goes to `path`
 * (64 bytes). sample_rmdir closes and removes it. */
int sample_mkdir(char path[64]);
void sample_rmdir(int dirfd, const char *path);

#endif
