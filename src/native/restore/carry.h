/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files and the TMPDIR that travel with an image, put back (place/place.h).
 */
#ifndef NATIVE_RESTORE_CARRY_H
#define NATIVE_RESTORE_CARRY_H

struct err;
struct image;
struct native_restart;

/* In pid 1 of the namespaces. After a failure there place_undo removes what was made
 * for real. */
int carry_put_back(const struct image *img, const struct native_restart *how,
                   struct err *e);

#endif
