/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resources that end with their scope: `auto_fd int fd = open(...)`.
 *
 * The scope's close is for the failure path: it ignores errors. After a write, call
 * io_close, whose result counts. `take_fd` and `take_ptr` give a resource away.
 */
#ifndef BASE_SCOPE_H
#define BASE_SCOPE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void scope_free(void *p)
{
    free(*(void **)p);
}

static inline void scope_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void scope_fclose(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void scope_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define auto_free __attribute__((cleanup(scope_free)))
#define auto_fd __attribute__((cleanup(scope_close)))
#define auto_file __attribute__((cleanup(scope_fclose)))
#define auto_dir __attribute__((cleanup(scope_closedir)))

/* Defines the cleanup function for `auto_NAME`: SCOPE_DEFINE(store, struct store *,
 * store_close) lets a header say `#define auto_store SCOPE_USE(store)`. */
#define SCOPE_DEFINE(name, type, release)                            \
    __attribute__((unused)) static inline void scope_##name(type *p) \
    {                                                                \
        if (*p)                                                      \
            release(*p);                                             \
    }                                                                \
    struct scope_##name##_needs_semicolon
#define SCOPE_USE(name) __attribute__((cleanup(scope_##name)))

static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static inline void *scope_take(void *p)
{
    void *taken = *(void **)p;

    *(void **)p = NULL;
    return taken;
}

#define take_ptr(p) ((__typeof__(p))scope_take(&(p)))

#endif
