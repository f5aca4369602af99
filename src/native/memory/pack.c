/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/pack.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/scope.h"
#include "base/sum.h"
#include "native/memory/chunker.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

SCOPE_DEFINE(chunker, struct chunker *, chunker_free);
#define auto_chunker SCOPE_USE(chunker)

enum {
    THREADS_MAX = 8,
    THREAD_STACK = 256 << 10,
    PROGRESS_MS = 100,
};

/* What the workers share. */
struct packer {
    const struct pack_job *job;
    _Atomic uint64_t done_bytes;
    atomic_bool stop;

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t ended;
    unsigned running;
    uint32_t extent; /* the next one to hand out, from `offset` on */
    uint64_t offset;
    struct pack_index index;
    struct err e; /* of the first worker that failed */
};

/* ---- handing out ---- */

/* A piece of memory for one worker, at most `room` bytes; false: there is no more. */
static bool take_piece(struct packer *p, uint64_t room, const struct plan_extent **x,
                       struct image_run *piece)
{
    const struct plan *plan = p->job->plan;
    bool found;

    pthread_mutex_lock(&p->lock);
    found = p->extent < plan->n_extents;
    if (found) {
        uint64_t left;

        *x = &plan->extents[p->extent];
        left = (*x)->size - p->offset;
        if ((*x)->unsure)
            room = p->job->img->page_size;
        piece->owner = p->job->sources[(*x)->source].owner;
        piece->index = p->job->sources[(*x)->source].index;
        piece->start = (*x)->start + p->offset;
        piece->size = left < room ? left : room;
        p->offset += piece->size;
        if (p->offset == (*x)->size) {
            p->offset = 0;
            p->extent++;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

/* ---- reading ---- */

static int describe_failure(const struct packer *p, const struct image_run *piece,
                            ssize_t n, uint64_t at, struct err *e)
{
    int code = errno;

    if (piece->owner == IMAGE_OWNER_OBJECT) {
        const char *path = p->job->img->objects[piece->index].path;

        if (n == 0)
            return err_set(e, ERR_FAILED,
                           "object %u (%s) ends at %" PRIu64
                           " bytes: it has shrunk while it was saved",
                           piece->index, path ? path : "shared memory", at);
        return err_code(e, code, "read object %u (%s) at byte %" PRIu64, piece->index,
                        path ? path : "shared memory", at);
    }
    if (n == 0 || code == ESRCH)
        return err_set(e, ERR_GONE, "process %d ended while its memory was read",
                       p->job->img->processes[piece->index].pid);
    return err_code(e, code, "read memory of process %d at %" PRIx64,
                    p->job->img->processes[piece->index].pid, at);
}

/* Reads a piece; 1 when it has content, 0 when it is a page that does not exist. */
static int read_piece(const struct packer *p, const struct plan_extent *x,
                      const struct image_run *piece, uint8_t *to, struct err *e)
{
    const struct writer_source *s = &p->job->sources[x->source];

    if (s->mem_fd < 0) {
        memcpy(to, (const uint8_t *)s->copy + (piece->start - s->copy_start),
               piece->size);
        return 1;
    }
    for (uint64_t done = 0; done < piece->size;) {
        ssize_t n =
            pread(s->mem_fd, to + done, piece->size - done, piece->start + done);

        if (n < 0 && errno == EINTR)
            continue;
        /* mem_rw() of the kernel says so for a page behind the end of a file. */
        if (n < 0 && x->unsure && errno == EIO)
            return 0;
        if (n <= 0)
            return describe_failure(p, piece, n, piece->start + done, e);
        done += n;
    }
    return 1;
}

/* ---- appending ---- */

/* Takes the chunk into the index. */
static int record_chunk(struct packer *p, const struct chunker *c,
                        const struct image_chunk *chunk)
{
    struct pack_index *index = &p->index;
    struct image_chunk *to;
    int result = 0;

    pthread_mutex_lock(&p->lock);
    to = IMAGE_APPEND(index, chunks);
    if (to) {
        *to = *chunk;
        to->first_run = index->n_runs;
    }
    for (uint32_t i = 0; to && i < c->n_runs && result == 0; i++) {
        struct image_run *run = IMAGE_APPEND(index, runs);

        if (run)
            *run = c->runs[i];
        else
            result = -1;
    }
    pthread_mutex_unlock(&p->lock);
    return to ? result : -1;
}

static int emit(struct packer *p, struct chunker *c, struct err *e)
{
    struct image_chunk chunk = {0};
    const void *stored;

    if (c->used == 0)
        return 0;
    stored = chunker_pack(c, &chunk);
    if (fault_fails("writer-append"))
        return err_code(e, ENOSPC, "write memory");
    if (sum_append(p->job->file, stored, chunk.stored_size, &chunk.offset, e) < 0)
        return -1;
    fault_point("writer-chunk");
    if (record_chunk(p, c, &chunk) < 0)
        return err_set(e, ERR_FAILED, "out of memory for the index of memory");
    chunker_reset(c);
    return 0;
}

/* ---- workers ---- */

static int work(struct packer *p, struct err *e)
{
    auto_chunker struct chunker *c = chunker_new(p->job->options->compress, e);
    uint32_t page_size = p->job->img->page_size;
    const struct plan_extent *x;
    struct image_run piece;

    if (!c)
        return -1;
    while (!atomic_load(&p->stop)) {
        uint64_t room = (IMAGE_CHUNK_MAX - c->used) / page_size * page_size;
        int there;

        if (!take_piece(p, room, &x, &piece))
            return emit(p, c, e);
        there = read_piece(p, x, &piece, c->raw + c->used, e);
        if (there < 0)
            return -1;
        if (there)
            chunker_add(c, x, &piece, page_size);
        atomic_fetch_add(&p->done_bytes, piece.size);
        if (chunker_full(c) && emit(p, c, e) < 0)
            return -1;
    }
    return 0;
}

static void *worker(void *arg)
{
    struct packer *p = arg;
    struct err e = {0};
    int result = work(p, &e);

    pthread_mutex_lock(&p->lock);
    if (result < 0 && p->e.kind == ERR_NONE)
        p->e = e;
    if (result < 0)
        atomic_store(&p->stop, true);
    p->running--;
    pthread_cond_signal(&p->ended);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void wait_for_workers(struct packer *p)
{
    struct timespec until;

    pthread_mutex_lock(&p->lock);
    while (p->running > 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += PROGRESS_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&p->ended, &p->lock, &until);
        pthread_mutex_unlock(&p->lock);
        p->job->progress(p->job->arg, atomic_load(&p->done_bytes));
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static unsigned thread_count(const struct pack_job *job)
{
    unsigned n = job->options->threads, useful;
    cpu_set_t cpus;

    if (n == 0)
        n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    useful = job->plan->total / IMAGE_CHUNK_MAX + 1 < THREADS_MAX
                 ? job->plan->total / IMAGE_CHUNK_MAX + 1
                 : THREADS_MAX;
    return n < useful ? n : useful;
}

static void run_workers(struct packer *p)
{
    unsigned n = thread_count(p->job), started = 0;
    pthread_t threads[THREADS_MAX];
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    for (; started < n; started++) {
        pthread_mutex_lock(&p->lock);
        p->running++;
        pthread_mutex_unlock(&p->lock);
        if (pthread_create(&threads[started], &attr, worker, p) != 0)
            break;
    }
    pthread_attr_destroy(&attr);
    if (started < n) {
        /* A limit on threads or memory: those that run suffice, if there are any. */
        pthread_mutex_lock(&p->lock);
        p->running--;
        pthread_mutex_unlock(&p->lock);
    }
    if (started == 0) {
        p->running = 1;
        worker(p);
    }
    wait_for_workers(p);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the index ---- */

static int by_offset(const void *a, const void *b)
{
    const struct image_chunk *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Orders chunks as they lie in the file, and the runs as their chunks. */
static int sort_index(struct pack_index *index, struct err *e)
{
    struct image_run *runs = calloc((size_t)index->n_runs + 1, sizeof(*runs));
    uint32_t next = 0;

    if (!runs)
        return err_set(e, ERR_FAILED, "out of memory for the index of memory");
    if (index->n_chunks)
        qsort(index->chunks, index->n_chunks, sizeof(*index->chunks), by_offset);
    for (uint32_t i = 0; i < index->n_chunks; i++) {
        struct image_chunk *c = &index->chunks[i];

        memcpy(&runs[next], &index->runs[c->first_run], c->n_runs * sizeof(*runs));
        c->first_run = next;
        next += c->n_runs;
    }
    free(index->runs);
    index->runs = runs;
    return 0;
}

static int finish(struct packer *p, struct pack_index *index, struct err *e)
{
    if (p->e.kind == ERR_NONE && sort_index(&p->index, &p->e) == 0) {
        *index = p->index;
        return 0;
    }
    free(p->index.chunks);
    free(p->index.runs);
    *e = p->e;
    return -1;
}

int pack_run(const struct pack_job *job, struct pack_index *index, struct err *e)
{
    struct packer p = {.job = job};
    pthread_condattr_t attr;
    int result;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.ended, &attr);
    pthread_condattr_destroy(&attr);
    run_workers(&p);
    result = finish(&p, index, e);
    pthread_cond_destroy(&p.ended);
    pthread_mutex_destroy(&p.lock);
    return result;
}
