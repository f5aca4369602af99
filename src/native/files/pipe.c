/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pipes, with and without a name, and what waits in them.
 *
 * One pipe may have several descriptions: two from pipe(2), more from opening
 * /dev/fd/N. They are found by the pipe's inode.
 *
 * A pipe that leaves the job (of a wrapper that forgot to close it: the job server of
 * make, an agent) comes back with its other side closed.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What `detail` holds. All descriptions of one pipe have the same `id`; the first of
 * them in the image has the queue. */
struct pipe {
    uint64_t id;
    uint32_t capacity;
    bool packets; /* some end has O_DIRECT: each write is a packet */
    bool cut;     /* its other end is open outside the job */
    struct files_queue queue;
};

static void clear(struct pipe *p)
{
    files_queue_free(&p->queue);
}
#define auto_pipe __attribute__((cleanup(clear)))

static void forget(void *notes)
{
    clear(notes);
    free(notes);
}

static int decode(const struct image_file *file, struct pipe *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct pipe){.id = dec_u64(&d), .capacity = dec_u32(&d)};
    out->packets = dec_u8(&d);
    out->cut = dec_u8(&d);
    if (files_queue_decode(&d, &out->queue) == 0 && dec_end(&d, "pipe", e) == 0)
        return 0;
    clear(out);
    return err_set(e, ERR_CORRUPT, "the record of a pipe is damaged");
}

/* ---- saving ---- */

static int make_pipe(int ends[2], int size, struct err *e)
{
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_sys(e, "a pipe");
    if (fcntl(ends[1], F_SETPIPE_SZ, size) >= 0)
        return 0;
    err_sys(e, "a pipe of %d bytes", size);
    close(ends[0]);
    close(ends[1]);
    return -1;
}

/* Moves what is in `from` piece by piece through a pipe that has room for one piece. */
static int take_pieces(struct pipe *p, int from, int waiting, struct err *e)
{
    auto_free char *buffer = malloc(waiting);
    int ends[2];
    ssize_t n, got = 0;

    if (!buffer)
        return err_sys(e, "what waits in a pipe");
    if (make_pipe(ends, getpagesize(), e) < 0)
        return -1;
    auto_fd int one = ends[0];
    auto_fd int to = ends[1];
    while (got < waiting) {
        n = splice(from, NULL, to, NULL, waiting - got, SPLICE_F_NONBLOCK);
        if (n <= 0 || read(one, buffer, n) != n ||
            files_queue_add(&p->queue, buffer, n) < 0)
            return err_sys(e, "what waits in a pipe");
        got += n;
    }
    return 0;
}

/* The queue is copied by tee(2) into a pipe of our own. Its pieces are the pipe's
 * buffers: written again one by one they fill the new pipe as the old one was filled,
 * and packets (O_DIRECT) keep their ends. */
static int peek(const struct saved *known, struct pipe *p, int waiting, struct err *e)
{
    int ends[2];

    if (make_pipe(ends, p->capacity, e) < 0)
        return -1;
    auto_fd int from = ends[0];
    auto_fd int to = ends[1];
    if (tee(known->copy, to, INT_MAX, SPLICE_F_NONBLOCK) < waiting)
        return err_sys(e, "process %d descriptor %d: copy what waits in it", known->pid,
                       known->fd);
    close(take_fd(&to));
    return take_pieces(p, from, waiting, e);
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct saved *known = &s->files[index];
    struct image_file *file = &s->img->files[index];
    struct pipe *p = calloc(1, sizeof(*p));
    int capacity;

    if (!p)
        return err_sys(e, "a pipe");
    known->notes = p;
    capacity = fcntl(known->copy, F_GETPIPE_SZ);
    if (capacity < 0)
        return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
    p->capacity = capacity;
    p->id = f->st.st_ino;
    if (file->kind == IMAGE_FILE_PIPE)
        return 0;
    /* A named pipe whose name was removed is a pipe like any other. */
    if (!files_path_leads_to(f)) {
        file->kind = IMAGE_FILE_PIPE;
        return 0;
    }
    return files_keep_path(file, f->link, e);
}

/* The other descriptions of the same pipe in the job. */
struct ends {
    bool read, write, packets;
    uint32_t first;        /* index of the first */
    uint32_t first_reader; /* IMAGE_NONE: none */
};

static struct ends find_ends(const struct files_save *s, uint32_t index)
{
    const struct saved *known = &s->files[index];
    struct ends ends = {.first = IMAGE_NONE, .first_reader = IMAGE_NONE};
    uint32_t at, n = files_save_find(s, known->dev, known->ino, &at);

    for (uint32_t k = at; k < at + n; k++) {
        uint32_t i = s->order[k];
        const struct image_file *file = &s->img->files[i];
        uint32_t mode = file->flags & O_ACCMODE;

        if (file->kind != s->img->files[index].kind)
            continue;
        if (i < ends.first)
            ends.first = i;
        if (mode != O_WRONLY && i < ends.first_reader)
            ends.first_reader = i;
        ends.packets |= (file->flags & O_DIRECT) != 0;
        ends.read |= mode != O_WRONLY;
        ends.write |= mode != O_RDONLY;
    }
    return ends;
}

/* Whether somebody outside the job has the other end. */
static bool is_open_elsewhere(const struct saved *known, const struct ends *ends)
{
    struct pollfd p = {.fd = known->copy, .events = POLLIN | POLLOUT};

    if (ends->read && ends->write)
        return false;
    poll(&p, 1, 0);
    return !(p.revents & (ends->write ? POLLERR : POLLHUP));
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    struct saved *known = &s->files[index];
    struct image_file *file = &s->img->files[index];
    struct pipe *p = known->notes;
    struct ends ends = find_ends(s, index);
    struct enc c = {0};
    int waiting = 0;

    p->cut = file->kind == IMAGE_FILE_PIPE && is_open_elsewhere(known, &ends);
    p->packets = ends.packets;
    if (ends.first == index && ends.first_reader != IMAGE_NONE) {
        const struct saved *reader = &s->files[ends.first_reader];

        if (ioctl(reader->copy, FIONREAD, &waiting) < 0)
            return err_sys(e, "process %d descriptor %d", known->pid, known->fd);
        if (waiting > 0 && peek(reader, p, waiting, e) < 0)
            return -1;
    }
    enc_u64(&c, p->id);
    enc_u32(&c, p->capacity);
    enc_u8(&c, p->packets);
    enc_u8(&c, p->cut);
    files_queue_encode(&c, &p->queue);
    return enc_blob(&c, &file->detail, e);
}

/* ---- restoring ---- */

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    auto_pipe struct pipe p = {0};

    if (decode(file, &p, e) < 0)
        return -1;
    return file->kind == IMAGE_FILE_FIFO ? files_check_path(file, e) : 0;
}

/* A capacity that an ordinary user may not set any more matters only when the data does
 * not fit. */
static void set_capacity(int fd, uint32_t capacity)
{
    if (fcntl(fd, F_GETPIPE_SZ) != (int)capacity && capacity <= INT_MAX &&
        fcntl(fd, F_SETPIPE_SZ, capacity) < 0)
        log_warning("a pipe gets %d bytes instead of %u: %m", fcntl(fd, F_GETPIPE_SZ),
                    capacity);
}

/* One description of the pipe: a second opening of either end. */
static int open_description(struct files_restore *r, uint32_t index, int from,
                            const char *path, struct err *e)
{
    uint32_t flags =
        (files_open_flags(&r->img->files[index]) & ~(O_ASYNC | O_DIRECT)) | O_NONBLOCK;
    auto_fd int fd = -1;

    /* While `from` holds both ends open, neither opening waits or fails. */
    if (path)
        fd = open(path, flags | O_CLOEXEC);
    else
        fd = files_reopen(from, flags, e);
    if (fd < 0)
        return path ? err_sys(e, "open %s again", path) : -1;
    return files_pool_put(r, index, &fd, e);
}

static int open_descriptions(struct files_restore *r, uint32_t index, uint64_t id,
                             int from, const char *path, struct err *e)
{
    const struct image *img = r->img;

    for (uint32_t i = index; i < img->n_files; i++) {
        auto_pipe struct pipe other = {0};

        if (img->files[i].kind != img->files[index].kind || r->pool[i] >= 0)
            continue;
        if (decode(&img->files[i], &other, e) < 0)
            return -1;
        if (other.id == id && open_description(r, i, from, path, e) < 0)
            return -1;
    }
    return 0;
}

/* Opens both ends of the named pipe for the moment, making it when it is missing. */
static int open_named(const char *path, uint32_t mode, struct err *e)
{
    struct stat st;
    int fd;

    files_make_parents(path);
    if (mkfifo(path, mode & 0777) < 0 && errno != EEXIST)
        return err_sys(e, "make the named pipe %s", path);
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open %s again", path);
    if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode)) {
        close(fd);
        return err_set(e, ERR_FAILED, "%s was a named pipe and is not any more", path);
    }
    return fd;
}

static int open_ends(const char *path, uint32_t mode, int *from, int *to, struct err *e)
{
    int ends[2];

    if (path) {
        *from = open_named(path, mode, e);
        if (*from < 0)
            return -1;
        *to = fcntl(*from, F_DUPFD_CLOEXEC, 0);
        return *to < 0 ? err_sys(e, "open %s again", path) : 0;
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_sys(e, "a pipe");
    *from = ends[0];
    *to = ends[1];
    return 0;
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    const char *path = file->kind == IMAGE_FILE_FIFO ? file->path : NULL;
    auto_fd int from = -1;
    auto_fd int to = -1;
    char who[64];
    auto_pipe struct pipe p = {0};

    if (decode(file, &p, e) < 0 || open_ends(path, file->mode, &from, &to, e) < 0)
        return -1;
    if (p.cut)
        log_warning("%s is a pipe to outside of the job and comes back as closed by "
                    "the other side",
                    files_describe(r->img, index, who));
    set_capacity(to, p.capacity);
    if (open_descriptions(r, index, p.id, from, path, e) < 0)
        return -1;
    if (p.packets)
        fcntl(to, F_SETFL, O_NONBLOCK | O_DIRECT);
    return files_queue_fill(&p.queue, to, FILES_FILL_PIPE, e);
}

const struct file_kind file_kind_pipe = {
    .name = "a pipe",
    .save = save,
    .pair = pair,
    .forget = forget,
    .check = check,
    .make = open_file,
};

const struct file_kind file_kind_fifo = {
    .name = "a named pipe",
    .save = save,
    .pair = pair,
    .forget = forget,
    .check = check,
    .make = open_file,
};
