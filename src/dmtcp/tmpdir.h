/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The directory of a run on one host, /tmp/qckpt-dmtcp-XXXXXX: the same path on each of
 * the job's hosts. It is locked (flock(2)) for as long as it is used, so that what was
 * left behind by a run that was killed is known, and removed by the user's next run on
 * that host.
 */
#ifndef DMTCP_TMPDIR_H
#define DMTCP_TMPDIR_H

#include <limits.h>
#include <stdbool.h>

struct err;

/* Makes one, and returns a descriptor that holds the lock; -1 on failure, with `path`
 * empty. Not in the job's TMPDIR: that is the job's to empty. */
int tmpdir_make(char path[PATH_MAX], struct err *e);

/* The same by its name. One that is there is taken over if nobody holds it and it is
 * ours; then what the run before had there may still live, and *is_taken_over is set.
 */
int tmpdir_make_at(const char *path, bool *is_taken_over, struct err *e);

#endif
