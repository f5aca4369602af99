/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/format.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static int32_t dec_i32(struct dec *d)
{
    return (int32_t)dec_u32(d);
}

static bool dec_bool(struct dec *d)
{
    uint8_t v = dec_u8(d);

    if (v > 1)
        d->failed = true;
    return v == 1;
}

static void dec_blob_field(struct dec *d, struct image_blob *out)
{
    size_t size;
    const void *data = dec_bytes(d, &size);

    if (size == 0)
        return;
    out->data = malloc(size);
    if (!out->data) {
        d->failed = true;
        return;
    }
    memcpy(out->data, data, size);
    out->size = size;
}

/* A string for a field of fixed size. */
static void dec_name(struct dec *d, char *out, size_t room)
{
    char *s = dec_string(d);

    if (!s || strlen(s) >= room)
        d->failed = true;
    else
        memcpy(out, s, strlen(s) + 1);
    free(s);
}

/* The number of elements that follow; each takes at least `least` bytes, so that a
 * number without elements behind it is found before anything is allocated. */
static uint32_t dec_count(struct dec *d, size_t least)
{
    uint32_t n = dec_u32(d);

    if (n > (d->size - d->pos) / least)
        d->failed = true;
    return d->failed ? 0 : n;
}

/* Passes an element through and remembers when there was no memory for it. */
static bool got(struct dec *d, const void *element)
{
    if (!element)
        d->failed = true;
    return !d->failed;
}

static void decode_file_id(struct dec *d, struct image_file_id *id)
{
    size_t size;
    const void *build_id;

    id->size = dec_u64(d);
    id->mtime_ns = dec_u64(d);
    build_id = dec_bytes(d, &size);
    if (size > sizeof(id->build_id)) {
        d->failed = true;
        return;
    }
    if (size)
        memcpy(id->build_id, build_id, size);
    id->build_id_size = size;
}

static void decode_pending(struct dec *d, struct image_signal **pending, uint32_t *n)
{
    uint32_t count = dec_count(d, sizeof(struct image_signal));

    for (uint32_t i = 0; i < count; i++) {
        struct image_signal *s = image_append((void **)pending, n, sizeof(*s));

        if (!got(d, s))
            return;
        dec_raw(d, s->info, sizeof(s->info));
    }
}

static void decode_host(struct dec *d, struct image *img)
{
    dec_name(d, img->arch, sizeof(img->arch));
    img->page_size = dec_u32(d);
    dec_name(d, img->release, sizeof(img->release));
    dec_name(d, img->hostname, sizeof(img->hostname));
    img->realtime_ns = dec_u64(d);
    img->monotonic_ns = dec_u64(d);
    img->boottime_ns = dec_u64(d);
    img->supervisor_pid = dec_i32(d);
    img->root_pid = dec_i32(d);
    img->last_pid = dec_i32(d);
    img->tmpdir = dec_string(d);
    img->job_script = dec_string(d);
    img->xfeatures = dec_u64(d);
    dec_blob_field(d, &img->xlayout);
}

static void decode_object(struct dec *d, struct image *img)
{
    struct image_object *o = IMAGE_APPEND(img, objects);

    if (!got(d, o))
        return;
    o->kind = dec_u32(d);
    o->mode = dec_u32(d);
    o->seals = dec_u32(d);
    o->flags = dec_u32(d);
    o->size = dec_u64(d);
    o->path = dec_string(d);
}

static void decode_file(struct dec *d, struct image *img)
{
    struct image_file *f = IMAGE_APPEND(img, files);

    if (!got(d, f))
        return;
    f->kind = dec_u32(d);
    f->flags = dec_u32(d);
    f->pos = dec_u64(d);
    f->object = dec_u32(d);
    f->slot = dec_u32(d);
    f->owner_pid = dec_i32(d);
    f->owner_signal = dec_i32(d);
    f->size = dec_u64(d);
    f->mode = dec_u32(d);
    f->path = dec_string(d);
    dec_blob_field(d, &f->detail);
    if (f->kind != IMAGE_FILE_OBJECT)
        f->object = IMAGE_NONE;
}

static void decode_carried(struct dec *d, struct image *img)
{
    struct image_carried *f = IMAGE_APPEND(img, carried);

    if (!got(d, f))
        return;
    f->path = dec_string(d);
    f->mode = dec_u32(d);
    f->mtime_ns = dec_u64(d);
    dec_blob_field(d, &f->content);
}

static void decode_credentials(struct dec *d, struct image_process *p)
{
    for (int i = 0; i < 4; i++)
        p->uid[i] = dec_u32(d);
    for (int i = 0; i < 4; i++)
        p->gid[i] = dec_u32(d);
    p->cap_effective = dec_u64(d);
    p->cap_permitted = dec_u64(d);
    p->cap_inheritable = dec_u64(d);
    p->cap_bounding = dec_u64(d);
    p->cap_ambient = dec_u64(d);
    p->no_new_privs = dec_bool(d);
    p->thp_disabled = dec_bool(d);
}

static void decode_mm(struct dec *d, struct image_mm *m)
{
    m->start_code = dec_u64(d);
    m->end_code = dec_u64(d);
    m->start_data = dec_u64(d);
    m->end_data = dec_u64(d);
    m->start_brk = dec_u64(d);
    m->brk = dec_u64(d);
    m->start_stack = dec_u64(d);
    m->arg_start = dec_u64(d);
    m->arg_end = dec_u64(d);
    m->env_start = dec_u64(d);
    m->env_end = dec_u64(d);
    dec_blob_field(d, &m->auxv);
}

static void decode_signals(struct dec *d, struct image_process *p)
{
    if (dec_u32(d) != IMAGE_N_SIGNALS)
        d->failed = true;
    for (int i = 0; i < IMAGE_N_SIGNALS; i++) {
        p->actions[i].handler = dec_u64(d);
        p->actions[i].flags = dec_u64(d);
        p->actions[i].restorer = dec_u64(d);
        p->actions[i].mask = dec_u64(d);
    }
    decode_pending(d, &p->pending, &p->n_pending);
}

static void decode_timers(struct dec *d, struct image_process *p)
{
    enum { TIMER_SIZE = 6 * 4 + 3 * 8 };
    uint32_t n;

    for (int i = 0; i < 3; i++) {
        p->itimers[i].interval_us = dec_u64(d);
        p->itimers[i].value_us = dec_u64(d);
    }
    n = dec_count(d, TIMER_SIZE);
    for (uint32_t i = 0; i < n; i++) {
        struct image_posix_timer *t = IMAGE_APPEND(p, timers);

        if (!got(d, t))
            return;
        t->id = dec_i32(d);
        t->clock = dec_i32(d);
        t->notify = dec_i32(d);
        t->signo = dec_i32(d);
        t->tid = dec_i32(d);
        t->sigval = dec_u64(d);
        t->interval_ns = dec_u64(d);
        t->value_ns = dec_u64(d);
        t->overrun = dec_i32(d);
    }
}

static void decode_limits(struct dec *d, struct image_process *p)
{
    if (dec_u32(d) != IMAGE_N_RLIMITS)
        d->failed = true;
    for (int i = 0; i < IMAGE_N_RLIMITS; i++) {
        p->rlimits[i].soft = dec_u64(d);
        p->rlimits[i].hard = dec_u64(d);
    }
}

static void decode_living(struct dec *d, struct image_process *p)
{
    p->stopped = dec_bool(d);
    decode_credentials(d, p);
    p->tty = dec_bool(d);
    p->tty_file = dec_u32(d);
    p->tty_pgrp = dec_i32(d);
    p->umask_bits = dec_u32(d);
    p->personality = dec_u64(d);
    p->dumpable = dec_i32(d);
    p->pdeath_signal = dec_i32(d);
    p->child_subreaper = dec_bool(d);
    p->oom_score_adj = dec_i32(d);
    p->cwd = dec_string(d);
    p->exe = dec_string(d);
    decode_file_id(d, &p->exe_id);
    decode_mm(d, &p->mm);
    decode_signals(d, p);
    decode_timers(d, p);
    decode_limits(d, p);
}

static void decode_process(struct dec *d, struct image *img)
{
    struct image_process *p = IMAGE_APPEND(img, processes);

    if (!got(d, p))
        return;
    p->pid = dec_i32(d);
    p->ppid = dec_i32(d);
    p->pgid = dec_i32(d);
    p->sid = dec_i32(d);
    p->zombie = dec_bool(d);
    p->status = dec_i32(d);
    p->tty_file = IMAGE_NONE;
    if (!p->zombie)
        decode_living(d, p);
}

static void decode_thread(struct dec *d, struct image_process *p)
{
    struct image_thread *t = IMAGE_APPEND(p, threads);

    if (!got(d, t))
        return;
    t->tid = dec_i32(d);
    dec_raw(d, t->comm, sizeof(t->comm));
    dec_blob_field(d, &t->regs);
    dec_blob_field(d, &t->xstate);
    t->sigmask = dec_u64(d);
    t->robust_list = dec_u64(d);
    t->robust_list_size = dec_u64(d);
    t->clear_child_tid = dec_u64(d);
    t->rseq_addr = dec_u64(d);
    t->rseq_size = dec_u32(d);
    t->rseq_signature = dec_u32(d);
    t->altstack_addr = dec_u64(d);
    t->altstack_size = dec_u64(d);
    t->altstack_flags = dec_u32(d);
    t->sched_policy = dec_i32(d);
    t->sched_priority = dec_i32(d);
    t->nice = dec_i32(d);
    t->timer_slack_ns = dec_u64(d);
    decode_pending(d, &t->pending, &t->n_pending);
}

static void decode_vma(struct dec *d, struct image_vma *v)
{
    v->start = dec_u64(d);
    v->end = dec_u64(d);
    v->offset = dec_u64(d);
    v->prot = dec_u32(d);
    v->kind = dec_u32(d);
    v->flags = dec_u32(d);
    v->object = dec_u32(d);
    v->path = dec_string(d);
    v->name = dec_string(d);
    decode_file_id(d, &v->id);
    v->file_writable = dec_bool(d);
    if (v->kind != IMAGE_VMA_OBJECT && v->kind != IMAGE_VMA_OBJECT_PRIVATE)
        v->object = IMAGE_NONE;
}

static void decode_vmas(struct dec *d, struct image_process *p)
{
    enum { VMA_LEAST = 3 * 8 + 4 * 4 + 2 * 4 + 20 + 1 };
    uint32_t n = dec_count(d, VMA_LEAST);

    for (uint32_t i = 0; i < n; i++) {
        struct image_vma *v = IMAGE_APPEND(p, vmas);

        if (!got(d, v))
            return;
        decode_vma(d, v);
    }
}

static void decode_fds(struct dec *d, struct image_process *p)
{
    enum { FD_SIZE = 9 };
    uint32_t n = dec_count(d, FD_SIZE);

    for (uint32_t i = 0; i < n; i++) {
        struct image_fd *f = IMAGE_APPEND(p, fds);

        if (!got(d, f))
            return;
        f->fd = dec_i32(d);
        f->file = dec_u32(d);
        f->cloexec = dec_bool(d);
    }
}

static void decode_runs(struct dec *d, struct image *img)
{
    enum { RUN_SIZE = 24 };
    uint32_t n = dec_count(d, RUN_SIZE);

    for (uint32_t i = 0; i < n; i++) {
        struct image_run *r = IMAGE_APPEND(img, runs);

        if (!got(d, r))
            return;
        r->owner = dec_u32(d);
        r->index = dec_u32(d);
        r->start = dec_u64(d);
        r->size = dec_u64(d);
    }
}

/* Chunks divide the runs among themselves in order: the first run is not written. */
static void decode_chunks(struct dec *d, struct image *img)
{
    enum { CHUNK_SIZE = 40 };
    uint32_t n = dec_count(d, CHUNK_SIZE);
    uint32_t next = 0;

    if (img->n_chunks)
        next = img->chunks[img->n_chunks - 1].first_run +
               img->chunks[img->n_chunks - 1].n_runs;
    for (uint32_t i = 0; i < n; i++) {
        struct image_chunk *c = IMAGE_APPEND(img, chunks);

        if (!got(d, c))
            return;
        c->offset = dec_u64(d);
        c->stored_size = dec_u32(d);
        c->raw_size = dec_u32(d);
        c->codec = dec_u32(d);
        dec_raw(d, c->digest, sizeof(c->digest));
        c->n_runs = dec_u32(d);
        c->first_run = next;
        if (c->n_runs > img->n_runs - next)
            d->failed = true;
        else
            next += c->n_runs;
    }
}

static const struct {
    const char *name;
    void (*shared)(struct dec *d, struct image *img);
    void (*of_process)(struct dec *d, struct image_process *p);
} records[] = {
    [FORMAT_HOST] = {"host", decode_host, NULL},
    [FORMAT_OBJECT] = {"object", decode_object, NULL},
    [FORMAT_FILE] = {"file", decode_file, NULL},
    [FORMAT_CARRIED] = {"carried file", decode_carried, NULL},
    [FORMAT_PROCESS] = {"process", decode_process, NULL},
    [FORMAT_THREAD] = {"thread", NULL, decode_thread},
    [FORMAT_VMAS] = {"mappings", NULL, decode_vmas},
    [FORMAT_FDS] = {"descriptors", NULL, decode_fds},
    [FORMAT_RUNS] = {"runs", decode_runs, NULL},
    [FORMAT_CHUNKS] = {"chunks", decode_chunks, NULL},
    [FORMAT_END] = {"end", NULL, NULL},
};

enum { N_RECORDS = sizeof(records) / sizeof(records[0]) };

const char *format_record_name(uint32_t type)
{
    return type < N_RECORDS && records[type].name ? records[type].name : "unknown";
}

int format_decode(struct image *img, uint32_t type, struct dec *d, struct err *e)
{
    struct image_process *p =
        img->n_processes ? &img->processes[img->n_processes - 1] : NULL;

    if (type >= N_RECORDS || (!records[type].shared && !records[type].of_process))
        return err_set(e, ERR_CORRUPT, "unknown type %u", type);
    if ((type == FORMAT_HOST) != (img->page_size == 0))
        return err_set(e, ERR_CORRUPT, "a host record must be the first and only one");
    if (records[type].of_process && (!p || p->zombie))
        return err_set(e, ERR_CORRUPT, "no living process before it");
    if (records[type].shared)
        records[type].shared(d, img);
    else
        records[type].of_process(d, p);
    if (dec_end(d, records[type].name, e) < 0)
        return -1;
    return type == FORMAT_HOST ? format_check_host(img, e) : 0;
}
