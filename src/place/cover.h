/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths that exist only in this mount namespace: a directory in which nothing can be
 * made is covered by a tmpfs that has the same entries, bound back, and room for more.
 */
#ifndef PLACE_COVER_H
#define PLACE_COVER_H

#include <stddef.h>

struct err;

/* Covers the directory `path`. */
int cover_directory(const char *path, struct err *e);

struct place_file;

/* Puts the file over the existing one of its path, with its mode and time of change. */
int cover_file(const struct place_file *file, struct err *e);

#endif
