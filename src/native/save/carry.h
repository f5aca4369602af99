/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that travel with the image because another host may not have them: the job
 * script, small files that are open for reading on a file system of this host, and,
 * when asked, the contents of TMPDIR. carry.h puts them back.
 */
#ifndef NATIVE_SAVE_CARRY_H
#define NATIVE_SAVE_CARRY_H

struct err;
struct save;

/* Fills img->carried. `tmpdir` NULL: it does not travel. */
int carry_save(struct save *s, const char *tmpdir, struct err *e);

#endif
