/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Node-local files that travel with an image appear under their old paths, and the old
 * TMPDIR is the new one.
 *
 * A path that the job's user can write is never covered by a mount: what the job writes
 * there must reach the disk. What is missing there is made for real, as the job had it;
 * elsewhere only the job's own mounts change. A file that is there and could have been
 * written by the job is left alone.
 */
#ifndef NATIVE_RESTORE_CARRY_H
#define NATIVE_RESTORE_CARRY_H

struct err;
struct image;
struct native_restart;

/* In pid 1 of the namespaces. */
int carry_put_back(const struct image *img, const struct native_restart *how,
                   struct err *e);

/* After a failure: removes what was made for real. */
void carry_undo(void);

#endif
