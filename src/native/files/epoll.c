/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * epoll(7): what an instance watches, from fdinfo.
 *
 * An entry is known to the kernel by file and descriptor number, as they were when it
 * was added. The number may since have been closed or given to another file; then the
 * entry lives on as long as the description has another descriptor.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct entry {
    uint32_t file; /* index into img->files */
    int32_t fd;    /* the number by which it was added */
    uint32_t events;
    uint64_t data;
    uint64_t ino; /* while saving, as is dev */
    dev_t dev;
};

struct watch {
    struct entry *entries;
    uint32_t n_entries;
};

static void forget(void *notes)
{
    struct watch *w = notes;

    free(w->entries);
    free(w);
}

/* ---- saving ---- */

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return err_sys(e, "an epoll instance");
    s->files[index].notes = w;
    for (const char *line = strstr(f->info, "tfd:"); line;
         line = strstr(line + 4, "\ntfd:")) {
        struct entry entry = {.file = IMAGE_NONE}, *added;
        unsigned dev = 0;

        line += *line == '\n';
        if (sscanf(line,
                   "tfd: %d events: %x data: %" SCNx64 " pos:%*d ino:%" SCNx64
                   " sdev:%x",
                   &entry.fd, &entry.events, &entry.data, &entry.ino, &dev) != 5)
            return files_refuse(f, e,
                                "an epoll instance whose entries the kernel does "
                                "not show");
        /* As the kernel keeps it: 12 bits and 20 bits (MKDEV). */
        entry.dev = makedev(dev >> 20, dev & 0xfffff);
        added = image_append((void **)&w->entries, &w->n_entries, sizeof(*w->entries));
        if (!added)
            return err_sys(e, "an epoll instance");
        *added = entry;
    }
    return 0;
}

/* Whether the entry watches the description `candidate`. */
static int is_watched(const struct saved *epoll, const struct entry *entry,
                      uint32_t nth, const struct saved *candidate, struct err *e)
{
    struct kcmp_epoll_slot slot = {.efd = epoll->fd, .tfd = entry->fd, .toff = nth};
    long order = syscall(SYS_kcmp, candidate->host_pid, epoll->host_pid, KCMP_EPOLL_TFD,
                         (long)candidate->fd, &slot);

    if (order < 0)
        return err_sys(e, "kcmp of an epoll entry of process %d", epoll->pid);
    return order == 0;
}

/* Several entries may have one number: KCMP_EPOLL_TFD counts them in the order of
 * fdinfo. */
static uint32_t count_before(const struct watch *w, uint32_t k)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < k; i++)
        n += w->entries[i].fd == w->entries[k].fd;
    return n;
}

static int find_target(struct files_save *s, uint32_t index, uint32_t k, struct err *e)
{
    const struct watch *w = s->files[index].notes;
    struct entry *entry = &w->entries[k];
    uint32_t nth = count_before(w, k), at;
    uint32_t n = files_save_find(s, entry->dev, entry->ino, &at);

    for (uint32_t c = at; c < at + n; c++) {
        uint32_t i = s->order[c];
        int watched;

        watched = is_watched(&s->files[index], entry, nth, &s->files[i], e);
        if (watched < 0)
            return -1;
        if (watched) {
            entry->file = i;
            return 0;
        }
    }
    return files_refuse_saved(&s->files[index], e,
                              "an epoll instance that watches descriptor %d, which no "
                              "process of the job has open",
                              entry->fd);
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    const struct watch *w = s->files[index].notes;
    struct enc c = {0};

    enc_u32(&c, w->n_entries);
    for (uint32_t k = 0; k < w->n_entries; k++) {
        const struct entry *entry = &w->entries[k];

        if (find_target(s, index, k, e) < 0) {
            enc_free(&c);
            return -1;
        }
        enc_u32(&c, entry->file);
        enc_u32(&c, entry->fd);
        enc_u32(&c, entry->events);
        enc_u64(&c, entry->data);
    }
    return enc_blob(&c, &s->img->files[index].detail, e);
}

/* ---- restoring ---- */

static int decode(const struct image *img, const struct image_file *file,
                  struct watch *w, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};
    uint32_t n = dec_u32(&d);

    *w = (struct watch){0};
    if (n > file->detail.size)
        return err_set(e, ERR_CORRUPT, "an epoll instance of %u entries", n);
    w->entries = calloc(n + 1, sizeof(*w->entries));
    if (!w->entries)
        return err_sys(e, "an epoll instance");
    for (; w->n_entries < n && !d.failed; w->n_entries++) {
        struct entry *entry = &w->entries[w->n_entries];

        entry->file = dec_u32(&d);
        entry->fd = dec_u32(&d);
        entry->events = dec_u32(&d);
        entry->data = dec_u64(&d);
        if (entry->file >= img->n_files || entry->fd < 0 ||
            &img->files[entry->file] == file)
            d.failed = true;
    }
    if (dec_end(&d, "epoll instance", e) < 0) {
        free(w->entries);
        return -1;
    }
    return 0;
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct watch w;

    if (decode(r->img, &r->img->files[index], &w, e) < 0)
        return -1;
    free(w.entries);
    return 0;
}

int files_epoll_top(const struct image *img, int top, struct err *e)
{
    for (uint32_t i = 0; i < img->n_files; i++) {
        struct watch w;

        if (img->files[i].kind != IMAGE_FILE_EPOLL)
            continue;
        if (decode(img, &img->files[i], &w, e) < 0)
            return -1;
        for (uint32_t k = 0; k < w.n_entries; k++)
            if (w.entries[k].fd >= top)
                top = w.entries[k].fd + 1;
        free(w.entries);
    }
    return top;
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    auto_fd int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return err_sys(e, "an epoll instance");
    return files_pool_put(r, index, &fd, e);
}

static const struct image_fd *find_fd(const struct image_process *p, int32_t number)
{
    for (uint32_t i = 0; i < p->n_fds; i++)
        if (p->fds[i].fd == number)
            return &p->fds[i];
    return NULL;
}

static bool holds(const struct image_process *p, uint32_t file)
{
    for (uint32_t i = 0; i < p->n_fds; i++)
        if (p->fds[i].file == file)
            return true;
    return false;
}

/* The process that adds the entry: the first that has the instance and the number; or,
 * when the number is gone everywhere, the first that has the instance. */
static uint32_t adder(const struct image *img, uint32_t epoll,
                      const struct entry *entry)
{
    uint32_t fallback = IMAGE_NONE;

    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];
        const struct image_fd *fd;

        if (!holds(p, epoll))
            continue;
        fd = find_fd(p, entry->fd);
        if (fd && fd->file == entry->file)
            return i;
        if (fallback == IMAGE_NONE && !fd)
            fallback = i;
    }
    return fallback;
}

static int add(int epoll, const struct entry *entry, struct err *e)
{
    struct epoll_event event = {.events = entry->events, .data.u64 = entry->data};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, entry->fd, &event) == 0 || errno == EEXIST)
        return 0;
    return err_sys(e, "watch descriptor %d", entry->fd);
}

/* Adds under a number that is free in this process. */
static int add_elsewhere(const struct files_restore *r, int epoll,
                         const struct entry *entry, struct err *e)
{
    auto_fd int number = -1;

    if (r->pool[entry->file] < 0)
        return 0;
    if (fcntl(entry->fd, F_GETFD) >= 0)
        return err_set(e, ERR_FAILED, "watch descriptor %d: its number is in use",
                       entry->fd);
    number = dup2(r->pool[entry->file], entry->fd);
    if (number < 0)
        return err_sys(e, "watch descriptor %d", entry->fd);
    return add(epoll, entry, e);
}

static int install(const struct files_restore *r, uint32_t process,
                   const struct image_fd *fd, struct err *e)
{
    const struct image *img = r->img;
    struct watch w;
    int status = 0;

    if (decode(img, &img->files[fd->file], &w, e) < 0)
        return -1;
    for (uint32_t k = 0; k < w.n_entries && status == 0; k++) {
        const struct image_fd *target;

        if (adder(img, fd->file, &w.entries[k]) != process)
            continue;
        target = find_fd(&img->processes[process], w.entries[k].fd);
        if (target)
            status = add(fd->fd, &w.entries[k], e);
        else
            status = add_elsewhere(r, fd->fd, &w.entries[k], e);
    }
    free(w.entries);
    return status;
}

const struct file_kind file_kind_epoll = {
    .name = "an epoll instance",
    .save = save,
    .pair = pair,
    .forget = forget,
    .check = check,
    .make = open_file,
    .install = install,
};
