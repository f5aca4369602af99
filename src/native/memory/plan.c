/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/plan.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "native/memory/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* What a search works on. */
struct search {
    struct plan *plan;
    const struct image *img;
    const struct writer_source *source;
    uint32_t source_index;
    uint32_t vma; /* being searched */
};

static struct plan_extent *new_extent(struct search *s, uint64_t start, uint64_t size)
{
    struct plan_extent *x = IMAGE_APPEND(s->plan, extents);

    if (!x)
        return NULL;
    x->start = start;
    x->size = size;
    x->source = s->source_index;
    x->vma = IMAGE_NONE;
    s->plan->total += size;
    return x;
}

static int add_extent(struct search *s, uint32_t vma, uint64_t start, uint64_t size,
                      struct err *e)
{
    struct plan_extent *x = new_extent(s, start, size);

    if (!x)
        return err_set(e, ERR_FAILED, "out of memory");
    x->vma = vma;
    if (vma != IMAGE_NONE)
        x->keep_zero =
            s->img->processes[s->source->index].vmas[vma].kind != IMAGE_VMA_ANON;
    return 0;
}

/* What the page map knows; neighbours become one extent. */
static int add_pages(void *arg, uint64_t start, uint64_t end, struct err *e)
{
    struct search *s = arg;
    struct plan *plan = s->plan;
    struct plan_extent *last =
        plan->n_extents ? &plan->extents[plan->n_extents - 1] : NULL;

    if (!last || last->source != s->source_index || last->vma != s->vma ||
        last->start + last->size != start)
        return add_extent(s, s->vma, start, end - start, e);
    last->size += end - start;
    plan->total += end - start;
    return 0;
}

static int search_pagemap(struct search *s, uint32_t vma, const struct image_vma *v,
                          struct err *e)
{
    struct pagemap_search search = {.fd = s->source->pagemap_fd,
                                    .page_size = s->img->page_size,
                                    .found = add_pages,
                                    .arg = s};

    s->vma = vma;
    return pagemap_search(&search, v->start, v->end, e);
}

static bool is_saved(const struct image_vma *v)
{
    /* The kernel hands such memory out empty to every copy of a process; a restarted
     * process is one. */
    if (v->flags & IMAGE_VMA_WIPEONFORK)
        return false;
    return v->kind == IMAGE_VMA_ANON || v->kind == IMAGE_VMA_FILE_PRIVATE ||
           v->kind == IMAGE_VMA_OBJECT_PRIVATE || v->kind == IMAGE_VMA_VDSO;
}

/* All of [start, end); `unsure`: some of it may not be there. */
static int add_range(struct search *s, uint32_t vma, uint64_t start, uint64_t end,
                     bool unsure, struct err *e)
{
    if (add_extent(s, vma, start, end - start, e) < 0)
        return -1;
    s->plan->extents[s->plan->n_extents - 1].unsure = unsure;
    return 0;
}

static int search_vma(struct search *s, uint32_t vma, const struct image_vma *v,
                      struct err *e)
{
    const struct writer_source *source = s->source;
    uint64_t start = v->start, end = v->end;

    if (source->mem_fd < 0) {
        if (start < source->copy_start)
            start = source->copy_start;
        if (end > source->copy_start + source->copy_size)
            end = source->copy_start + source->copy_size;
        return start < end ? add_range(s, vma, start, end, false, e) : 0;
    }
    if (v->kind == IMAGE_VMA_VDSO)
        return add_range(s, vma, start, end, false, e);
    if (source->pagemap_fd < 0)
        return add_range(s, vma, start, end, true, e);
    return search_pagemap(s, vma, v, e);
}

static int search_process(struct search *s, struct err *e)
{
    const struct image_process *p = &s->img->processes[s->source->index];

    for (uint32_t i = 0; i < p->n_vmas; i++) {
        if (!is_saved(&p->vmas[i]) || (s->source->vmas && !s->source->vmas[i]))
            continue;
        if (search_vma(s, i, &p->vmas[i], e) < 0)
            return err_wrap(e, "process %d", p->pid);
    }
    return 0;
}

/* A descriptor of our own for looking for holes: that moves the position, which the
 * given one may share with the job. -1: not possible. */
static int reopen(int fd)
{
    char path[64];
    struct err ignored = {0};

    if (str_format(path, sizeof(path), &ignored, "/proc/self/fd/%d", fd) < 0)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int search_object(struct search *s, struct err *e)
{
    uint64_t page_size = s->img->page_size;
    uint64_t size = s->img->objects[s->source->index].size;
    auto_fd int fd = reopen(s->source->mem_fd);

    for (uint64_t at = 0; at < size;) {
        off_t data = lseek(fd, at, SEEK_DATA), hole;
        uint64_t start, end;

        if (data < 0 && errno == ENXIO)
            return 0;
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return add_extent(s, IMAGE_NONE, at, size - at, e);
        start = (uint64_t)data / page_size * page_size;
        end = ((uint64_t)hole + page_size - 1) / page_size * page_size;
        if (start >= size)
            return 0;
        if (start < at)
            start = at;
        if (end > size)
            end = size;
        if (end > start && add_extent(s, IMAGE_NONE, start, end - start, e) < 0)
            return -1;
        at = end > at ? end : size;
    }
    return 0;
}

static int search_source(struct search *s, struct err *e)
{
    uint32_t index = s->source->index;

    if (s->source->owner == IMAGE_OWNER_PROCESS) {
        if (index >= s->img->n_processes)
            return err_set(e, ERR_FAILED, "no process %u to save", index);
        return search_process(s, e);
    }
    if (index >= s->img->n_objects || s->source->mem_fd < 0)
        return err_set(e, ERR_FAILED, "no object %u to save", index);
    return search_object(s, e);
}

int plan_make(struct plan *plan, const struct image *img,
              const struct writer_source *sources, uint32_t n_sources, struct err *e)
{
    for (uint32_t i = 0; i < n_sources; i++) {
        struct search s = {
            .plan = plan, .img = img, .source = &sources[i], .source_index = i};

        if (search_source(&s, e) < 0)
            return -1;
    }
    return 0;
}

int plan_check_alive(const struct image *img, const struct writer_source *sources,
                     uint32_t n_sources, struct err *e)
{
    for (uint32_t i = 0; i < n_sources; i++) {
        const struct writer_source *s = &sources[i];

        if (s->owner == IMAGE_OWNER_PROCESS && s->pagemap_fd >= 0 &&
            pagemap_check_alive(s->pagemap_fd, e) < 0)
            return err_wrap(e, "process %d", img->processes[s->index].pid);
    }
    return 0;
}
