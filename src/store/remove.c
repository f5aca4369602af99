/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Oldest first: while one is left it is the newest. */
static int remove_generations(struct store *s, uint64_t epoch, struct err *e)
{
    auto_free uint64_t *numbers = NULL;
    size_t n;

    if (store_numbers(s, &numbers, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char name[STORE_NAME_SIZE];

        store_generation_name(numbers[i], name);
        if (store_epoch_check(s, epoch, e) < 0 ||
            store_discard(s->gen, name, epoch, e) < 0)
            return -1;
    }
    return store_sweep(s, epoch, epoch + 1, e);
}

/* epoch.N and spare.N */
static bool is_claim(const char *name)
{
    return (strncmp(name, "epoch.", 6) == 0 || strncmp(name, "spare.", 6) == 0) &&
           name[6] && strspn(name + 6, "0123456789") == strlen(name + 6);
}

static int unlink_file(struct store *s, const char *name, struct err *e)
{
    if (unlinkat(s->dir, name, 0) < 0 && errno != ENOENT)
        return err_sys(e, "remove %s/%s", s->path, name);
    return 0;
}

/* From here on no run of the job is current: nobody can publish any more. */
static int remove_epoch(struct store *s, struct err *e)
{
    auto_names struct store_names names = {0};

    if (store_names_read(s->dir, &names, e) < 0)
        return err_wrap(e, "%s", s->path);
    for (size_t i = 0; i < names.n; i++)
        if (is_claim(names.v[i]) && unlink_file(s, names.v[i], e) < 0)
            return -1;
    return unlink_file(s, "epoch", e);
}

/* Without any epoch an earlier removal was cut short after the generations were gone:
 * this one goes on. */
static int check(struct store *s, uint64_t epoch, struct err *e)
{
    if (store_epoch_check(s, epoch, e) == 0 || e->kind == ERR_GONE)
        return 0;
    return -1;
}

static int remove_records(struct store *s, uint64_t epoch, struct err *e)
{
    if (check(s, epoch, e) < 0 || unlink_file(s, "job.json", e) < 0 ||
        unlink_file(s, "failed.json", e) < 0 || unlink_file(s, "log.jsonl", e) < 0 ||
        remove_epoch(s, e) < 0 || unlink_file(s, "done.json", e) < 0)
        return -1;
    if (unlinkat(s->dir, "gen", AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_sys(e, "remove %s/gen", s->path);
    return 0;
}

/* The directory itself; what does not belong to the store keeps it, and is named. */
static int remove_dir(struct store *s, struct err *e)
{
    auto_names struct store_names left = {0};
    struct err ignored;

    if (s->parent < 0 || unlinkat(s->parent, s->name, AT_REMOVEDIR) == 0 ||
        errno == ENOENT)
        return 0;
    err_sys(e, "remove %s", s->path);
    if (store_names_read(s->dir, &left, &ignored) == 0 && left.n > 0)
        return err_set(e, ERR_FAILED, "%s holds '%s', which is not the store's: kept",
                       s->path, left.v[0]);
    return -1;
}

int store_remove(struct store *s, uint64_t epoch, struct err *e)
{
    if (check(s, epoch, e) < 0 || remove_generations(s, epoch, e) < 0 ||
        remove_records(s, epoch, e) < 0 || remove_dir(s, e) < 0)
        return -1;
    /* Only when this was the user's last job. */
    if (s->top >= 0)
        unlinkat(s->top, s->user, AT_REMOVEDIR);
    return 0;
}
