/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The child that completes a generation: tests compressed images, makes the sums of
 * files that DMTCP wrote, and writes the record. The job runs meanwhile.
 */
#ifndef DMTCP_SUMS_H
#define DMTCP_SUMS_H

#include "dmtcp/record.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct sums {
    pid_t pid;
    int fd;                   /* readable when it is done */
    volatile uint64_t *bytes; /* done so far; shared */
};

/* Starts it for the files of `r` in dirfd. It dies with its parent. */
int sums_begin(struct sums *s, int dirfd, const struct record *r, bool gzip,
               struct err *e);

/* Waits for its end; 0 when everything is complete and durable. */
int sums_finish(struct sums *s, struct err *e);

/* Gives up. */
void sums_abandon(struct sums *s);

#endif
