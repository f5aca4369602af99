/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * signalfd(2): a mask. What waits in it are signals of the process that reads it.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct enc c = {0};
    uint64_t mask;

    if (!files_info_u64(f->info, "sigmask", 16, &mask))
        return files_refuse(f, e, "a signalfd whose mask the kernel does not show");
    enc_u64(&c, mask);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

static int decode(const struct image_file *file, uint64_t *mask, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *mask = dec_u64(&d);
    return dec_end(&d, "signalfd", e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    uint64_t mask;

    return decode(&r->img->files[index], &mask, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    uint64_t mask;
    auto_fd int fd = -1;

    if (decode(&r->img->files[index], &mask, e) < 0)
        return -1;
    /* The system call itself: the mask is the kernel's, of 64 bits. */
    fd = syscall(SYS_signalfd4, -1, &mask, sizeof(mask), SFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "a signalfd");
    return files_pool_put(r, index, &fd, e);
}

const struct file_kind file_kind_signalfd = {
    .name = "a signalfd",
    .save = save,
    .check = check,
    .make = open_file,
};
