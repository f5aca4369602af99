/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which memory of a stopped job has to be read, found without reading it: private
 * memory by its page map, objects by their holes.
 */
#ifndef NATIVE_MEMORY_PLAN_H
#define NATIVE_MEMORY_PLAN_H

#include "native/memory/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

/* One stretch that lies in one mapping or one object. */
struct plan_extent {
    uint64_t start, size; /* bytes; only an object's end is not at a page */
    uint32_t source;
    uint32_t vma;   /* index, or IMAGE_NONE for an object */
    bool keep_zero; /* a page of zeros differs from what lies under it */
    bool unsure;    /* nobody knows which of its pages exist */
};

struct plan {
    struct plan_extent
        *extents; /* owned by the writer's process, which ends with them */
    uint32_t n_extents;
    uint64_t total; /* bytes of all extents */
};

/* Adds the extents of all sources. ERR_GONE: a process ended meanwhile. */
int plan_make(struct plan *plan, const struct image *img,
              const struct writer_source *sources, uint32_t n_sources, struct err *e);

/* ERR_GONE when a process ended. To be asked once more when all is read: the memory of
 * one that the kernel kills for want of memory becomes empty before it is gone. */
int plan_check_alive(const struct image *img, const struct writer_source *sources,
                     uint32_t n_sources, struct err *e);

#endif
