/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What holds for one living process. */
#include "image/format.h"

#include "base/err.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/user.h>

enum {
    FD_END = 1 << 20,     /* fs.nr_open as every distribution has it */
    STATE_MAX = 64 << 10, /* XSAVE areas are below 12 KiB so far */
    AUXV_MAX = 4096,      /* AT_VECTOR_SIZE is below 60 pairs */
    VMA_NAME_MAX = 255,   /* the kernel allows 80 */
    VMA_FLAGS = (IMAGE_VMA_MERGEABLE << 1) - 1,
    VMA_PROT = PROT_READ | PROT_WRITE | PROT_EXEC,
};

static int check_pending(const struct image_signal *pending, uint32_t n, struct err *e)
{
    for (uint32_t i = 0; i < n; i++) {
        int32_t signo;

        memcpy(&signo, pending[i].info, sizeof(signo));
        if (signo < 1 || signo > IMAGE_N_SIGNALS)
            return err_set(e, ERR_CORRUPT, "pending signal %d does not exist", signo);
    }
    return 0;
}

static int check_thread(const struct image_thread *t, struct err *e)
{
    if (t->comm[sizeof(t->comm) - 1] != '\0')
        return err_set(e, ERR_CORRUPT, "thread %d: name without an end", t->tid);
    if (t->regs.size != sizeof(struct user_regs_struct))
        return err_set(e, ERR_CORRUPT, "thread %d: %zu bytes of registers, not %zu",
                       t->tid, t->regs.size, sizeof(struct user_regs_struct));
    if (t->xstate.size > STATE_MAX)
        return err_set(e, ERR_CORRUPT, "thread %d: %zu bytes of extended state", t->tid,
                       t->xstate.size);
    if (check_pending(t->pending, t->n_pending, e) < 0)
        return err_wrap(e, "thread %d", t->tid);
    return 0;
}

static int check_threads(const struct image_process *p, struct err *e)
{
    if (p->n_threads == 0 || p->threads[0].tid != p->pid)
        return err_set(e, ERR_CORRUPT, "its first thread is not its leader");
    for (uint32_t i = 0; i < p->n_threads; i++)
        if (check_thread(&p->threads[i], e) < 0)
            return -1;
    return 0;
}

static int check_vma_backing(const struct image *img, const struct image_vma *v,
                             struct err *e)
{
    bool object = v->kind == IMAGE_VMA_OBJECT || v->kind == IMAGE_VMA_OBJECT_PRIVATE;
    bool file = v->kind == IMAGE_VMA_FILE_PRIVATE || v->kind == IMAGE_VMA_FILE_SHARED;

    if (object && v->object >= img->n_objects)
        return err_set(e, ERR_CORRUPT, "there is no object %u", v->object);
    if (file && (!v->path || v->path[0] != '/'))
        return err_set(e, ERR_CORRUPT, "path '%s' is not absolute",
                       v->path ? v->path : "");
    if ((object || file) &&
        (v->offset % img->page_size || v->offset > INT64_MAX - (v->end - v->start)))
        return err_set(e, ERR_CORRUPT, "impossible offset");
    return 0;
}

static int check_vma(const struct image *img, const struct image_vma *v, uint64_t after,
                     struct err *e)
{
    if (v->start % img->page_size || v->end % img->page_size || v->start >= v->end ||
        v->end > FORMAT_ADDRESS_END)
        return err_set(e, ERR_CORRUPT, "impossible end %" PRIx64, v->end);
    if (v->start < after)
        return err_set(e, ERR_CORRUPT, "begins before the end of another");
    if (v->kind < IMAGE_VMA_ANON || v->kind > IMAGE_VMA_OBJECT_PRIVATE)
        return err_set(e, ERR_CORRUPT, "unknown kind %u", v->kind);
    if ((v->prot & ~(uint32_t)VMA_PROT) || (v->flags & ~(uint32_t)VMA_FLAGS))
        return err_set(e, ERR_CORRUPT, "unknown protection %x or flags %x", v->prot,
                       v->flags);
    if (v->name && strlen(v->name) > VMA_NAME_MAX)
        return err_set(e, ERR_CORRUPT, "name is too long");
    if (v->id.build_id_size > sizeof(v->id.build_id))
        return err_set(e, ERR_CORRUPT, "build id is too long");
    return check_vma_backing(img, v, e);
}

static int check_vmas(const struct image *img, const struct image_process *p,
                      struct err *e)
{
    uint64_t after = 0;

    for (uint32_t i = 0; i < p->n_vmas; i++) {
        if (check_vma(img, &p->vmas[i], after, e) < 0)
            return err_wrap(e, "mapping at %" PRIx64, p->vmas[i].start);
        after = p->vmas[i].end;
    }
    return 0;
}

static int check_fds(const struct image *img, const struct image_process *p,
                     struct err *e)
{
    int64_t before = -1;

    for (uint32_t i = 0; i < p->n_fds; i++) {
        const struct image_fd *f = &p->fds[i];

        if (f->fd <= before || f->fd >= FD_END)
            return err_set(e, ERR_CORRUPT, "descriptor %d is out of order or range",
                           f->fd);
        if (f->file >= img->n_files)
            return err_set(e, ERR_CORRUPT, "descriptor %d: there is no file %u", f->fd,
                           f->file);
        before = f->fd;
    }
    return 0;
}

static int check_timers(const struct image_process *p, struct err *e)
{
    for (uint32_t i = 0; i < p->n_timers; i++) {
        const struct image_posix_timer *t = &p->timers[i];

        if (t->id < 0 || t->signo < 0 || t->signo > IMAGE_N_SIGNALS)
            return err_set(e, ERR_CORRUPT, "timer %d: signal %d", t->id, t->signo);
    }
    for (int i = 0; i < IMAGE_N_RLIMITS; i++)
        if (p->rlimits[i].soft > p->rlimits[i].hard)
            return err_set(e, ERR_CORRUPT, "limit %d: soft above hard", i);
    return 0;
}

static int check_mm(const struct image_mm *m, struct err *e)
{
    const uint64_t at[] = {m->start_code, m->end_code,    m->start_data, m->end_data,
                           m->start_brk,  m->brk,         m->arg_start,  m->arg_end,
                           m->env_start,  m->start_stack, m->env_end};

    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        if (at[i] > FORMAT_ADDRESS_END)
            return err_set(e, ERR_CORRUPT, "address %" PRIx64 " is not its own", at[i]);
    if (m->auxv.size > AUXV_MAX || m->auxv.size % 16)
        return err_set(e, ERR_CORRUPT, "auxiliary vector of %zu bytes", m->auxv.size);
    return 0;
}

static int check_scalars(const struct image *img, const struct image_process *p,
                         struct err *e)
{
    if (!p->cwd || p->cwd[0] != '/' || !p->exe || p->exe[0] != '/')
        return err_set(e, ERR_CORRUPT, "directory or program is not an absolute path");
    if (p->umask_bits > 0777 || p->dumpable < 0 || p->dumpable > 2)
        return err_set(e, ERR_CORRUPT, "umask %o, dumpable %d", p->umask_bits,
                       p->dumpable);
    if (p->pdeath_signal < 0 || p->pdeath_signal > IMAGE_N_SIGNALS)
        return err_set(e, ERR_CORRUPT, "no signal %d", p->pdeath_signal);
    if (p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
        return err_set(e, ERR_CORRUPT, "oom_score_adj %d", p->oom_score_adj);
    if (p->tty && p->tty_file != IMAGE_NONE &&
        (p->tty_file >= img->n_files ||
         img->files[p->tty_file].kind != IMAGE_FILE_PTY_SLAVE))
        return err_set(e, ERR_CORRUPT, "file %u is no terminal", p->tty_file);
    if (p->tty_pgrp < 0 || p->exe_id.build_id_size > sizeof(p->exe_id.build_id))
        return err_set(e, ERR_CORRUPT, "foreground group or build id is impossible");
    return 0;
}

int format_check_process(const struct image *img, const struct image_process *p,
                         struct err *e)
{
    if (check_scalars(img, p, e) < 0 || check_mm(&p->mm, e) < 0 ||
        check_threads(p, e) < 0 || check_vmas(img, p, e) < 0 ||
        check_fds(img, p, e) < 0 || check_timers(p, e) < 0)
        return -1;
    return check_pending(p->pending, p->n_pending, e);
}
