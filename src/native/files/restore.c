/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making the job's open file descriptions once, and handing them to its processes.
 */
#include "base/err.h"
#include "base/scope.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors that opening one file may need for the moment. */
enum { SPARE_FDS = 64 };

static int check_all(const struct files_restore *r, struct err *e)
{
    const struct image *img = r->img;
    char who[64];

    for (uint32_t i = 0; i < img->n_objects; i++)
        if (files_object_check(&img->objects[i], i, e) < 0)
            return -1;
    for (uint32_t i = 0; i < img->n_files; i++) {
        const struct file_kind *kind = file_kind_of(img->files[i].kind);

        if (!kind)
            return err_set(e, ERR_CORRUPT, "%s is of kind %u, which does not exist",
                           files_describe(img, i, who), img->files[i].kind);
        if (kind->check(r, i, e) < 0)
            return err_wrap(e, "%s", files_describe(img, i, who));
    }
    for (uint32_t i = 0; i < img->n_processes; i++)
        for (uint32_t k = 0; k < img->processes[i].n_fds; k++) {
            const struct image_fd *fd = &img->processes[i].fds[k];

            if (fd->file >= img->n_files || fd->fd < 0)
                return err_set(e, ERR_CORRUPT, "process %d descriptor %d: no such file",
                               img->processes[i].pid, fd->fd);
        }
    return 0;
}

/* Makes room for the pool above every number that the job uses. */
static int make_room(struct files_restore *r, struct err *e)
{
    uint64_t need = (uint64_t)r->img->n_files + r->img->n_objects + SPARE_FDS;
    struct rlimit limit;

    for (uint32_t i = 0; i < r->img->n_processes; i++) {
        const struct image_process *p = &r->img->processes[i];

        for (uint32_t k = 0; k < p->n_fds; k++)
            if (p->fds[k].fd >= r->first_fd)
                r->first_fd = p->fds[k].fd + 1;
    }
    r->first_fd = files_epoll_top(r->img, r->first_fd, e);
    if (r->first_fd < 0)
        return -1;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_sys(e, "limit of open files");
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            return err_sys(e, "raise the limit of open files to %llu",
                           (unsigned long long)limit.rlim_max);
    }
    if (r->first_fd + need > limit.rlim_max)
        return err_set(e, ERR_FAILED,
                       "the hard limit of open files is %llu, but the restart needs "
                       "%llu: raise it (ulimit -Hn; in Grid Engine h_descriptors)",
                       (unsigned long long)limit.rlim_max,
                       (unsigned long long)(r->first_fd + need));
    return 0;
}

static int allocate(int **fds, uint32_t n, struct err *e)
{
    *fds = malloc((n + 1) * sizeof(**fds));
    if (!*fds)
        return err_sys(e, "open files of the job");
    for (uint32_t i = 0; i <= n; i++)
        (*fds)[i] = -1;
    return 0;
}

static int open_all(struct files_restore *r, struct err *e)
{
    const struct image *img = r->img;
    char who[64];

    for (uint32_t i = 0; i < img->n_objects; i++)
        if (files_object_make(r, i, e) < 0)
            return -1;
    for (uint32_t i = 0; i < img->n_files; i++) {
        if (r->pool[i] >= 0)
            continue;
        if (file_kind_of(img->files[i].kind)->make(r, i, e) < 0)
            return err_wrap(e, "%s", files_describe(img, i, who));
    }
    return 0;
}

static void close_all(int **fds, uint32_t n)
{
    for (uint32_t i = 0; *fds && i < n; i++)
        if ((*fds)[i] >= 0)
            close((*fds)[i]);
    free(*fds);
    *fds = NULL;
}

void files_restore_close(struct files_restore *r)
{
    if (!r->img)
        return;
    for (uint32_t i = 0; r->objects && i < r->img->n_objects; i++)
        files_object_drop(r, i);
    close_all(&r->pool, r->img->n_files);
    close_all(&r->objects, r->img->n_objects);
}

int files_restore_open(struct files_restore *r, struct err *e)
{
    r->pool = NULL;
    r->objects = NULL;
    if (check_all(r, e) < 0 || make_room(r, e) < 0)
        return -1;
    if (allocate(&r->pool, r->img->n_files, e) < 0 ||
        allocate(&r->objects, r->img->n_objects, e) < 0 || open_all(r, e) < 0) {
        files_restore_close(r);
        return -1;
    }
    return 0;
}

/* ---- in the process ---- */

static int put_in_place(const struct files_restore *r, const struct image_process *p,
                        struct err *e)
{
    for (uint32_t k = 0; k < p->n_fds; k++) {
        const struct image_fd *fd = &p->fds[k];

        if (r->pool[fd->file] < 0)
            continue; /* opened by the process itself: see regular.c */
        if (dup3(r->pool[fd->file], fd->fd, fd->cloexec ? O_CLOEXEC : 0) < 0)
            return err_sys(e, "process %d: put descriptor %d in place", p->pid, fd->fd);
    }
    return 0;
}

static int set_owners(const struct files_restore *r, const struct image_process *p,
                      struct err *e)
{
    for (uint32_t k = 0; k < p->n_fds; k++) {
        const struct image_file *file = &r->img->files[p->fds[k].file];
        bool mine = file->owner_pid == p->pid ||
                    (file->owner_pid < 0 && -file->owner_pid == p->pgid);

        if (mine && fcntl(p->fds[k].fd, F_SETOWN, file->owner_pid) < 0)
            return err_sys(e, "process %d: owner of descriptor %d", p->pid,
                           p->fds[k].fd);
    }
    return 0;
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static int close_others(const struct image_process *p, const int *keep, struct err *e)
{
    auto_free int *open = NULL;
    uint32_t n = 0, n_keep = 0;
    unsigned next = 0;

    while (keep && keep[n_keep] >= 0)
        n_keep++;
    open = malloc((p->n_fds + n_keep + 1) * sizeof(*open));
    if (!open)
        return err_sys(e, "process %d", p->pid);
    for (uint32_t k = 0; k < p->n_fds; k++)
        open[n++] = p->fds[k].fd;
    for (uint32_t k = 0; k < n_keep; k++)
        open[n++] = keep[k];
    qsort(open, n, sizeof(*open), compare_ints);
    for (uint32_t k = 0; k <= n; k++) {
        unsigned end = k < n ? (unsigned)open[k] : ~0U;

        if (end > next && syscall(SYS_close_range, next, k < n ? end - 1 : end, 0) < 0)
            return err_sys(e, "process %d: close descriptors", p->pid);
        next = end + 1;
    }
    return 0;
}

static int check_keep(const struct image_process *p, const int *keep, struct err *e)
{
    for (uint32_t k = 0; k < p->n_fds; k++)
        for (uint32_t i = 0; keep && keep[i] >= 0; i++)
            if (keep[i] == p->fds[k].fd)
                return err_set(e, ERR_FAILED,
                               "process %d: descriptor %d is to be kept and is the "
                               "job's",
                               p->pid, keep[i]);
    return 0;
}

int files_restore_install(const struct files_restore *r, uint32_t process,
                          const int *keep, struct err *e)
{
    const struct image_process *p = &r->img->processes[process];

    if (check_keep(p, keep, e) < 0 || put_in_place(r, p, e) < 0 ||
        set_owners(r, p, e) < 0)
        return -1;
    for (int late = 0; late < 2; late++) {
        /* Locks of the process go with the first close of any descriptor of the file,
         * so that they come last; all others need the pool. */
        for (uint32_t k = 0; k < p->n_fds; k++) {
            const struct image_file *file = &r->img->files[p->fds[k].file];
            const struct file_kind *kind = file_kind_of(file->kind);
            bool is_late = file->kind == IMAGE_FILE_REGULAR;

            if (kind->install && is_late == late &&
                kind->install(r, process, &p->fds[k], e) < 0)
                return err_wrap(e, "process %d descriptor %d", p->pid, p->fds[k].fd);
        }
        if (!late && close_others(p, keep, e) < 0)
            return -1;
    }
    return 0;
}

/* Whether committing a file of this kind changes what is in files outside. */
static bool cuts(const struct image_file *file)
{
    return file->kind == IMAGE_FILE_STDIO || file->kind == IMAGE_FILE_REGULAR;
}

static int commit_files(const struct files_restore *r, bool cutting, struct err *e)
{
    char who[64];

    for (uint32_t i = 0; i < r->img->n_files; i++) {
        const struct file_kind *kind = file_kind_of(r->img->files[i].kind);

        if (kind->commit && cuts(&r->img->files[i]) == cutting &&
            kind->commit(r, i, e) < 0)
            return err_wrap(e, "%s", files_describe(r->img, i, who));
    }
    return 0;
}

/* Names that somebody else may have come first, what cannot be taken back last. */
int files_restore_commit(const struct files_restore *r, struct err *e)
{
    if (commit_files(r, false, e) < 0)
        return -1;
    for (uint32_t i = 0; i < r->img->n_objects; i++)
        if (files_object_commit(r, i, e) < 0)
            return -1;
    return commit_files(r, true, e);
}
