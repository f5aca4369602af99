/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/memory/loader.h"

#include "base/err.h"
#include "base/scope.h"
#include "image/image.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS_MAX = 8,
    THREAD_STACK = 256 << 10,
    SCRATCH_SIZE = IMAGE_CHUNK_MAX + 4096,
};

/* What the workers share. */
struct loader {
    const struct image *img;
    int memory_fd;
    const struct loader_targets *targets;
    _Atomic uint32_t next; /* chunk */
    atomic_bool stop;
    pthread_mutex_t lock; /* of `e`, the first error */
    struct err e;
};

/* Where a run goes, or -1. The indices were checked by image_load. */
static int target_of(const struct loader *l, const struct image_run *r)
{
    const int *fds =
        r->owner == IMAGE_OWNER_PROCESS ? l->targets->processes : l->targets->objects;

    return fds ? fds[r->index] : -1;
}

static bool is_wanted(const struct loader *l, const struct image_chunk *c)
{
    for (uint32_t i = 0; i < c->n_runs; i++)
        if (target_of(l, &l->img->runs[c->first_run + i]) >= 0)
            return true;
    return false;
}

static int describe_failure(const struct loader *l, const struct image_run *r,
                            uint64_t at, ssize_t n, struct err *e)
{
    int code = n == 0 ? EIO : errno;

    if (r->owner == IMAGE_OWNER_OBJECT)
        return err_code(e, code, "fill object %u at byte %" PRIu64, r->index, at);
    if (n == 0 || code == ESRCH)
        return err_set(e, ERR_GONE, "process %d ended while its memory was filled",
                       l->img->processes[r->index].pid);
    return err_code(e, code, "fill memory of process %d at %" PRIx64,
                    l->img->processes[r->index].pid, at);
}

static int write_run(const struct loader *l, const struct image_run *r, int fd,
                     const uint8_t *from, struct err *e)
{
    for (uint64_t done = 0; done < r->size;) {
        ssize_t n = pwrite(fd, from + done, r->size - done, r->start + done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return describe_failure(l, r, r->start + done, n, e);
        done += n;
    }
    return 0;
}

static int load_chunk(const struct loader *l, uint32_t chunk, uint8_t *raw,
                      uint8_t *scratch, struct err *e)
{
    const struct image_chunk *c = &l->img->chunks[chunk];

    if (!is_wanted(l, c))
        return 0;
    if (image_chunk_read(l->img, chunk, l->memory_fd, raw, scratch, e) < 0)
        return -1;
    for (uint32_t i = 0; i < c->n_runs; i++) {
        const struct image_run *r = &l->img->runs[c->first_run + i];
        int fd = target_of(l, r);

        if (fd >= 0 && write_run(l, r, fd, raw, e) < 0)
            return -1;
        raw += r->size;
    }
    return 0;
}

static int work(struct loader *l, struct err *e)
{
    auto_free uint8_t *raw = malloc(IMAGE_CHUNK_MAX);
    auto_free uint8_t *scratch = malloc(SCRATCH_SIZE);

    if (!raw || !scratch)
        return err_set(e, ERR_FAILED, "out of memory for loading memory");
    while (!atomic_load(&l->stop)) {
        uint32_t chunk = atomic_fetch_add(&l->next, 1);

        if (chunk >= l->img->n_chunks)
            return 0;
        if (load_chunk(l, chunk, raw, scratch, e) < 0)
            return -1;
    }
    return 0;
}

static void *worker(void *arg)
{
    struct loader *l = arg;
    struct err e = {0};

    if (work(l, &e) < 0) {
        pthread_mutex_lock(&l->lock);
        if (l->e.kind == ERR_NONE)
            l->e = e;
        pthread_mutex_unlock(&l->lock);
        atomic_store(&l->stop, true);
    }
    return NULL;
}

static unsigned thread_count(const struct image *img)
{
    cpu_set_t cpus;
    unsigned n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

    if (n > THREADS_MAX)
        n = THREADS_MAX;
    return n < img->n_chunks ? n : img->n_chunks;
}

/* The caller is one of the workers: threads cannot be had everywhere (EINVAL after
 * unshare(CLONE_NEWPID), limits). */
static void run_workers(struct loader *l)
{
    unsigned n = thread_count(l->img), started = 0;
    pthread_t threads[THREADS_MAX];
    sigset_t all, before;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    /* The caller's signals stay the caller's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < n && pthread_create(&threads[started], &attr, worker, l) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    worker(l);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

int loader_run(const struct image *img, int memory_fd, const struct loader_targets *t,
               struct err *e)
{
    struct loader l = {.img = img, .memory_fd = memory_fd, .targets = t};

    pthread_mutex_init(&l.lock, NULL);
    run_workers(&l);
    pthread_mutex_destroy(&l.lock);
    if (l.e.kind == ERR_NONE)
        return 0;
    *e = l.e;
    return -1;
}
