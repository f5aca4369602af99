/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/carry.h"

#include "base/err.h"
#include "image/image.h"
#include "native/native.h"
#include "place/place.h"

#include <fcntl.h>
#include <string.h>

/* What the job has open for writing is its output, and must stay the real file. */
static bool is_written(const struct image *img, const char *path)
{
    for (uint32_t i = 0; i < img->n_files; i++) {
        const struct image_file *f = &img->files[i];

        if (f->kind == IMAGE_FILE_REGULAR && f->path && strcmp(f->path, path) == 0 &&
            (f->flags & O_ACCMODE) != O_RDONLY)
            return true;
    }
    return false;
}

static int put_back(const struct image *img, const struct image_carried *c,
                    struct err *e)
{
    const struct place_file file = {.path = c->path,
                                    .mode = c->mode,
                                    .mtime_ns = c->mtime_ns,
                                    .data = c->content.data,
                                    .size = c->content.size};
    const struct place_role role = {
        .tmpdir = img->tmpdir,
        .is_script = img->job_script && strcmp(img->job_script, c->path) == 0,
        .is_written = is_written(img, c->path),
    };

    return place_put(&file, &role, e);
}

int carry_put_back(const struct image *img, const struct native_restart *how,
                   struct err *e)
{
    if (place_directory(img->tmpdir, how->tmpdir, e) < 0)
        return err_wrap(e, "the job's TMPDIR");
    for (uint32_t i = 0; i < img->n_carried; i++)
        if (put_back(img, &img->carried[i], e) < 0)
            return err_wrap(e, "a file that travels with the job");
    return 0;
}
