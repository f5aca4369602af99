/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all processes of a restart in the making share: the program that restores fills
 * it before it makes init, and every later process has its copy by fork. Only `shared`
 * is common memory.
 */
#ifndef NATIVE_RESTORE_SETUP_H
#define NATIVE_RESTORE_SETUP_H

#include "native/files/files.h"
#include "native/restore/backing.h"
#include "native/restore/births.h"
#include "native/restore/namespaces.h"

#include <stdint.h>

struct image;
struct native_restart;

struct setup_shared {
    /* Each step is over when all that take part have counted themselves (futex). */
    _Atomic uint32_t born, led, grouped, settled;
    _Atomic uint32_t spawn_lock;
    int fds[]; /* of the objects, then of the backing files, in init and below */
};

struct setup {
    const struct image *img;
    const struct native_restart *how;
    struct births births;
    struct backing backing;
    struct files_restore files;
    struct namespaces ns;
    struct setup_shared *shared;
    int *object_fd; /* in `shared`: descriptors of the objects */
    size_t shared_size;
    int dirfd, memory_fd;
    int report_fd; /* to the program that restores */
    int status_fd; /* the root's wait status goes there */
};

#endif
