/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors that the run was given: at restart they are the new run's. The output
 * file of a job is the same file again, and is cut back to where it was.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stdfile.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <unistd.h>

/* What `detail` holds. */
struct stdio {
    bool reopened; /* the job opened /dev/stderr or the like */
    uint64_t ino;
};

static int decode(const struct image_file *file, struct stdio *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct stdio){.reopened = dec_u8(&d), .ino = dec_u64(&d)};
    return dec_end(&d, "standard input or output", e);
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct image_file *file = &s->img->files[index];
    struct enc c = {0};

    if (S_ISREG(f->st.st_mode))
        file->size = f->st.st_size;
    if (f->link[0] == '/' && files_keep_path(file, f->link, e) < 0)
        return -1;
    enc_u8(&c, s->files[index].reopened);
    enc_u64(&c, f->st.st_ino);
    return enc_blob(&c, &file->detail, e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct stdio stdio;

    if (r->img->files[index].slot > 2)
        return err_set(e, ERR_CORRUPT, "standard descriptor %u",
                       r->img->files[index].slot);
    return decode(&r->img->files[index], &stdio, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    int given = r->stdio[file->slot];
    struct err ignored;
    struct stdio stdio;
    auto_fd int fd = -1;

    if (decode(file, &stdio, e) < 0)
        return -1;
    if (given < 0) {
        log_warning("descriptor %u is closed in this run and was open in the job: "
                    "/dev/null takes its place",
                    file->slot);
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        return fd < 0 ? err_sys(e, "/dev/null") : files_pool_put(r, index, &fd, e);
    }
    if (stdio.reopened)
        fd = files_reopen(given, files_open_flags(file), &ignored);
    if (fd >= 0)
        return files_pool_put(r, index, &fd, e);
    /* Not files_pool_put: its flags are shared with whoever started the run. */
    r->pool[index] = fcntl(given, F_DUPFD_CLOEXEC, r->first_fd);
    if (r->pool[index] < 0)
        return err_sys(e, "descriptor %u of the run", file->slot);
    return 0;
}

static int commit(const struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    int fd = r->stdio[file->slot];
    struct stdfile was;
    struct stdio stdio;
    int flags;

    if (decode(file, &stdio, e) < 0)
        return -1;
    if (stdio.reopened || fd < 0)
        return 0;
    was = (struct stdfile){.path = file->path,
                           .inode = stdio.ino,
                           .position = file->pos,
                           .size_bytes = file->size};
    if (S_ISREG(file->mode) && stdfile_continue(fd, (int)file->slot, &was, e) < 0)
        return -1;
    /* An event loop that made its output non-blocking relies on that. */
    flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (file->flags & O_NONBLOCK) && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return 0;
}

const struct file_kind file_kind_stdio = {
    .name = "a standard descriptor",
    .save = save,
    .check = check,
    .make = open_file,
    .commit = commit,
};
