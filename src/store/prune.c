/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/fault.h"
#include "base/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int store_discard(int dirfd, const char *name, uint64_t epoch, struct err *e)
{
    const char *what = name[0] == '.' ? "swept" : name;
    char away[STORE_NAME_SIZE];
    struct err left;

    if (store_temp_name(what, epoch, away, e) < 0)
        return -1;
    if (renameat(dirfd, name, dirfd, away) < 0)
        return errno == ENOENT ? 0 : err_sys(e, "remove %s", name);
    fault_point("store.prune");
    if (fault_fails("store.prune"))
        err_code(&left, EIO, "remove %s", name);
    else if (io_remove_tree(dirfd, away, &left) == 0)
        return 0;
    /* Not in anybody's way: the next sweep tries again. */
    log_warning("%s is left behind: %s", away, left.text);
    return 0;
}

static int sweep_dir(int dirfd, const char *work, uint64_t epoch, uint64_t before,
                     struct err *e)
{
    auto_names struct store_names names = {0};

    if (store_names_read(dirfd, &names, e) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        uint64_t owner = store_temp_epoch(names.v[i]);

        if (owner > 0 && owner < before && strcmp(names.v[i], work) != 0 &&
            store_discard(dirfd, names.v[i], epoch, e) < 0)
            return -1;
    }
    return 0;
}

int store_sweep(struct store *s, uint64_t epoch, uint64_t before, struct err *e)
{
    int gen = store_gen(s, false, e);

    if (gen < 0 && e->kind != ERR_NOTHING)
        return -1;
    if (sweep_dir(s->dir, s->work, epoch, before, e) < 0 ||
        (gen >= 0 && sweep_dir(gen, "", epoch, before, e) < 0))
        return err_wrap(e, "%s", s->path);
    return 0;
}

/* The lowest number to keep: that of the keep-th generation that can be restarted as
 * far as is known, counted from the newest. 0 when there are fewer. */
static uint64_t lowest_to_keep(struct store *s, const uint64_t *numbers, size_t n)
{
    struct err ignored;
    unsigned good = 0;

    while (n-- > 0) {
        if (store_verify(s, numbers[n], STORE_QUICK, NULL, NULL, NULL, &ignored) == 0 &&
            store_failed_runs(s, numbers[n]) == 0)
            good++;
        if (good == s->keep)
            return numbers[n];
    }
    return 0;
}

int store_prune(struct store *s, uint64_t epoch, struct err *e)
{
    auto_free uint64_t *numbers = NULL;
    uint64_t lowest;
    size_t n;

    if (store_numbers(s, &numbers, &n, e) < 0)
        return -1;
    lowest = n > s->keep ? lowest_to_keep(s, numbers, n) : 0;
    for (size_t i = 0; i < n && numbers[i] < lowest; i++) {
        char name[STORE_NAME_SIZE];

        store_generation_name(numbers[i], name);
        if (store_epoch_check(s, epoch, e) < 0 ||
            store_discard(s->gen, name, epoch, e) < 0)
            return -1;
    }
    return 0;
}
