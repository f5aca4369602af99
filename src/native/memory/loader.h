/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading `memory` back into processes and objects that are being restored, with worker
 * threads. Every chunk's digest is checked before its bytes go anywhere.
 */
#ifndef NATIVE_MEMORY_LOADER_H
#define NATIVE_MEMORY_LOADER_H

#include <stdint.h>

struct err;
struct image;

/* Where the bytes go: descriptors open for writing, by index. -1: leave these out.
 * processes: /proc/PID/mem of the process whose mappings are in place (and writable for
 * the time being); objects: the object's file. NULL: none of that owner. */
struct loader_targets {
    const int *processes;
    const int *objects;
};

/* Loads all runs that belong to a target. ERR_CORRUPT names the chunk. */
int loader_run(const struct image *img, int memory_fd, const struct loader_targets *t,
               struct err *e);

#endif
