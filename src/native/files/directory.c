/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories, and paths opened with O_PATH.
 */
#include "base/err.h"
#include "base/scope.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    bool in_proc = strncmp(f->link, "/proc/", 6) == 0;

    if (!in_proc && !files_path_leads_to(f))
        return files_refuse(f, e,
                            "%s, which was removed or replaced while it was open: "
                            "there is nothing that could be opened again",
                            f->link);
    return files_keep_path(&s->img->files[index], f->link, e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    return files_check_path(&r->img->files[index], e);
}

/* The flags that make it what it was. */
static uint32_t extra_flags(const struct image_file *file)
{
    if (file->kind == IMAGE_FILE_PATH)
        return O_PATH | O_NOFOLLOW | (file->flags & O_DIRECTORY);
    return O_DIRECTORY;
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    auto_fd int fd = -1;

    if (files_is_late(file))
        return 0;
    fd = open(file->path, files_open_flags(file) | extra_flags(file) | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open %s again", file->path);
    if (file->kind == IMAGE_FILE_PATH) {
        r->pool[index] = fcntl(fd, F_DUPFD_CLOEXEC, r->first_fd);
        return r->pool[index] < 0 ? err_sys(e, "%s", file->path) : 0;
    }
    /* A position in a directory means something to its file system alone. */
    lseek(fd, file->pos, SEEK_SET);
    return files_pool_put(r, index, &fd, e);
}

static int install(const struct files_restore *r, uint32_t process,
                   const struct image_fd *fd, struct err *e)
{
    const struct image_file *file = &r->img->files[fd->file];

    if (!files_is_late(file))
        return 0;
    return files_install_late(file, extra_flags(file), fd, e);
}

const struct file_kind file_kind_directory = {
    .name = "a directory",
    .save = save,
    .check = check,
    .make = open_file,
    .install = install,
};

const struct file_kind file_kind_path = {
    .name = "a path",
    .save = save,
    .check = check,
    .make = open_file,
    .install = install,
};
