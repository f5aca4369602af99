/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * eventfd(2): a counter. fdinfo shows it; whether it is a semaphore since Linux 6.5.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <sys/eventfd.h>

struct event {
    uint64_t count;
    bool semaphore;
};

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    uint64_t count, semaphore = 0;
    struct enc c = {0};

    if (!files_info_u64(f->info, "eventfd-count", 16, &count))
        return files_refuse(f, e, "an eventfd whose counter the kernel does not show");
    files_info_u64(f->info, "eventfd-semaphore", 10, &semaphore);
    enc_u64(&c, count);
    enc_u8(&c, semaphore != 0);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

static int decode(const struct image_file *file, struct event *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct event){.count = dec_u64(&d), .semaphore = dec_u8(&d)};
    if (dec_end(&d, "eventfd", e) < 0)
        return -1;
    if (out->count == UINT64_MAX)
        return err_set(e, ERR_CORRUPT, "an impossible counter of an eventfd");
    return 0;
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct event event;

    return decode(&r->img->files[index], &event, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    struct event event;
    auto_fd int fd = -1;

    if (decode(&r->img->files[index], &event, e) < 0)
        return -1;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | (event.semaphore ? EFD_SEMAPHORE : 0));
    if (fd < 0)
        return err_sys(e, "an eventfd");
    /* The initial value that eventfd(2) takes has 32 bits only. */
    if (event.count && io_write_all(fd, &event.count, sizeof(event.count), e) < 0)
        return -1;
    return files_pool_put(r, index, &fd, e);
}

const struct file_kind file_kind_eventfd = {
    .name = "an eventfd",
    .save = save,
    .check = check,
    .make = open_file,
};
