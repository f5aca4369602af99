/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One process while it is being restored from outside: a traced stub that becomes the
 * process of the image step by step.
 */
#ifndef NATIVE_RESTORE_RESTORED_H
#define NATIVE_RESTORE_RESTORED_H

#include "native/inject.h"
#include "native/restore/vdso.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct image;
struct image_process;

struct restored {
    const struct image_process *p;
    uint32_t index;         /* into image.processes */
    bool *filled;           /* owned; [p->n_vmas]: has contents in `memory` */
    struct tracee *threads; /* owned; [p->n_threads], [0] is the leader */
    uint32_t n_threads;     /* of them made so far; 0: not attached */
    uint64_t hole;          /* where nothing of the old and new memory lies */
    uint64_t scratch;       /* SCRATCH_SIZE bytes in the hole for arguments */
    struct vdso vdso;       /* of the running kernel */
    int mem_fd;             /* /proc/PID/mem; -1 */
};

enum { SCRATCH_SIZE = 1 << 16 };

static inline struct tracee *restored_leader(struct restored *r)
{
    return &r->threads[0];
}

#endif
