/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/io.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* store.path may be relative, and is for people. */
static int absolute_path(const struct store *s, char *path, size_t size, struct err *e)
{
    char link[64], dir[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", s->dir);
    n = readlink(link, dir, sizeof(dir));
    if (n < 0 || (size_t)n >= sizeof(dir))
        return err_sys(e, "find the path of %s", s->path);
    dir[n] = '\0';
    return str_format(path, size, e, "%s/%s", dir, s->work);
}

int store_workdir_make(struct store *s, uint64_t epoch, char *path, size_t size,
                       struct err *e)
{
    char name[STORE_NAME_SIZE];

    store_workdir_remove(s);
    if (store_epoch_check(s, epoch, e) < 0 ||
        store_temp_name("work", epoch, name, e) < 0)
        return -1;
    if (mkdirat(s->dir, name, 0700) < 0)
        return err_sys(e, "create %s/%s", s->path, name);
    if (str_format(s->work, sizeof(s->work), e, "%s", name) == 0 &&
        absolute_path(s, path, size, e) == 0)
        return 0;
    store_workdir_remove(s);
    return -1;
}

void store_workdir_remove(struct store *s)
{
    struct err left;

    if (s->work[0] && io_remove_tree(s->dir, s->work, &left) < 0)
        log_warning("%s is left behind: %s", s->work, left.text);
    s->work[0] = '\0';
}
