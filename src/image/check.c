/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What holds for the image as a whole: the host, ids, shared objects and files. */
#include "image/format.h"

#include "base/err.h"
#include "base/scope.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PID_MAX_LIMIT of 64-bit Linux (include/linux/threads.h): no pid reaches it. */
enum { PID_END = 4 << 20 };

int format_check_host(const struct image *img, struct err *e)
{
    long page_size = sysconf(_SC_PAGESIZE);

    if (strcmp(img->arch, QCKPT_ARCH) != 0)
        return err_set(e, ERR_WRONG_HOST,
                       "made on %s, this host is " QCKPT_ARCH
                       ": restart on a host of that kind",
                       img->arch);
    if (img->page_size != page_size)
        return err_set(e, ERR_WRONG_HOST,
                       "made with pages of %u bytes, this host has %ld: restart on a "
                       "host of that kind",
                       img->page_size, page_size);
    if (img->supervisor_pid <= 0 || img->supervisor_pid >= PID_END)
        return err_set(e, ERR_CORRUPT, "host: supervisor's pid %d",
                       img->supervisor_pid);
    if (img->last_pid < 0 || img->last_pid >= PID_END)
        return err_set(e, ERR_CORRUPT, "host: last pid %d", img->last_pid);
    if ((img->tmpdir && img->tmpdir[0] != '/') ||
        (img->job_script && img->job_script[0] != '/'))
        return err_set(e, ERR_CORRUPT, "host: a path is not absolute");
    return 0;
}

static int check_object(const struct image_object *o, uint32_t index, struct err *e)
{
    bool file = o->kind == IMAGE_OBJECT_DELETED || o->kind == IMAGE_OBJECT_SHM;

    if (o->kind < IMAGE_OBJECT_ANON || o->kind > IMAGE_OBJECT_SHM)
        return err_set(e, ERR_CORRUPT, "object %u: unknown kind %u", index, o->kind);
    if (o->size > INT64_MAX || (o->mode & ~07777U))
        return err_set(e, ERR_CORRUPT, "object %u: impossible size or mode", index);
    if (file && (!o->path || o->path[0] != '/'))
        return err_set(e, ERR_CORRUPT, "object %u: path is not absolute", index);
    if (o->kind == IMAGE_OBJECT_MEMFD && !o->path)
        return err_set(e, ERR_CORRUPT, "object %u: a memfd without a name", index);
    return 0;
}

static bool needs_path(uint32_t kind)
{
    return kind == IMAGE_FILE_REGULAR || kind == IMAGE_FILE_DIRECTORY ||
           kind == IMAGE_FILE_DEVICE || kind == IMAGE_FILE_FIFO;
}

static int check_file(const struct image *img, const struct image_file *f,
                      uint32_t index, struct err *e)
{
    if (f->kind < IMAGE_FILE_STDIO || f->kind > IMAGE_FILE_PATH)
        return err_set(e, ERR_CORRUPT, "file %u: unknown kind %u", index, f->kind);
    if (f->kind == IMAGE_FILE_OBJECT && f->object >= img->n_objects)
        return err_set(e, ERR_CORRUPT, "file %u: there is no object %u", index,
                       f->object);
    if (f->kind == IMAGE_FILE_STDIO && f->slot > 2)
        return err_set(e, ERR_CORRUPT, "file %u: there is no standard stream %u", index,
                       f->slot);
    if (needs_path(f->kind) && (!f->path || f->path[0] != '/'))
        return err_set(e, ERR_CORRUPT, "file %u: path '%s' is not absolute", index,
                       f->path ? f->path : "");
    if (f->pos > INT64_MAX || f->size > INT64_MAX)
        return err_set(e, ERR_CORRUPT, "file %u: impossible position or size", index);
    if (f->owner_signal < 0 || f->owner_signal > IMAGE_N_SIGNALS)
        return err_set(e, ERR_CORRUPT, "file %u: no signal %d", index, f->owner_signal);
    return 0;
}

/* Whoever puts such a file back creates each of its directories in turn. */
static bool is_plain_path(const char *path)
{
    if (!path || path[0] != '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        size_t size = strcspn(++part, "/");

        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

static int check_carried(const struct image_carried *f, uint32_t index, struct err *e)
{
    mode_t type = f->mode & S_IFMT;

    if (!is_plain_path(f->path))
        return err_set(e, ERR_CORRUPT, "carried file %u: '%s' is no plain path", index,
                       f->path ? f->path : "");
    if (type != 0 && type != S_IFREG && type != S_IFLNK && type != S_IFDIR)
        return err_set(e, ERR_CORRUPT, "carried file %s: mode %o", f->path, f->mode);
    if (type == S_IFLNK && (f->content.size == 0 || f->content.size > 4095 ||
                            memchr(f->content.data, '\0', f->content.size)))
        return err_set(e, ERR_CORRUPT, "carried link %s: impossible target", f->path);
    return 0;
}

static int check_shared(const struct image *img, struct err *e)
{
    for (uint32_t i = 0; i < img->n_objects; i++)
        if (check_object(&img->objects[i], i, e) < 0)
            return -1;
    for (uint32_t i = 0; i < img->n_files; i++)
        if (check_file(img, &img->files[i], i, e) < 0)
            return -1;
    for (uint32_t i = 0; i < img->n_carried; i++)
        if (check_carried(&img->carried[i], i, e) < 0)
            return -1;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

/* Pids and tids are of one kind: each exists once. */
static int check_ids_unique(const struct image *img, struct err *e)
{
    auto_free int32_t *ids = NULL;
    size_t n = 1, room = 1;

    for (uint32_t i = 0; i < img->n_processes; i++)
        room += 1 + (size_t)img->processes[i].n_threads;
    ids = calloc(room, sizeof(*ids));
    if (!ids)
        return err_set(e, ERR_FAILED, "out of memory");
    ids[0] = img->supervisor_pid;
    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];

        if (p->zombie)
            ids[n++] = p->pid;
        for (uint32_t k = 0; !p->zombie && k < p->n_threads; k++)
            ids[n++] = p->threads[k].tid;
    }
    qsort(ids, n, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] <= 0 || ids[i] >= PID_END)
            return err_set(e, ERR_CORRUPT, "%d is no process id", ids[i]);
        if (i && ids[i] == ids[i - 1])
            return err_set(e, ERR_CORRUPT, "process id %d occurs twice", ids[i]);
    }
    return 0;
}

/* A process and its place in the image. */
struct place {
    int32_t pid; /* first, for compare_ids */
    uint32_t index;
};

static bool is_before(const struct place *places, const struct image *img, int32_t pid,
                      uint32_t index)
{
    const struct place *at =
        bsearch(&pid, places, img->n_processes, sizeof(*places), compare_ids);

    return at && at->index < index;
}

static int check_parent(const struct image *img, const struct place *places,
                        uint32_t index, struct err *e)
{
    const struct image_process *p = &img->processes[index];

    if (p->ppid != img->supervisor_pid && !is_before(places, img, p->ppid, index))
        return err_set(e, ERR_CORRUPT, "process %d: parent %d is not before it", p->pid,
                       p->ppid);
    if (p->pgid <= 0 || p->pgid >= PID_END || p->sid <= 0 || p->sid >= PID_END)
        return err_set(e, ERR_CORRUPT, "process %d: group %d, session %d", p->pid,
                       p->pgid, p->sid);
    return 0;
}

static int check_family(const struct image *img, struct err *e)
{
    auto_free struct place *places =
        calloc((size_t)img->n_processes + 1, sizeof(*places));
    const struct image_process *root = image_process_find(img, img->root_pid);

    if (!places)
        return err_set(e, ERR_FAILED, "out of memory");
    for (uint32_t i = 0; i < img->n_processes; i++)
        places[i] = (struct place){.pid = img->processes[i].pid, .index = i};
    qsort(places, img->n_processes, sizeof(*places), compare_ids);
    for (uint32_t i = 0; i < img->n_processes; i++)
        if (check_parent(img, places, i, e) < 0)
            return -1;
    if (!root)
        return err_set(e, ERR_CORRUPT, "root process %d is missing", img->root_pid);
    if (root->ppid != img->supervisor_pid)
        return err_set(e, ERR_CORRUPT, "root process %d has another parent",
                       img->root_pid);
    return 0;
}

int format_check(const struct image *img, struct err *e)
{
    if (img->page_size == 0)
        return err_set(e, ERR_CORRUPT, "no host record");
    if (check_shared(img, e) < 0 || check_ids_unique(img, e) < 0 ||
        check_family(img, e) < 0)
        return -1;
    for (uint32_t i = 0; i < img->n_processes; i++)
        if (!img->processes[i].zombie &&
            format_check_process(img, &img->processes[i], e) < 0)
            return err_wrap(e, "process %d", img->processes[i].pid);
    return format_check_memory(img, e);
}
