/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing the memory of a saved job, beside the supervisor.
 *
 * The writer is a child process with worker threads: it reads pages through descriptors
 * that the supervisor opened (so that it need not be allowed to trace anybody), leaves
 * out zero pages, fills chunks, compresses them when that pays, appends them to
 * `memory`, and at last writes `image`. Its crash or its hanging on a file system is
 * not the supervisor's.
 */
#ifndef NATIVE_MEMORY_WRITER_H
#define NATIVE_MEMORY_WRITER_H

#include "image/image.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct writer;

/* Where the pages of one process or object are read from. */
struct writer_source {
    enum image_owner owner;
    uint32_t index;
    int mem_fd;     /* PROCESS: /proc/PID/mem; OBJECT: a file or memfd */
    int pagemap_fd; /* PROCESS: /proc/PID/pagemap; OBJECT: -1 */
    /* PROCESS: only mappings for which this says true are read from mem_fd (by index
     * into vmas); NULL: all. The others have a source of their own. */
    const bool *vmas;
    /* PROCESS, mem_fd -1: one range that was copied while the job stood still. */
    uint64_t copy_start, copy_size;
    const void *copy;
};

struct writer_options {
    int dirfd;
    enum writer_compress {
        WRITER_COMPRESS_AUTO,
        WRITER_COMPRESS_NONE,
        WRITER_COMPRESS_ZSTD
    } compress;
    unsigned threads; /* 0: one for each CPU this process may use, at most 8 */
};

struct writer_stats {
    uint64_t bytes;        /* memory saved, before compression */
    uint64_t stored_bytes; /* size of the files */
};

/* Forks the writer. `img` and the sources are copied by the fork and may go afterwards;
 * descriptors in the sources may be closed. */
struct writer *writer_start(const struct image *img,
                            const struct writer_source *sources, uint32_t n_sources,
                            const struct writer_options *o, struct err *e);

/* Readable when there is progress or the end. */
int writer_fd(const struct writer *w);
/* Reads what has been reported; true when the writer has ended. */
bool writer_poll(struct writer *w, uint64_t *bytes, uint64_t *total_bytes);
/* Waits for the end: everything is complete and synced, or -1 with the writer's error.
 */
int writer_finish(struct writer *w, struct writer_stats *stats, struct err *e);
/* The writer's pid, so that whoever collects children leaves it alone. */
pid_t writer_pid(const struct writer *w);
/* Kills it if it runs, and frees. NULL is allowed. */
void writer_close(struct writer *w);

#endif
