/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/chunker.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    LEAST_ROOM = 64 << 10, /* a smaller rest is not worth another read */
    LEVEL = 1,
    SAMPLES = 4,
    SAMPLE_SIZE = 8 << 10,
};

struct chunker *chunker_new(enum writer_compress mode, struct err *e)
{
    struct chunker *c = calloc(1, sizeof(*c));

    if (c) {
        c->raw = malloc(IMAGE_CHUNK_MAX);
        c->packed = malloc(IMAGE_CHUNK_MAX);
        c->zstd = ZSTD_createCCtx();
        c->mode = mode;
        c->vma = IMAGE_NONE;
    }
    if (!c || !c->raw || !c->packed || !c->zstd) {
        chunker_free(c);
        err_set(e, ERR_FAILED, "out of memory for writing memory");
        return NULL;
    }
    return c;
}

void chunker_free(struct chunker *c)
{
    if (!c)
        return;
    free(c->raw);
    free(c->packed);
    ZSTD_freeCCtx(c->zstd);
    free(c);
}

bool chunker_full(const struct chunker *c)
{
    return c->used > IMAGE_CHUNK_MAX - LEAST_ROOM || c->n_runs > CHUNKER_RUNS / 2;
}

void chunker_reset(struct chunker *c)
{
    c->used = 0;
    c->n_runs = 0;
}

static bool is_zero(const uint8_t *p, size_t size)
{
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

/* The bytes lie at raw + used already. Runs do not reach from one mapping into the
 * next, even where the addresses do. */
static void add_run(struct chunker *c, uint32_t vma, const struct image_run *run)
{
    struct image_run *last = c->n_runs ? &c->runs[c->n_runs - 1] : NULL;

    c->used += run->size;
    if (last && c->vma == vma && last->owner == run->owner &&
        last->index == run->index && last->start + last->size == run->start) {
        last->size += run->size;
        return;
    }
    c->runs[c->n_runs++] = *run;
    c->vma = vma;
}

void chunker_add(struct chunker *c, const struct plan_extent *x,
                 const struct image_run *piece, uint32_t page_size)
{
    const uint8_t *in = c->raw + c->used;
    uint64_t done = 0;

    if (x->keep_zero) {
        add_run(c, x->vma, piece);
        return;
    }
    while (done < piece->size) {
        struct image_run run = *piece;
        uint64_t from = done, n;

        /* Pages up to the next one of zeros move together. */
        for (n = 0; done < piece->size; done += n) {
            n = piece->size - done < page_size ? piece->size - done : page_size;
            if (is_zero(in + done, n))
                break;
        }
        run.start = piece->start + from;
        run.size = done - from;
        if (run.size) {
            if (c->raw + c->used != in + from)
                memmove(c->raw + c->used, in + from, run.size);
            add_run(c, x->vma, &run);
        }
        if (done < piece->size)
            done += n;
    }
}

/* The compressed size, or 0 when it is above `limit`. */
static size_t compress(struct chunker *c, size_t limit)
{
    size_t n = ZSTD_compressCCtx(c->zstd, c->packed, limit, c->raw, c->used, LEVEL);

    return ZSTD_isError(n) ? 0 : n;
}

/* Whether some samples shrink by a tenth: a small part of the work of a whole chunk. */
static bool samples_shrink(struct chunker *c)
{
    uint32_t step = c->used / SAMPLES;
    size_t shrunk = 0;

    if (step < SAMPLE_SIZE)
        return true;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        size_t n = ZSTD_compressCCtx(c->zstd, c->packed, SAMPLE_SIZE,
                                     c->raw + (size_t)i * step, SAMPLE_SIZE, LEVEL);

        shrunk += ZSTD_isError(n) ? SAMPLE_SIZE : n;
    }
    return shrunk < SAMPLES * SAMPLE_SIZE / 10 * 9;
}

/* Data that does not shrink is met in long stretches (pictures, compressed or encrypted
 * buffers, noise): after a chunk that saves less than a tenth, samples of the next ones
 * are tried first. */
static size_t compress_if_it_pays(struct chunker *c)
{
    size_t n;

    if (c->doubtful && !samples_shrink(c))
        return 0;
    n = compress(c, c->used - c->used / 10);
    c->doubtful = n == 0;
    return n;
}

const void *chunker_pack(struct chunker *c, struct image_chunk *chunk)
{
    XXH128_canonical_t digest;
    const void *stored;
    size_t n = 0;

    if (c->mode == WRITER_COMPRESS_ZSTD)
        n = compress(c, c->used - 1);
    else if (c->mode == WRITER_COMPRESS_AUTO)
        n = compress_if_it_pays(c);
    stored = n ? c->packed : c->raw;
    chunk->codec = n ? IMAGE_CODEC_ZSTD : IMAGE_CODEC_NONE;
    chunk->stored_size = n ? n : c->used;
    chunk->raw_size = c->used;
    chunk->n_runs = c->n_runs;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(stored, chunk->stored_size));
    memcpy(chunk->digest, &digest, sizeof(chunk->digest));
    return stored;
}
