/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dmtcp.json: what a generation of this engine consists of, and what a restart needs
 * besides the images. doc/format/dmtcp.md is the specification.
 */
#ifndef DMTCP_RECORD_H
#define DMTCP_RECORD_H

#include "dmtcp/images.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* A descriptor that the run was given, at the moment of the checkpoint. */
struct record_stdio {
    bool is_open, is_regular;
    uint64_t inode;
    uint64_t position, size_bytes; /* regular files only */
    char path[PATH_MAX];           /* "" when it has none */
};

/* A node-local file that travels with the job. */
struct record_carried {
    char path[PATH_MAX];     /* where the job expects it; "" for none */
    char file[NAME_MAX + 1]; /* in the generation */
    uint32_t mode;
    int64_t mtime_ns;
};

/* What base/gate.h has to be kept with a host: its CPU contract. */
struct record_host {
    char name[256]; /* as struct image.host */
    char *keep;     /* owned */
};

struct record {
    unsigned major, minor;    /* of the DMTCP that wrote it */
    bool gzip;                /* images are compressed */
    char root[64];            /* the job's root process, as struct image.unique */
    char directory[PATH_MAX]; /* where DMTCP wrote: saved files are looked for there */
    char tmpdir[PATH_MAX];    /* the job's TMPDIR, or "" */
    char tmpdir_file[32];     /* an archive of its contents in the generation, or "" */
    struct record_stdio stdio[3];
    struct record_carried job_script;
    struct record_host *hosts; /* the others of a job of several; owned */
    size_t n_hosts;
    struct images images; /* size_bytes is not kept */
};

void record_free(struct record *r);
#define auto_record __attribute__((cleanup(record_free)))

/* Notes what there is to note of three descriptors. Runs while the job stands still. */
void record_note_stdio(const int fd[3], struct record_stdio out[3]);

/* Copies both. */
int record_add_host(struct record *r, const char *name, const char *keep,
                    struct err *e);

/* What was kept with a host, "" when nothing was. */
const char *record_kept(const struct record *r, const char *host);

/* Writes dmtcp.json and its sums. */
int record_write(int dirfd, const struct record *r, struct err *e);

/* Reads and checks it; ERR_CORRUPT names the member that is wrong, ERR_WRONG_HOST the
 * format that a newer qckpt wrote. The caller ends *out with record_free. */
int record_read(int dirfd, struct record *out, struct err *e);

#endif
