/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Node-local files that travel with a job appear under their old paths, and its old
 * TMPDIR is the new one.
 *
 * A path that the job's user can write is never covered by a mount: what the job writes
 * there must reach the disk. What is missing there is made for real, as the job had it;
 * elsewhere only the job's own mounts change. A file that is there and could have been
 * written by the job is left alone.
 *
 * To be called in a mount namespace of the job's own (place/mounts.h).
 */
#ifndef PLACE_PLACE_H
#define PLACE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A file that travels. Nothing is owned. */
struct place_file {
    const char *path; /* absolute */
    uint32_t mode;    /* with its type: a regular file, a directory, a symbolic link */
    uint64_t mtime_ns;
    const void *data; /* or, for a symbolic link, its target */
    size_t size;
};

/* What it is to the job. */
struct place_role {
    const char *tmpdir; /* the job's of then, or NULL: what lies below it is made */
    bool is_script;     /* must be as it was, whoever can write it here */
    bool is_written;    /* the job has it open for writing: it is left alone */
};

/* Makes the directory `now` appear under the path `old`; either may be NULL. One that
 * exists is left alone unless a stranger may have put it there. */
int place_directory(const char *old, const char *now, struct err *e);

int place_put(const struct place_file *file, const struct place_role *role,
              struct err *e);

/* Whether the file lies under its path as it was, so that nothing has to be put. */
bool place_is_there(const struct place_file *file);

/* After a failure: removes what was made for real. */
void place_undo(void);

#endif
