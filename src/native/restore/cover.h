/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths that exist only in this mount namespace: a directory in which nothing can be
 * made is covered by a tmpfs that has the same entries, bound back, and room for more.
 */
#ifndef NATIVE_RESTORE_COVER_H
#define NATIVE_RESTORE_COVER_H

#include <stddef.h>

struct err;

/* Covers the directory `path`. */
int cover_directory(const char *path, struct err *e);

/* Puts a file with this content over the existing file `path`. */
int cover_file(const char *path, const void *content, size_t size, unsigned mode,
               struct err *e);

#endif
