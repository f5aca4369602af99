/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether the images that DMTCP has written are the job: one for each live process, on
 * each of its hosts. Runs while the job stands still.
 */
#ifndef DMTCP_SET_H
#define DMTCP_SET_H

#include <stdint.h>

struct command_list;
struct err;
struct images;
struct session;

struct set_of {
    struct session *session;
    const struct command_list *workers; /* when the job was asked */
    const char *root;                   /* the id of its first process */
};

struct set_size {
    uint32_t processes, threads;
    uint64_t bytes;
};

/*
 * Lists the images, and says of each whose it is. ERR_REFUSED, and momentary: a process
 * has ended since the job was asked, or is about to; DMTCP would not carry its status.
 * ERR_GONE: the job has ended.
 */
int set_check(const struct set_of *o, struct images *images, struct set_size *size,
              struct err *e);

#endif
