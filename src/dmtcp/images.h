/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The images that DMTCP has written for a checkpoint, and what they are called in a
 * generation.
 *
 * DMTCP writes ckpt_PROGRAM_UNIQUE.dmtcp.temp for each process, and with some a
 * directory ckpt_PROGRAM_UNIQUE_files. In a generation the first is ckpt_0001.dmtcp,
 * what is in its directory ckpt_0001.file1 and so on: a program's name may be anything.
 */
#ifndef DMTCP_IMAGES_H
#define DMTCP_IMAGES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct processes;

struct image_saved {
    char file[32];           /* in the generation */
    char name[NAME_MAX + 1]; /* in DMTCP's directory */
};

struct image {
    char file[32];           /* in the generation */
    char name[NAME_MAX + 1]; /* as DMTCP calls it once it is complete: X.dmtcp */
    char unique[64];         /* which process it is of */
    char host[256];          /* where that ran; "" in a job of one host */
    uint64_t size_bytes;
    struct image_saved *saved; /* owned */
    size_t n_saved;
};

struct images {
    struct image *image; /* owned */
    size_t n;
};

void images_free(struct images *set);
#define auto_images __attribute__((cleanup(images_free)))

/*
 * Lists what is complete in all but name: every X.dmtcp.temp, with what belongs to it.
 * Runs while the job stands still. ERR_FAILED: something there is no image (a wrong
 * start, a wrong owner), was left over, or belongs to none.
 */
int images_list(int dirfd, struct images *out, struct err *e);

/* The bytes in all *.dmtcp.temp of now: whether DMTCP gets on. */
uint64_t images_growth(int dirfd);

/* Gives every file of the set its name in the directory `stage` too; the bytes are not
 * copied. Runs while the job stands still. */
int images_link(int dirfd, const struct images *set, int stage, struct err *e);

/* Whether a file in the directory that DMTCP writes is still the standard output of one
 * of these processes: a compressor, that is. */
bool images_is_written(const char *directory, const struct processes *all);

/* Tests a compressed image with gzip -t. */
int images_test_compressed(int dirfd, const char *name, struct err *e);

/* Makes in `dir` what dmtcp_restart wants: X.dmtcp as links to `from`/ckpt_N.dmtcp. */
int images_lay_out(const struct images *set, const char *from, int dirfd,
                   struct err *e);

/* Makes the directories ckpt_X_files in dirfd, with copies of their files from the
 * generation. */
int images_copy_saved(const struct images *set, int generation, int dirfd,
                      struct err *e);

#endif
