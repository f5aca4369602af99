/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A process that saves and loads its own memory.
 */
#ifndef TESTS_UNIT_WRITER_FIXTURE_H
#define TESTS_UNIT_WRITER_FIXTURE_H

#include "base/err.h"
#include "base/scope.h"
#include "native/memory/loader.h"
#include "native/memory/writer.h"
#include "sample.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };

/* The memory that is saved is this process's own, read through /proc/self/mem as the
 * writer reads a job's. */
struct bench {
    char path[64];
    int dirfd, mem_fd, pagemap_fd;
    struct image *img;
};

static inline void set_up(struct bench *b)
{
    b->dirfd = sample_mkdir(b->path);
    b->mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    b->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    b->img = sample_small();
}

static inline void tear_down(struct bench *b)
{
    image_free(b->img);
    close(b->mem_fd);
    close(b->pagemap_fd);
    sample_rmdir(b->dirfd, b->path);
}

static inline uint8_t *map(struct bench *b, size_t size, enum image_vma_kind kind)
{
    uint8_t *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sample_vma(&b->img->processes[0], (uintptr_t)p, (uintptr_t)p + size, kind);
    return p;
}

/* Bytes that zstd cannot shrink. */
static inline void fill_random(uint8_t *p, size_t size, uint64_t seed)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(p + i, &seed, 8);
    }
}

static inline void fill_text(uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = "a line of some output\n"[i % 22] + (i / 4096 % 3);
}

static inline int compare_vmas(const void *a, const void *b)
{
    const struct image_vma *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static inline struct writer *start(struct bench *b, const struct writer_source *sources,
                                   uint32_t n, enum writer_compress compress,
                                   struct err *e)
{
    struct writer_options o = {.dirfd = b->dirfd, .compress = compress, .threads = 2};

    if (b->img->processes[0].n_vmas)
        qsort(b->img->processes[0].vmas, b->img->processes[0].n_vmas,
              sizeof(struct image_vma), compare_vmas);
    return writer_start(b->img, sources, n, &o, e);
}

/* Writes; the process's own memory is the only source unless others are given. */
static inline int save_sources(struct bench *b, const struct writer_source *sources,
                               uint32_t n, enum writer_compress compress,
                               struct writer_stats *stats, struct err *e)
{
    struct writer *w = start(b, sources, n, compress, e);
    int result;

    if (!w)
        return -1;
    result = writer_finish(w, stats, e);
    writer_close(w);
    return result;
}

static inline struct writer_source own_memory(const struct bench *b)
{
    return (struct writer_source){
        .owner = IMAGE_OWNER_PROCESS, .mem_fd = b->mem_fd, .pagemap_fd = b->pagemap_fd};
}

static inline int save(struct bench *b, enum writer_compress compress,
                       struct writer_stats *stats, struct err *e)
{
    struct writer_source source = own_memory(b);

    return save_sources(b, &source, 1, compress, stats, e);
}

/* Loads what was saved back into this process. */
static inline int load(struct bench *b, const int *objects, struct err *e)
{
    auto_fd int memory = openat(b->dirfd, "memory", O_RDONLY | O_CLOEXEC);
    auto_image struct image *img = image_load(b->dirfd, e);
    struct loader_targets t = {.processes = &b->mem_fd, .objects = objects};

    return img ? loader_run(img, memory, &t, e) : -1;
}

#endif
