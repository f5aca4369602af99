/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The vDSO of a process that is being restored (vdso(7)).
 *
 * Its code and the kernel's data pages beside it must stay together and belong to the
 * running kernel, while the job knows the address and the code of the kernel it was
 * saved under. Where both are the same, the pages go to the old place. Else the old
 * image stays as plain memory and each of its functions jumps to the new one.
 */
#ifndef NATIVE_RESTORE_VDSO_H
#define NATIVE_RESTORE_VDSO_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct image;
struct image_process;
struct proc_maps;
struct tracee;

enum { VDSO_PARTS_MAX = 6 };

struct vdso {
    struct vdso_part {
        uint64_t start, size;
    } part[VDSO_PARTS_MAX]; /* by ascending address */
    int n;
    int code; /* which part is the code */
};

/* Finds the parts in a process's mappings. */
int vdso_find(struct vdso *v, const struct proc_maps *maps, struct err *e);

static inline uint64_t vdso_span(const struct vdso *v)
{
    return v->part[v->n - 1].start + v->part[v->n - 1].size - v->part[0].start;
}

/* Moves all parts so that the first begins at `to`, and t->syscall_ip with them. The
 * places must not overlap. */
int vdso_move(struct vdso *v, struct tracee *t, uint64_t to, struct err *e);

/* With the memory of `p` in place, the saved image of the vDSO among it as writable
 * memory: puts the right thing where the job expects it. */
int vdso_settle(struct vdso *v, struct tracee *t, const struct image *img,
                const struct image_process *p, struct err *e);

/* Fills `patches` so that each function of the old image goes to the function of the
 * same name in the new image, which lies at `new_base`. Returns their number, -1 when
 * an image is no vDSO. Both images are input from outside. */
struct vdso_patch {
    uint64_t offset, target;
};
enum { VDSO_PATCHES_MAX = 64 };
int vdso_match(const uint8_t *old_image, size_t old_size, const uint8_t *new_image,
               size_t new_size, uint64_t new_base,
               struct vdso_patch patches[VDSO_PATCHES_MAX]);

#endif
