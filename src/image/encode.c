/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/format.h"

#include "base/err.h"

static void enc_i32(struct enc *c, int32_t v)
{
    enc_u32(c, (uint32_t)v);
}

static void enc_bool(struct enc *c, bool v)
{
    enc_u8(c, v ? 1 : 0);
}

static void enc_blob_field(struct enc *c, const struct image_blob *b)
{
    enc_bytes(c, b->data, b->size);
}

static void encode_file_id(struct enc *c, const struct image_file_id *id)
{
    enc_u64(c, id->size);
    enc_u64(c, id->mtime_ns);
    enc_bytes(c, id->build_id, id->build_id_size);
}

static void encode_pending(struct enc *c, const struct image_signal *pending,
                           uint32_t n)
{
    enc_u32(c, n);
    for (uint32_t i = 0; i < n; i++)
        enc_raw(c, pending[i].info, sizeof(pending[i].info));
}

static void encode_host(struct enc *c, const struct image *img)
{
    enc_string(c, img->arch);
    enc_u32(c, img->page_size);
    enc_string(c, img->release);
    enc_string(c, img->hostname);
    enc_u64(c, img->realtime_ns);
    enc_u64(c, img->monotonic_ns);
    enc_u64(c, img->boottime_ns);
    enc_i32(c, img->supervisor_pid);
    enc_i32(c, img->root_pid);
    enc_i32(c, img->last_pid);
    enc_string(c, img->tmpdir);
    enc_string(c, img->job_script);
    enc_u64(c, img->xfeatures);
    enc_blob_field(c, &img->xlayout);
}

static void encode_object(struct enc *c, const struct image_object *o)
{
    enc_u32(c, o->kind);
    enc_u32(c, o->mode);
    enc_u32(c, o->seals);
    enc_u32(c, o->flags);
    enc_u64(c, o->size);
    enc_string(c, o->path);
}

static void encode_file(struct enc *c, const struct image_file *f)
{
    enc_u32(c, f->kind);
    enc_u32(c, f->flags);
    enc_u64(c, f->pos);
    enc_u32(c, f->kind == IMAGE_FILE_OBJECT ? f->object : IMAGE_NONE);
    enc_u32(c, f->slot);
    enc_i32(c, f->owner_pid);
    enc_i32(c, f->owner_signal);
    enc_u64(c, f->size);
    enc_u32(c, f->mode);
    enc_string(c, f->path);
    enc_blob_field(c, &f->detail);
}

static void encode_carried(struct enc *c, const struct image_carried *f)
{
    enc_string(c, f->path);
    enc_u32(c, f->mode);
    enc_u64(c, f->mtime_ns);
    enc_blob_field(c, &f->content);
}

static void encode_credentials(struct enc *c, const struct image_process *p)
{
    for (int i = 0; i < 4; i++)
        enc_u32(c, p->uid[i]);
    for (int i = 0; i < 4; i++)
        enc_u32(c, p->gid[i]);
    enc_u64(c, p->cap_effective);
    enc_u64(c, p->cap_permitted);
    enc_u64(c, p->cap_inheritable);
    enc_u64(c, p->cap_bounding);
    enc_u64(c, p->cap_ambient);
    enc_bool(c, p->no_new_privs);
    enc_bool(c, p->thp_disabled);
}

static void encode_mm(struct enc *c, const struct image_mm *m)
{
    enc_u64(c, m->start_code);
    enc_u64(c, m->end_code);
    enc_u64(c, m->start_data);
    enc_u64(c, m->end_data);
    enc_u64(c, m->start_brk);
    enc_u64(c, m->brk);
    enc_u64(c, m->start_stack);
    enc_u64(c, m->arg_start);
    enc_u64(c, m->arg_end);
    enc_u64(c, m->env_start);
    enc_u64(c, m->env_end);
    enc_blob_field(c, &m->auxv);
}

static void encode_signals(struct enc *c, const struct image_process *p)
{
    enc_u32(c, IMAGE_N_SIGNALS);
    for (int i = 0; i < IMAGE_N_SIGNALS; i++) {
        enc_u64(c, p->actions[i].handler);
        enc_u64(c, p->actions[i].flags);
        enc_u64(c, p->actions[i].restorer);
        enc_u64(c, p->actions[i].mask);
    }
    encode_pending(c, p->pending, p->n_pending);
}

static void encode_timers(struct enc *c, const struct image_process *p)
{
    for (int i = 0; i < 3; i++) {
        enc_u64(c, p->itimers[i].interval_us);
        enc_u64(c, p->itimers[i].value_us);
    }
    enc_u32(c, p->n_timers);
    for (uint32_t i = 0; i < p->n_timers; i++) {
        const struct image_posix_timer *t = &p->timers[i];

        enc_i32(c, t->id);
        enc_i32(c, t->clock);
        enc_i32(c, t->notify);
        enc_i32(c, t->signo);
        enc_i32(c, t->tid);
        enc_u64(c, t->sigval);
        enc_u64(c, t->interval_ns);
        enc_u64(c, t->value_ns);
        enc_i32(c, t->overrun);
    }
}

static void encode_limits(struct enc *c, const struct image_process *p)
{
    enc_u32(c, IMAGE_N_RLIMITS);
    for (int i = 0; i < IMAGE_N_RLIMITS; i++) {
        enc_u64(c, p->rlimits[i].soft);
        enc_u64(c, p->rlimits[i].hard);
    }
}

/* Of a zombie nothing else is left, whatever the fields say. */
static void encode_process(struct enc *c, const struct image_process *p)
{
    enc_i32(c, p->pid);
    enc_i32(c, p->ppid);
    enc_i32(c, p->pgid);
    enc_i32(c, p->sid);
    enc_bool(c, p->zombie);
    enc_i32(c, p->status);
    if (p->zombie)
        return;
    enc_bool(c, p->stopped);
    encode_credentials(c, p);
    enc_bool(c, p->tty);
    enc_u32(c, p->tty ? p->tty_file : IMAGE_NONE);
    enc_i32(c, p->tty_pgrp);
    enc_u32(c, p->umask_bits);
    enc_u64(c, p->personality);
    enc_i32(c, p->dumpable);
    enc_i32(c, p->pdeath_signal);
    enc_bool(c, p->child_subreaper);
    enc_i32(c, p->oom_score_adj);
    enc_string(c, p->cwd);
    enc_string(c, p->exe);
    encode_file_id(c, &p->exe_id);
    encode_mm(c, &p->mm);
    encode_signals(c, p);
    encode_timers(c, p);
    encode_limits(c, p);
}

static void encode_thread(struct enc *c, const struct image_thread *t)
{
    enc_i32(c, t->tid);
    enc_raw(c, t->comm, sizeof(t->comm));
    enc_blob_field(c, &t->regs);
    enc_blob_field(c, &t->xstate);
    enc_u64(c, t->sigmask);
    enc_u64(c, t->robust_list);
    enc_u64(c, t->robust_list_size);
    enc_u64(c, t->clear_child_tid);
    enc_u64(c, t->rseq_addr);
    enc_u32(c, t->rseq_size);
    enc_u32(c, t->rseq_signature);
    enc_u64(c, t->altstack_addr);
    enc_u64(c, t->altstack_size);
    enc_u32(c, t->altstack_flags);
    enc_i32(c, t->sched_policy);
    enc_i32(c, t->sched_priority);
    enc_i32(c, t->nice);
    enc_u64(c, t->timer_slack_ns);
    encode_pending(c, t->pending, t->n_pending);
}

static void encode_vmas(struct enc *c, const struct image_process *p)
{
    enc_u32(c, p->n_vmas);
    for (uint32_t i = 0; i < p->n_vmas; i++) {
        const struct image_vma *v = &p->vmas[i];
        bool object =
            v->kind == IMAGE_VMA_OBJECT || v->kind == IMAGE_VMA_OBJECT_PRIVATE;

        enc_u64(c, v->start);
        enc_u64(c, v->end);
        enc_u64(c, v->offset);
        enc_u32(c, v->prot);
        enc_u32(c, v->kind);
        enc_u32(c, v->flags);
        enc_u32(c, object ? v->object : IMAGE_NONE);
        enc_string(c, v->path);
        enc_string(c, v->name);
        encode_file_id(c, &v->id);
        enc_bool(c, v->file_writable);
    }
}

static void encode_fds(struct enc *c, const struct image_process *p)
{
    enc_u32(c, p->n_fds);
    for (uint32_t i = 0; i < p->n_fds; i++) {
        enc_i32(c, p->fds[i].fd);
        enc_u32(c, p->fds[i].file);
        enc_bool(c, p->fds[i].cloexec);
    }
}

static void encode_runs(struct enc *c, const struct image_run *runs, uint32_t n)
{
    enc_u32(c, n);
    for (uint32_t i = 0; i < n; i++) {
        enc_u32(c, runs[i].owner);
        enc_u32(c, runs[i].index);
        enc_u64(c, runs[i].start);
        enc_u64(c, runs[i].size);
    }
}

static void encode_chunks(struct enc *c, const struct image_chunk *chunks, uint32_t n)
{
    enc_u32(c, n);
    for (uint32_t i = 0; i < n; i++) {
        enc_u64(c, chunks[i].offset);
        enc_u32(c, chunks[i].stored_size);
        enc_u32(c, chunks[i].raw_size);
        enc_u32(c, chunks[i].codec);
        enc_raw(c, chunks[i].digest, sizeof(chunks[i].digest));
        enc_u32(c, chunks[i].n_runs);
    }
}

/* Where records go, and the buffer that all of them share. */
struct out {
    format_emit *emit;
    void *arg;
    struct enc c;
};

static int put(struct out *o, uint32_t type, struct err *e)
{
    int result;

    if (o->c.failed)
        return err_set(e, ERR_FAILED, "out of memory for the %s record",
                       format_record_name(type));
    result = o->emit(o->arg, type, &o->c, e);
    o->c.size = 0;
    return result;
}

static int put_shared(struct out *o, const struct image *img, struct err *e)
{
    encode_host(&o->c, img);
    if (put(o, FORMAT_HOST, e) < 0)
        return -1;
    for (uint32_t i = 0; i < img->n_objects; i++) {
        encode_object(&o->c, &img->objects[i]);
        if (put(o, FORMAT_OBJECT, e) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < img->n_files; i++) {
        encode_file(&o->c, &img->files[i]);
        if (put(o, FORMAT_FILE, e) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < img->n_carried; i++) {
        encode_carried(&o->c, &img->carried[i]);
        if (put(o, FORMAT_CARRIED, e) < 0)
            return -1;
    }
    return 0;
}

static int put_process(struct out *o, const struct image_process *p, struct err *e)
{
    encode_process(&o->c, p);
    if (put(o, FORMAT_PROCESS, e) < 0)
        return -1;
    if (p->zombie)
        return 0;
    for (uint32_t i = 0; i < p->n_threads; i++) {
        encode_thread(&o->c, &p->threads[i]);
        if (put(o, FORMAT_THREAD, e) < 0)
            return -1;
    }
    encode_vmas(&o->c, p);
    if (put(o, FORMAT_VMAS, e) < 0)
        return -1;
    encode_fds(&o->c, p);
    return put(o, FORMAT_FDS, e);
}

static uint32_t batch(uint32_t left)
{
    return left < FORMAT_LIST_MAX ? left : FORMAT_LIST_MAX;
}

static int put_index(struct out *o, const struct image *img, struct err *e)
{
    for (uint32_t i = 0, n; i < img->n_runs; i += n) {
        n = batch(img->n_runs - i);
        encode_runs(&o->c, &img->runs[i], n);
        if (put(o, FORMAT_RUNS, e) < 0)
            return -1;
    }
    for (uint32_t i = 0, n; i < img->n_chunks; i += n) {
        n = batch(img->n_chunks - i);
        encode_chunks(&o->c, &img->chunks[i], n);
        if (put(o, FORMAT_CHUNKS, e) < 0)
            return -1;
    }
    return 0;
}

static int put_all(struct out *o, const struct image *img, struct err *e)
{
    if (put_shared(o, img, e) < 0)
        return -1;
    for (uint32_t i = 0; i < img->n_processes; i++)
        if (put_process(o, &img->processes[i], e) < 0)
            return -1;
    return put_index(o, img, e);
}

int format_encode(const struct image *img, format_emit *emit, void *arg, struct err *e)
{
    struct out o = {.emit = emit, .arg = arg};
    int result = put_all(&o, img, e);

    enc_free(&o.c);
    return result;
}
