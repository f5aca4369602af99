/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Node-local files that travel with an image appear under their old paths, and the old
 * TMPDIR is the new one: by mounts that only the job's mount namespace has.
 */
#ifndef NATIVE_CARRY_H
#define NATIVE_CARRY_H

struct err;
struct image;
struct native_restart;

/* In pid 1 of the namespaces. */
int carry_put_back(const struct image *img, const struct native_restart *how,
                   struct err *e);

#endif
