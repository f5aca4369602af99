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

/* The same for small files that are mapped for reading and have no build id to be known
 * by on another host (caches that each host makes for itself: locale-archive,
 * gconv-modules.cache). They do not change with the job: to be called after the thaw.
 */
int carry_save_mapped(struct save *s, struct err *e);

#endif
