/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Standard files of a restarted job: the new run's, continued where the job left them.
 */
#ifndef BASE_STDFILE_H
#define BASE_STDFILE_H

#include <stdint.h>

struct err;

/* What descriptor 0, 1 or 2 of the run was at the checkpoint: a regular file. */
struct stdfile {
    const char *path; /* NULL or "": it had none */
    uint64_t inode, position, size_bytes;
};

/*
 * Makes `fd`, descriptor `number` of the new run, go on from there. An output file that
 * is the same one as then is cut back to its size of then, and the position is set; an
 * output file that is another one goes on at its end. Input is read from the old
 * position also in another file, which may be the same script in another host's spool.
 * What is no regular file is left alone.
 */
int stdfile_continue(int fd, int number, const struct stdfile *was, struct err *e);

/* Cuts the file that is called `what` back to `size` bytes, and logs that; never makes
 * it longer. */
int stdfile_cut(int fd, const char *what, uint64_t size, struct err *e);

#endif
