/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which kind of file a descriptor points at, and what cannot be saved.
 */
#ifndef NATIVE_FILES_RECOGNISE_H
#define NATIVE_FILES_RECOGNISE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;
struct found;

/* ERR_REFUSED names the descriptor, what it is and what to do. */
int files_recognise(const struct found *f, uint32_t *kind, struct err *e);

/* A terminal of any sort (majors 4, 5 and those of ptys). */
bool files_is_terminal(const struct stat *st);

#endif
