/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From memory to chunks: worker threads that read what a plan names, leave out zero
 * pages, compress what that makes smaller and append it to `memory`.
 */
#ifndef NATIVE_MEMORY_PACK_H
#define NATIVE_MEMORY_PACK_H

#include "native/memory/plan.h"
#include "native/memory/writer.h"

#include <stdint.h>

struct err;
struct sum_file;

struct pack_job {
    const struct image *img;
    const struct writer_source *sources;
    const struct plan *plan;
    const struct writer_options *options;
    struct sum_file *file;
    /* Called every 100 ms or so with the bytes of the plan that are done. */
    void (*progress)(void *arg, uint64_t bytes);
    void *arg;
};

/* The chunks by ascending offset and their runs; both owned by the caller. */
struct pack_index {
    struct image_chunk *chunks;
    uint32_t n_chunks;
    struct image_run *runs;
    uint32_t n_runs;
};

/* Returns when all is appended, or with the first error of any worker. The index is
 * only filled on success. Threads run in the calling process; where none can be made
 * the caller does the work. */
int pack_run(const struct pack_job *job, struct pack_index *index, struct err *e);

#endif
