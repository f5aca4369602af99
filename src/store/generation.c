/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

int store_numbers(struct store *s, uint64_t **numbers, size_t *n, struct err *e)
{
    auto_names struct store_names names = {0};
    auto_free uint64_t *found = NULL;
    size_t count = 0;

    if (store_gen(s, false, e) < 0) {
        if (e->kind != ERR_NOTHING)
            return -1;
    } else if (store_names_read(s->gen, &names, e) < 0) {
        return err_wrap(e, "%s/gen", s->path);
    }
    found = calloc(names.n + 1, sizeof(*found));
    if (!found)
        return err_sys(e, "%s", s->path);
    for (size_t i = 0; i < names.n; i++)
        if (store_generation_number(names.v[i]) > 0)
            found[count++] = store_generation_number(names.v[i]);
    qsort(found, count, sizeof(*found), compare);
    *numbers = take_ptr(found);
    *n = count;
    return 0;
}

/* Opens the directory and reads the manifest. */
static int open_generation(struct store *s, uint64_t generation,
                           struct store_manifest *m, struct err *e)
{
    auto_fd int fd = -1;
    char name[STORE_NAME_SIZE];

    store_generation_name(generation, name);
    if (store_gen(s, false, e) < 0 && e->kind != ERR_NOTHING)
        return -1;
    if (s->gen >= 0)
        fd = store_open_safe(s->gen, name, name, false, e);
    if (s->gen < 0 || (fd < 0 && e->kind == ERR_NOTHING))
        return err_set(e, ERR_NOTHING, "%s has no generation %ju", s->path,
                       (uintmax_t)generation);
    if (fd < 0 || store_manifest_read(fd, generation, m, e) < 0)
        return err_wrap(e, "generation %ju", (uintmax_t)generation);
    return take_fd(&fd);
}

int store_generation_open(struct store *s, uint64_t generation, struct store_meta *meta,
                          int *dirfd, struct err *e)
{
    auto_manifest struct store_manifest m = {0};
    int fd = open_generation(s, generation, &m, e);

    if (fd < 0)
        return -1;
    if (meta)
        *meta = m.meta;
    *dirfd = fd;
    return 0;
}

static void describe(struct store *s, uint64_t number, struct store_generation *g)
{
    auto_manifest struct store_manifest m = {0};
    auto_fd int fd = open_generation(s, number, &m, &g->damage);

    g->generation = number;
    if (fd < 0)
        return;
    err_clear(&g->damage);
    g->meta = m.meta;
}

int store_list(struct store *s, struct store_generation **list, size_t *n,
               struct err *e)
{
    auto_free uint64_t *numbers = NULL;
    struct store_generation *found;
    size_t count;

    if (store_numbers(s, &numbers, &count, e) < 0)
        return -1;
    found = calloc(count + 1, sizeof(*found));
    if (!found)
        return err_sys(e, "%s", s->path);
    for (size_t i = 0; i < count; i++)
        describe(s, numbers[i], &found[i]);
    *list = found;
    *n = count;
    return 0;
}

static int check_file(int dirfd, const struct store_file *f, struct err *e)
{
    struct sum_info info;

    if (sum_inspect(dirfd, f->name, &info, e) < 0)
        return -1;
    if (strcmp(info.digest, f->info.digest) != 0)
        return err_set(e, ERR_CORRUPT, "%s.sum does not match the manifest", f->name);
    if (info.size_bytes != f->info.size_bytes || info.chunks != f->info.chunks)
        return err_set(e, ERR_CORRUPT,
                       "%s has %ju bytes in %ju chunks, the manifest says %ju in %ju",
                       f->name, (uintmax_t)info.size_bytes, (uintmax_t)info.chunks,
                       (uintmax_t)f->info.size_bytes, (uintmax_t)f->info.chunks);
    return 0;
}

static bool is_listed(const struct store_manifest *m, const char *name)
{
    size_t length = strlen(name);

    if (strcmp(name, "manifest.json") == 0 || strcmp(name, "manifest.json.sum") == 0)
        return true;
    if (length > 4 && strcmp(name + length - 4, ".sum") == 0)
        length -= 4;
    for (size_t i = 0; i < m->n; i++)
        if (strlen(m->files[i].name) == length &&
            memcmp(m->files[i].name, name, length) == 0)
            return true;
    return false;
}

static int check_quick(int dirfd, const struct store_manifest *m, struct err *e)
{
    auto_names struct store_names names = {0};

    for (size_t i = 0; i < m->n; i++)
        if (check_file(dirfd, &m->files[i], e) < 0)
            return -1;
    if (store_names_read(dirfd, &names, e) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (!is_listed(m, names.v[i]))
            return err_set(e, ERR_CORRUPT, "'%s' is not in the manifest", names.v[i]);
    return 0;
}

struct full {
    store_progress *progress;
    void *arg;
    uint64_t done_bytes, total_bytes;
};

static void count_chunk(void *arg, uint64_t bytes)
{
    struct full *full = arg;

    full->done_bytes += bytes;
    if (full->progress)
        full->progress(full->arg, full->done_bytes, full->total_bytes);
}

static int check_full(int dirfd, const struct store_manifest *m, struct full *full,
                      struct err *e)
{
    for (size_t i = 0; i < m->n; i++)
        full->total_bytes += m->files[i].info.size_bytes;
    for (size_t i = 0; i < m->n; i++)
        if (sum_check(dirfd, m->files[i].name, NULL, count_chunk, full, e) < 0)
            return -1;
    return 0;
}

int store_verify(struct store *s, uint64_t generation, enum store_depth depth,
                 struct store_meta *meta, store_progress *progress, void *arg,
                 struct err *e)
{
    auto_manifest struct store_manifest m = {0};
    struct full full = {.progress = progress, .arg = arg};
    auto_fd int fd = open_generation(s, generation, &m, e);

    if (fd < 0)
        return -1;
    if (check_quick(fd, &m, e) < 0 ||
        (depth == STORE_FULL && check_full(fd, &m, &full, e) < 0))
        return err_wrap(e, "generation %ju", (uintmax_t)generation);
    if (meta)
        *meta = m.meta;
    return 0;
}
