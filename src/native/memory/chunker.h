/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One chunk being filled: raw bytes, the runs they come from, and the choice whether
 * to compress. Each worker has one; nothing in it is shared.
 */
#ifndef NATIVE_MEMORY_CHUNKER_H
#define NATIVE_MEMORY_CHUNKER_H

#include "native/memory/plan.h"
#include "native/memory/writer.h"

#include <stdbool.h>
#include <stdint.h>
#include <zstd.h>

struct err;

enum { CHUNKER_RUNS = 1024 };

struct chunker {
    uint8_t *raw;    /* IMAGE_CHUNK_MAX */
    uint8_t *packed; /* IMAGE_CHUNK_MAX */
    uint32_t used;   /* of raw */
    struct image_run runs[CHUNKER_RUNS];
    uint32_t n_runs;
    uint32_t vma; /* of the last run */
    ZSTD_CCtx *zstd;
    enum writer_compress mode;
    bool doubtful; /* AUTO: the last chunk was not worth compressing */
};

/* NULL and `e` when memory is short. */
struct chunker *chunker_new(enum writer_compress mode, struct err *e);
void chunker_free(struct chunker *c);

/* Whether it is time to take the chunk out. */
bool chunker_full(const struct chunker *c);

/* Takes in `size` bytes that were read to raw + used: memory of `owner` at `start`.
 * Pages of zeros are left out unless the extent keeps them. The caller reads at most
 * what fits. */
void chunker_add(struct chunker *c, const struct plan_extent *x,
                 const struct image_run *piece, uint32_t page_size);

/* The bytes to store; fills size, codec and digest of *chunk. Valid until the next
 * chunker_reset. */
const void *chunker_pack(struct chunker *c, struct image_chunk *chunk);
void chunker_reset(struct chunker *c);

#endif
