/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files that stand behind mappings: programs, libraries, mapped data.
 *
 * They are opened and checked once, by init, before there is any process of the job;
 * the processes inherit the descriptors and map from them.
 */
#ifndef NATIVE_RESTORE_BACKING_H
#define NATIVE_RESTORE_BACKING_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct image;
struct image_file_id;
struct image_process;
struct image_vma;

enum backing_need {
    BACKING_MAY,   /* restored without it when it is gone or another one */
    BACKING_LARGE, /* at least as large: a file that others may have written to */
    BACKING_SAME,  /* the very file */
};

struct backing_file {
    const char *path; /* the image's */
    const struct image_file_id *id;
    bool writable; /* mapped shared and for writing */
    enum backing_need need;
};

struct backing {
    struct backing_file *file; /* owned */
    uint32_t n;
    int *fd; /* [n]; set by the user, filled by backing_open */
};

int backing_list(struct backing *b, const struct image *img, struct err *e);
void backing_free(struct backing *b);

/* Opens all at or above first_fd. ERR_REFUSED names a file that is another one here. */
int backing_open(const struct backing *b, int first_fd, struct err *e);

/* The descriptor from which process `p` maps `v` (FILE_*): one of its own where it has
 * the same file open, because closing another one would release its record locks
 * (fcntl(2)); else a backing descriptor. -1: none. */
int backing_fd(const struct backing *b, const struct image *img,
               const struct image_process *p, const struct image_vma *v);
/* That of the program file. */
int backing_exe_fd(const struct backing *b, const struct image_process *p);

/* Adds the backing descriptors that `p` needs to the list `keep` at *n. */
void backing_keep(const struct backing *b, const struct image *img,
                  const struct image_process *p, int *keep, uint32_t *n);

#endif
