/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walking over the descriptors of frozen processes: which of them share an open file
 * description, and of what kind it is.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/scope.h"
#include "native/files/kind.h"
#include "native/files/recognise.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INFO_MAX = 64 << 20 }; /* an epoll instance has a line for each entry */

struct files_save *files_save_new(struct image *img, const int stdio[3], struct err *e)
{
    struct files_save *s = calloc(1, sizeof(*s));
    struct rlimit limit;

    if (!s) {
        err_sys(e, "descriptors of the job");
        return NULL;
    }
    s->img = img;
    s->diag = -1;
    for (int i = 0; i < 3; i++) {
        s->stdio[i] = stdio[i];
        s->stdio_open[i] = stdio[i] >= 0 && fstat(stdio[i], &s->stdio_st[i]) == 0;
    }
    /* Copies of the job's sockets and pipes are held until files_save_end. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return s;
}

/* While this program has a copy of an end of a pipe or connection, the job would not
 * see that it closed it. */
static void close_copies(struct files_save *s)
{
    for (uint32_t i = 0; i < s->n_files; i++) {
        if (s->files[i].copy >= 0)
            close(s->files[i].copy);
        s->files[i].copy = -1;
    }
}

void files_save_free(struct files_save *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct file_kind *kind = file_kind_of(s->img->files[i].kind);

        if (kind && kind->forget && s->files[i].notes)
            kind->forget(s->files[i].notes);
        free(s->files[i].locks);
    }
    close_copies(s);
    for (uint32_t i = 0; i < s->n_objects; i++)
        if (s->objects[i].fd >= 0)
            close(s->objects[i].fd);
    if (s->diag >= 0)
        close(s->diag);
    free(s->files);
    free(s->order);
    free(s->objects);
    free(s->host_pids);
    free(s);
}

/* Order of two descriptions: 0 when they are the same, 1 and 2 as kcmp(2) has it. */
static int compare_files(pid_t a, int a_fd, pid_t b, int b_fd, struct err *e)
{
    long order = syscall(SYS_kcmp, a, b, KCMP_FILE, (long)a_fd, (long)b_fd);

    if (order < 0)
        return err_sys(e, "kcmp of descriptor %d of process %d", a_fd, a);
    if (order > 2)
        return err_set(e, ERR_FAILED, "kcmp of descriptor %d of process %d: %ld", a_fd,
                       a, order);
    return order;
}

static int compare_found(const struct found *f, const struct saved *known, int *order,
                         struct err *e)
{
    int result;

    if (f->st.st_dev != known->dev)
        *order = f->st.st_dev < known->dev ? -1 : 1;
    else if (f->st.st_ino != known->ino)
        *order = f->st.st_ino < known->ino ? -1 : 1;
    else {
        result = compare_files(f->host_pid, f->fd, known->host_pid, known->fd, e);
        if (result < 0)
            return -1;
        *order = result == 0 ? 0 : result == 1 ? -1 : 1;
    }
    return 0;
}

/* Where the description is in s->order (*same), or where it belongs. */
static int find_description(const struct files_save *s, const struct found *f,
                            uint32_t *at, bool *same, struct err *e)
{
    uint32_t low = 0, high = s->n_files;
    int order = 0;

    *same = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (compare_found(f, &s->files[s->order[middle]], &order, e) < 0)
            return -1;
        if (order == 0) {
            *at = middle;
            *same = true;
            return 0;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return 0;
}

uint32_t files_save_find(const struct files_save *s, dev_t dev, ino_t ino,
                         uint32_t *first)
{
    uint32_t low = 0, high = s->n_files, n = 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct saved *known = &s->files[s->order[middle]];

        if (known->dev < dev || (known->dev == dev && known->ino < ino))
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low + n < s->n_files && s->files[s->order[low + n]].dev == dev &&
           s->files[s->order[low + n]].ino == ino)
        n++;
    return n;
}

static int find_slot(const struct files_save *s, const struct found *f, int *slot,
                     bool *reopened, struct err *e)
{
    *slot = -1;
    for (int i = 0; i < 3; i++) {
        const struct stat *st = &s->stdio_st[i];
        int order;

        if (!s->stdio_open[i] || st->st_dev != f->st.st_dev ||
            st->st_ino != f->st.st_ino || (f->flags & O_PATH))
            continue;
        order = compare_files(getpid(), s->stdio[i], f->host_pid, f->fd, e);
        if (order < 0)
            return -1;
        if (order == 0) {
            *slot = i;
            *reopened = false;
            return 0;
        }
        /* /dev/stderr, opened: a description of its own of something that only the
         * run can provide. */
        if (*slot < 0 && (S_ISFIFO(st->st_mode) || files_is_terminal(st))) {
            *slot = i;
            *reopened = true;
        }
    }
    return 0;
}

static int note_owner(struct saved *known, struct image_file *file, struct err *e)
{
    struct f_owner_ex owner;
    int signo;

    if (fcntl(known->copy, F_GETOWN_EX, &owner) < 0)
        return err_sys(e, "owner of descriptor %d of process %d", known->fd,
                       known->pid);
    known->owner_type = owner.pid ? owner.type : -1;
    known->owner = owner.pid;
    signo = fcntl(known->copy, F_GETSIG);
    file->owner_signal = signo > 0 ? signo : 0;
    return 0;
}

static bool wants_copy(const struct found *f, uint32_t kind)
{
    switch (kind) {
    case IMAGE_FILE_PIPE:
    case IMAGE_FILE_FIFO:
    case IMAGE_FILE_UNIX:
    case IMAGE_FILE_INET:
    case IMAGE_FILE_NETLINK:
    case IMAGE_FILE_PTY_MASTER:
    case IMAGE_FILE_PTY_SLAVE:
        return true;
    default:
        /* Not of regular files: closing a copy flushes on NFS. */
        return false;
    }
}

static int fill_description(struct files_save *s, const struct found *f, uint32_t index,
                            struct err *e)
{
    struct image_file *file = &s->img->files[index];
    struct saved *known = &s->files[index];
    const struct file_kind *kind;
    bool reopened = false;
    int slot;

    if (find_slot(s, f, &slot, &reopened, e) < 0)
        return -1;
    if (slot >= 0) {
        file->kind = IMAGE_FILE_STDIO;
        file->slot = slot;
        known->reopened = reopened;
    } else if (files_recognise(f, &file->kind, e) < 0) {
        return -1;
    }
    kind = file_kind_of(file->kind);
    if (wants_copy(f, file->kind)) {
        known->copy = files_copy_fd(f->host_pid, f->fd, e);
        if (known->copy < 0 || note_owner(known, file, e) < 0)
            return -1;
    }
    return kind->save(s, f, index, e);
}

static int add_description(struct files_save *s, const struct found *f, uint32_t at,
                           struct err *e)
{
    uint32_t index = s->n_files;
    uint32_t *order = realloc(s->order, (index + 1) * sizeof(*order));
    struct image_file *file;
    struct saved *known;

    if (!order)
        return err_sys(e, "descriptors of process %d", f->pid);
    s->order = order;
    known = image_append((void **)&s->files, &s->n_files, sizeof(*s->files));
    if (!known)
        return err_sys(e, "descriptors of process %d", f->pid);
    *known = (struct saved){.host_pid = f->host_pid,
                            .pid = f->pid,
                            .process = f->process,
                            .fd = f->fd,
                            .dev = f->st.st_dev,
                            .ino = f->st.st_ino,
                            .copy = -1,
                            .owner_type = -1};
    memmove(order + at + 1, order + at, (index - at) * sizeof(*order));
    order[at] = index;
    file = IMAGE_APPEND(s->img, files);
    if (!file) {
        s->n_files--;
        return err_sys(e, "descriptors of process %d", f->pid);
    }
    file->flags = f->flags & ~O_CLOEXEC;
    file->pos = f->pos;
    file->mode = f->st.st_mode;
    file->object = IMAGE_NONE;
    return fill_description(s, f, index, e);
}

/* Reads what /proc tells of one descriptor. */
static int look(struct found *f, int dir, int info_dir, const char *name, struct err *e)
{
    uint64_t value;
    ssize_t n = readlinkat(dir, name, f->link, sizeof(f->link) - 1);

    if (n < 0 || fstatat(dir, name, &f->st, 0) < 0)
        return err_sys(e, "process %d descriptor %s", f->pid, name);
    f->link[n] = 0;
    free(f->info);
    f->info = NULL;
    if (io_read_file(info_dir, name, INFO_MAX, &f->info, NULL, e) < 0)
        return err_wrap(e, "process %d descriptor %s", f->pid, name);
    f->fd = atol(name);
    f->pos = files_info_u64(f->info, "pos", 10, &value) ? value : 0;
    if (!files_info_u64(f->info, "flags", 8, &value))
        return err_set(e, ERR_FAILED, "process %d: fdinfo/%s has no flags", f->pid,
                       name);
    f->flags = value;
    return 0;
}

static int add_fd(struct files_save *s, const struct found *f, struct err *e)
{
    struct image_process *p = &s->img->processes[f->process];
    struct image_fd *fd;
    uint32_t at, index;
    bool same;

    if (find_description(s, f, &at, &same, e) < 0)
        return -1;
    index = same ? s->order[at] : s->n_files;
    if (!same && add_description(s, f, at, e) < 0)
        return -1;
    if (strstr(f->info, "\nlock:") && files_locks_collect(&s->files[index], f, e) < 0)
        return -1;
    fd = IMAGE_APPEND(p, fds);
    if (!fd)
        return err_sys(e, "descriptors of process %d", f->pid);
    *fd =
        (struct image_fd){.fd = f->fd, .file = index, .cloexec = f->flags & O_CLOEXEC};
    return 0;
}

static int remember_pid(struct files_save *s, uint32_t process, pid_t host_pid,
                        struct err *e)
{
    while (s->n_host_pids <= process)
        if (!image_append((void **)&s->host_pids, &s->n_host_pids,
                          sizeof(*s->host_pids)))
            return err_sys(e, "processes");
    s->host_pids[process] = host_pid;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct image_fd *x = a, *y = b;

    return (x->fd > y->fd) - (x->fd < y->fd);
}

int files_save_process(struct files_save *s, uint32_t process, pid_t host_pid,
                       struct err *e)
{
    auto_free struct found *f = calloc(1, sizeof(*f));
    struct image_process *p = &s->img->processes[process];
    auto_dir DIR *dir = NULL;
    auto_fd int info_dir = -1;
    char path[64];
    struct dirent *entry;
    int status = 0;

    if (!f || remember_pid(s, process, host_pid, e) < 0)
        return err_sys(e, "descriptors of process %d", p->pid);
    *f = (struct found){.host_pid = host_pid, .pid = p->pid, .process = process};
    snprintf(path, sizeof(path), "/proc/%d/fd", host_pid);
    dir = opendir(path);
    snprintf(path, sizeof(path), "/proc/%d/fdinfo", host_pid);
    info_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!dir || info_dir < 0)
        return err_sys(e, "descriptors of process %d", p->pid);
    while (status == 0 && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        status = look(f, dirfd(dir), info_dir, entry->d_name, e);
        if (status == 0)
            status = add_fd(s, f, e);
    }
    free(f->info);
    qsort(p->fds, p->n_fds, sizeof(*p->fds), by_number);
    return status;
}

/* The owner as the job numbers its processes. One outside the job is forgotten. */
static int32_t inner_owner(const struct files_save *s, const struct saved *known)
{
    for (uint32_t i = 0; i < s->n_host_pids; i++)
        if (known->owner_type >= 0 && s->host_pids[i] == known->owner)
            return known->owner_type == F_OWNER_PGRP ? -s->img->processes[i].pid
                                                     : s->img->processes[i].pid;
    return 0;
}

/* Which descriptor of the job is the terminal of its processes. */
static int find_terminals(struct files_save *s, struct err *e)
{
    for (uint32_t i = 0; i < s->n_host_pids; i++) {
        struct image_process *p = &s->img->processes[i];
        struct proc_stat stat;

        if (!p->tty || s->host_pids[i] == 0)
            continue;
        if (proc_stat_read(s->host_pids[i], &stat, e) < 0)
            return -1;
        p->tty_file = files_pty_of(s, stat.tty);
    }
    return 0;
}

int files_save_end(struct files_save *s, struct err *e)
{
    int status = 0;

    for (uint32_t i = 0; i < s->n_files && status == 0; i++) {
        const struct file_kind *kind = file_kind_of(s->img->files[i].kind);

        s->img->files[i].owner_pid = inner_owner(s, &s->files[i]);
        if (kind->pair)
            status = kind->pair(s, i, e);
    }
    if (status == 0)
        status = find_terminals(s, e);
    close_copies(s);
    return status;
}

void files_save_before_kill(struct files_save *s)
{
    struct err ignored;

    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct file_kind *kind = file_kind_of(s->img->files[i].kind);
        auto_fd int copy = -1;

        if (!kind->before_kill)
            continue;
        copy = files_copy_fd(s->files[i].host_pid, s->files[i].fd, &ignored);
        if (copy >= 0)
            kind->before_kill(&s->files[i], copy);
    }
}
