/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The index of `memory`: runs lie where memory is, chunks are no larger than promised.
 */
#include "image/format.h"

#include "base/err.h"

#include <inttypes.h>

/* The mapping that holds `address`, or NULL. */
static const struct image_vma *vma_at(const struct image_process *p, uint64_t address)
{
    uint32_t low = 0, high = p->n_vmas;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (p->vmas[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->n_vmas && p->vmas[low].start <= address ? &p->vmas[low] : NULL;
}

static bool has_content(const struct image_vma *v)
{
    return v->kind == IMAGE_VMA_ANON || v->kind == IMAGE_VMA_FILE_PRIVATE ||
           v->kind == IMAGE_VMA_OBJECT_PRIVATE || v->kind == IMAGE_VMA_VDSO;
}

static bool fits_process(const struct image *img, const struct image_run *r)
{
    const struct image_process *p;
    const struct image_vma *v;

    if (r->index >= img->n_processes || r->size % img->page_size)
        return false;
    p = &img->processes[r->index];
    v = p->zombie ? NULL : vma_at(p, r->start);
    return v && has_content(v) && r->size <= v->end - r->start;
}

/* The last page of an object may be cut short by the object's end. */
static bool fits_object(const struct image *img, const struct image_run *r)
{
    uint64_t size;

    if (r->index >= img->n_objects)
        return false;
    size = img->objects[r->index].size;
    if (r->start > size || r->size > size - r->start)
        return false;
    return r->size % img->page_size == 0 || r->start + r->size == size;
}

static int check_run(const struct image *img, uint32_t index, struct err *e)
{
    const struct image_run *r = &img->runs[index];
    bool fits =
        r->size > 0 && r->size <= IMAGE_CHUNK_MAX && r->start % img->page_size == 0;

    if (r->owner == IMAGE_OWNER_PROCESS)
        fits = fits && fits_process(img, r);
    else if (r->owner == IMAGE_OWNER_OBJECT)
        fits = fits && fits_object(img, r);
    else
        fits = false;
    if (!fits)
        return err_set(e, ERR_CORRUPT,
                       "run %u: %" PRIu64 " bytes at %" PRIx64
                       " lie in no memory of %s %u",
                       index, r->size, r->start,
                       r->owner == IMAGE_OWNER_OBJECT ? "object" : "process", r->index);
    return 0;
}

static bool has_possible_sizes(const struct image_chunk *c)
{
    if (c->raw_size == 0 || c->raw_size > IMAGE_CHUNK_MAX || c->stored_size == 0)
        return false;
    if (c->codec == IMAGE_CODEC_NONE)
        return c->stored_size == c->raw_size;
    return c->codec == IMAGE_CODEC_ZSTD && c->stored_size < c->raw_size;
}

static int check_chunk(const struct image *img, uint32_t index, struct err *e)
{
    const struct image_chunk *c = &img->chunks[index];
    const struct image_chunk *before = index ? c - 1 : NULL;
    uint64_t after = before ? before->offset + before->stored_size : 0;
    uint32_t next = before ? before->first_run + before->n_runs : 0;
    uint64_t sum = 0;

    if (!has_possible_sizes(c))
        return err_set(e, ERR_CORRUPT, "chunk %u: impossible size or codec", index);
    if (c->offset < after || c->offset > INT64_MAX - c->stored_size)
        return err_set(e, ERR_CORRUPT, "chunk %u: overlaps the one before", index);
    if (c->first_run != next || c->n_runs > img->n_runs - next)
        return err_set(e, ERR_CORRUPT, "chunk %u: its runs are not there", index);
    for (uint32_t i = 0; i < c->n_runs; i++)
        sum += img->runs[next + i].size;
    if (sum != c->raw_size)
        return err_set(e, ERR_CORRUPT,
                       "chunk %u: %u bytes for runs of %" PRIu64 " bytes", index,
                       c->raw_size, sum);
    return 0;
}

int format_check_memory(const struct image *img, struct err *e)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < img->n_runs; i++)
        if (check_run(img, i, e) < 0)
            return -1;
    for (uint32_t i = 0; i < img->n_chunks; i++) {
        if (check_chunk(img, i, e) < 0)
            return -1;
        used += img->chunks[i].n_runs;
    }
    if (used != img->n_runs)
        return err_set(e, ERR_CORRUPT, "%u runs lie in no chunk", img->n_runs - used);
    return 0;
}
