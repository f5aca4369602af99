/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/backing.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/file_id.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void backing_free(struct backing *b)
{
    free(b->file);
    *b = (struct backing){0};
}

static bool needs_writing(const struct image_vma *v)
{
    return v->kind == IMAGE_VMA_FILE_SHARED && v->file_writable;
}

static struct backing_file *find(const struct backing *b, const char *path,
                                 bool writable)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (b->file[i].writable == writable && strcmp(b->file[i].path, path) == 0)
            return &b->file[i];
    return NULL;
}

static int add(struct backing *b, const char *path, const struct image_file_id *id,
               bool writable, enum backing_need need, struct err *e)
{
    struct backing_file *f = find(b, path, writable);

    if (!f) {
        f = realloc(b->file, (b->n + 1) * sizeof(*f));
        if (!f)
            return err_sys(e, "list mapped files");
        b->file = f;
        f = &b->file[b->n++];
        *f = (struct backing_file){.path = path, .id = id, .writable = writable};
    }
    if (need > f->need)
        f->need = need;
    return 0;
}

static bool is_file(const struct image_vma *v)
{
    return v->kind == IMAGE_VMA_FILE_PRIVATE || v->kind == IMAGE_VMA_FILE_SHARED;
}

static int list_process(struct backing *b, const struct image_process *p, struct err *e)
{
    for (uint32_t i = 0; i < p->n_vmas; i++) {
        const struct image_vma *v = &p->vmas[i];

        /* A shared file belongs to everybody and may have been written since. */
        if (is_file(v) &&
            add(b, v->path, &v->id, needs_writing(v),
                v->kind == IMAGE_VMA_FILE_PRIVATE ? BACKING_SAME : BACKING_LARGE,
                e) < 0)
            return -1;
    }
    /* A program that was deleted or replaced while it ran is not mapped as a file: its
     * contents are in the image, and only the link /proc/PID/exe cannot be had. */
    return p->exe ? add(b, p->exe, &p->exe_id, false, BACKING_MAY, e) : 0;
}

int backing_list(struct backing *b, const struct image *img, struct err *e)
{
    *b = (struct backing){0};
    for (uint32_t i = 0; i < img->n_processes; i++)
        if (!img->processes[i].zombie && list_process(b, &img->processes[i], e) < 0) {
            backing_free(b);
            return -1;
        }
    return 0;
}

static int check(int fd, const struct backing_file *f, struct err *e)
{
    struct stat st;

    if (f->need != BACKING_LARGE)
        return file_id_check(fd, f->path, f->id, e);
    if (fstat(fd, &st) < 0)
        return err_sys(e, "stat %s", f->path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < f->id->size)
        return err_set(
            e, ERR_REFUSED,
            "%s is shorter than at the checkpoint, and the job has it mapped", f->path);
    return 0;
}

static int open_one(const struct backing_file *f, int first_fd, struct err *e)
{
    auto_fd int fd = open(f->path, (f->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC |
                                       O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return err_sys(e, "open %s, which the job has mapped", f->path);
    if (check(fd, f, e) < 0 || io_move_fd(&fd, first_fd, e) < 0)
        return -1;
    return take_fd(&fd);
}

int backing_open(const struct backing *b, int first_fd, struct err *e)
{
    for (uint32_t i = 0; i < b->n; i++) {
        b->fd[i] = open_one(&b->file[i], first_fd, e);
        if (b->fd[i] < 0 && b->file[i].need != BACKING_MAY)
            return -1;
        err_clear(e);
    }
    return 0;
}

static int own_fd(const struct image *img, const struct image_process *p,
                  const char *path, bool writable)
{
    for (uint32_t i = 0; i < p->n_fds; i++) {
        const struct image_file *f = &img->files[p->fds[i].file];
        unsigned access = f->flags & O_ACCMODE;

        if (f->kind == IMAGE_FILE_REGULAR && f->path && strcmp(f->path, path) == 0 &&
            (access == O_RDWR || (!writable && access == O_RDONLY)))
            return p->fds[i].fd;
    }
    return -1;
}

static int shared_fd(const struct backing *b, const char *path, bool writable)
{
    const struct backing_file *f = find(b, path, writable);

    return f ? b->fd[f - b->file] : -1;
}

int backing_fd(const struct backing *b, const struct image *img,
               const struct image_process *p, const struct image_vma *v)
{
    int fd = own_fd(img, p, v->path, needs_writing(v));

    return fd >= 0 ? fd : shared_fd(b, v->path, needs_writing(v));
}

int backing_exe_fd(const struct backing *b, const struct image_process *p)
{
    return p->exe ? shared_fd(b, p->exe, false) : -1;
}

static void keep_one(int fd, int *keep, uint32_t *n)
{
    for (uint32_t i = 0; i < *n; i++)
        if (keep[i] == fd)
            return;
    if (fd >= 0)
        keep[(*n)++] = fd;
}

void backing_keep(const struct backing *b, const struct image *img,
                  const struct image_process *p, int *keep, uint32_t *n)
{
    for (uint32_t i = 0; i < p->n_vmas; i++) {
        const struct image_vma *v = &p->vmas[i];

        if (is_file(v) && own_fd(img, p, v->path, needs_writing(v)) < 0)
            keep_one(shared_fd(b, v->path, needs_writing(v)), keep, n);
    }
    keep_one(backing_exe_fd(b, p), keep, n);
}
