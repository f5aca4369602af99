/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Devices without a state of their own: null, zero, full, random, urandom; and the
 * controlling terminal, /dev/tty.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"
#include "native/files/recognise.h"

#include <fcntl.h>
#include <linux/major.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct image_file *file = &s->img->files[index];
    struct enc c = {0};

    enc_u32(&c, major(f->st.st_rdev));
    enc_u32(&c, minor(f->st.st_rdev));
    if (enc_blob(&c, &file->detail, e) < 0)
        return -1;
    return files_keep_path(file, f->link, e);
}

static int decode(const struct image_file *file, dev_t *device, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};
    unsigned first = dec_u32(&d), second = dec_u32(&d);

    *device = makedev(first, second);
    return dec_end(&d, "device", e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    dev_t device;

    if (files_check_path(&r->img->files[index], e) < 0)
        return -1;
    return decode(&r->img->files[index], &device, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    uint32_t flags = files_open_flags(file);
    auto_fd int fd = -1;
    struct stat st;
    dev_t device;

    if (decode(file, &device, e) < 0)
        return -1;
    st = (struct stat){.st_mode = S_IFCHR, .st_rdev = device};
    if (files_is_terminal(&st)) {
        fd = files_stand_in_terminal(r, flags, e);
        return fd < 0 ? -1 : files_pool_put(r, index, &fd, e);
    }
    fd = open(file->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "open %s again", file->path);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != device)
        return err_set(e, ERR_FAILED, "%s is not the device that it was", file->path);
    return files_pool_put(r, index, &fd, e);
}

/* The controlling terminal is the process's own, where it has one. */
static int install(const struct files_restore *r, uint32_t process,
                   const struct image_fd *fd, struct err *e)
{
    const struct image_file *file = &r->img->files[fd->file];
    auto_fd int tty = -1;
    dev_t device;

    if (decode(file, &device, e) < 0)
        return -1;
    if (major(device) != TTYAUX_MAJOR)
        return 0;
    tty = open("/dev/tty", files_open_flags(file) | O_CLOEXEC);
    if (tty >= 0 && dup3(tty, fd->fd, fd->cloexec ? O_CLOEXEC : 0) < 0)
        return err_sys(e, "put the terminal in place");
    return 0;
}

const struct file_kind file_kind_device = {
    .name = "a device",
    .save = save,
    .check = check,
    .make = open_file,
    .install = install,
};
