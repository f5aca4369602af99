/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a job has on its host only, and finds again where it is restarted: the job
 * script, under its old path; its TMPDIR, under the old path, and if it shall the
 * contents.
 */
#ifndef DMTCP_LOCAL_H
#define DMTCP_LOCAL_H

#include "dmtcp/record.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

/* The paths are as the job knows them, since its first run. */
struct local {
    char tmpdir[PATH_MAX]; /* "" for none */
    struct record_carried script;
    char *data; /* of the script; owned */
    size_t size;
};

/* Notes a first run's. Either may be NULL, and a script that is not there is none. */
int local_note(struct local *l, const char *tmpdir, const char *job_script,
               struct err *e);
void local_free(struct local *l);

/* Puts the script into a generation, and the contents of this run's TMPDIR when it is
 * not NULL; fills those members of the record. The job stands still. */
int local_save(const struct local *l, const char *carry_tmpdir, int dirfd,
               struct record *r, struct err *e);

/* The same out of a generation, whose sums are good. */
int local_load(struct local *l, const struct record *r, int dirfd, struct err *e);

/* Fills this run's TMPDIR with what was in the old one; what is there stays. */
int local_unpack(const struct record *r, int dirfd, const char *tmpdir, struct err *e);

/* Whether local_place has anything to do on this host. */
bool local_needs_place(const struct local *l, const char *tmpdir);

/* Makes all appear under the old paths, in mounts of this process's own. */
int local_place(const struct local *l, const char *tmpdir, struct err *e);

#endif
