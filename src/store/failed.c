/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <stdlib.h>

static const char file[] = "failed.json";

enum { RUNS_MAX = 1 << 20 };

/* The list, empty when there is no file. What cannot be understood is forgotten: a
 * count too low only puts off that an older generation is taken. */
static int read_list(struct store *s, json_t **list, struct err *e)
{
    auto_json json_t *root = NULL;
    json_t *found;

    if (store_json_read(s->dir, file, &root, e) < 0) {
        if (e->kind != ERR_NOTHING && e->kind != ERR_CORRUPT)
            return -1;
        err_clear(e);
    }
    found = json_object_get(root, "failed");
    *list = json_is_array(found) ? json_incref(found) : json_array();
    return *list ? 0 : err_set(e, ERR_FAILED, "%s: out of memory", file);
}

/* 0: not an entry, or none of this generation. */
static unsigned runs_in(const json_t *entry, uint64_t generation)
{
    struct err ignored;
    uint64_t number, runs;

    if (store_json_u64(entry, "generation", 1, INT64_MAX, &number, &ignored) < 0 ||
        store_json_u64(entry, "runs", 1, RUNS_MAX, &runs, &ignored) < 0 ||
        number != generation)
        return 0;
    return (unsigned)runs;
}

static unsigned runs_of(const json_t *list, uint64_t generation)
{
    unsigned runs = 0;
    size_t i;
    json_t *entry;

    json_array_foreach((json_t *)list, i, entry)
    {
        unsigned found = runs_in(entry, generation);

        if (found > runs)
            runs = found;
    }
    return runs;
}

static int append(json_t *to, uint64_t generation, unsigned runs)
{
    return json_array_append_new(to,
                                 json_pack("{s:I, s:i}", "generation",
                                           (json_int_t)generation, "runs", (int)runs));
}

/* What the file is to say: `runs` for this generation (0: nothing), and what it said of
 * the others that are still there. */
static int make_list(struct store *s, const json_t *old, uint64_t generation,
                     unsigned runs, json_t *new, struct err *e)
{
    auto_free uint64_t *numbers = NULL;
    size_t n;
    int failed = 0;

    if (store_numbers(s, &numbers, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        unsigned count = numbers[i] == generation ? runs : runs_of(old, numbers[i]);

        failed = failed || (count > 0 && append(new, numbers[i], count) < 0);
    }
    return failed ? err_set(e, ERR_FAILED, "%s: out of memory", file) : 0;
}

static int write_list(struct store *s, uint64_t epoch, const json_t *old,
                      uint64_t generation, unsigned runs, struct err *e)
{
    auto_json json_t *new = json_array();
    auto_json json_t *root = NULL;

    if (!new || make_list(s, old, generation, runs, new, e) < 0)
        return new ? -1 : err_set(e, ERR_FAILED, "%s: out of memory", file);
    root = json_pack("{s:i, s:O}", "format", STORE_FORMAT, "failed", new);
    return store_json_write(s, epoch, file, root, 0, e);
}

int store_failed_note(struct store *s, uint64_t epoch, uint64_t generation,
                      unsigned *runs, struct err *e)
{
    auto_json json_t *list = NULL;
    unsigned now;

    if (read_list(s, &list, e) < 0)
        return err_wrap(e, "%s", s->path);
    now = runs_of(list, generation);
    if (now < RUNS_MAX)
        now++;
    if (write_list(s, epoch, list, generation, now, e) < 0)
        return err_wrap(e, "%s", s->path);
    *runs = now;
    return 0;
}

int store_failed_forget(struct store *s, uint64_t epoch, uint64_t generation,
                        struct err *e)
{
    auto_json json_t *list = NULL;

    if (read_list(s, &list, e) < 0)
        return err_wrap(e, "%s", s->path);
    if (runs_of(list, generation) == 0)
        return 0;
    return write_list(s, epoch, list, generation, 0, e) < 0 ? err_wrap(e, "%s", s->path)
                                                            : 0;
}

unsigned store_failed_runs(struct store *s, uint64_t generation)
{
    auto_json json_t *list = NULL;
    struct err ignored = {0};

    return read_list(s, &list, &ignored) < 0 ? 0 : runs_of(list, generation);
}
