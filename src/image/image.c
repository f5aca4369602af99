/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/image.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4 };

/* Arrays carry no capacity: it follows from the count, which is why all of them grow
 * here and nowhere else. */
static bool is_full(uint32_t count)
{
    return count == 0 || (count >= FIRST_ROOM && (count & (count - 1)) == 0);
}

void *image_append(void **array, uint32_t *count, size_t size)
{
    char *at;

    if (*count >= UINT32_MAX / 2)
        return NULL;
    if (is_full(*count)) {
        size_t room = *count ? (size_t)*count * 2 : FIRST_ROOM;
        void *bigger = reallocarray(*array, room, size);

        if (!bigger)
            return NULL;
        *array = bigger;
    }
    at = (char *)*array + (size_t)*count * size;
    memset(at, 0, size);
    (*count)++;
    return at;
}

struct image *image_new(struct err *e)
{
    struct image *img = calloc(1, sizeof(*img));

    if (!img)
        err_set(e, ERR_FAILED, "out of memory");
    return img;
}

static void free_process(struct image_process *p)
{
    free(p->cwd);
    free(p->exe);
    free(p->mm.auxv.data);
    free(p->timers);
    free(p->pending);
    for (uint32_t i = 0; i < p->n_threads; i++) {
        free(p->threads[i].regs.data);
        free(p->threads[i].xstate.data);
        free(p->threads[i].pending);
    }
    free(p->threads);
    for (uint32_t i = 0; i < p->n_vmas; i++) {
        free(p->vmas[i].path);
        free(p->vmas[i].name);
    }
    free(p->vmas);
    free(p->fds);
}

static void free_lists(struct image *img)
{
    for (uint32_t i = 0; i < img->n_files; i++) {
        free(img->files[i].path);
        free(img->files[i].detail.data);
    }
    free(img->files);
    for (uint32_t i = 0; i < img->n_objects; i++)
        free(img->objects[i].path);
    free(img->objects);
    for (uint32_t i = 0; i < img->n_carried; i++) {
        free(img->carried[i].path);
        free(img->carried[i].content.data);
    }
    free(img->carried);
}

void image_free(struct image *img)
{
    if (!img)
        return;
    for (uint32_t i = 0; i < img->n_processes; i++)
        free_process(&img->processes[i]);
    free(img->processes);
    free_lists(img);
    free(img->chunks);
    free(img->runs);
    free(img->tmpdir);
    free(img->job_script);
    free(img->xlayout.data);
    free(img);
}

struct image_process *image_process_find(const struct image *img, int32_t pid)
{
    for (uint32_t i = 0; i < img->n_processes; i++)
        if (img->processes[i].pid == pid)
            return &img->processes[i];
    return NULL;
}
