/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's directory in a scratch directory, and generations made the way an engine
 * makes them.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "base/scope.h"
#include "base/sum.h"
#include "scratch.h"
#include "store/store.h"
#include "tap.h"

/* <scratch>/ckpt, 1777, with job 4711.1 of user ann. */
struct fixture {
    struct scratch dir;
    char ckpt[80], job[128];
    struct store *s;
    uint64_t epoch;
};

static inline struct store *fixture_open(const struct fixture *f, bool create,
                                         struct err *e)
{
    return store_open_job(f->ckpt, "ann", "4711", "1", create, e);
}

static inline uint64_t fixture_take(struct store *s)
{
    struct err e = {0};
    uint64_t epoch = 0;

    if (store_epoch_take(s, "alpha", 77, "qckpt-socket", &epoch, &e) < 0)
        printf("# %s\n", e.text);
    CHECK(epoch > 0);
    return epoch;
}

static inline struct fixture fixture_make(void)
{
    struct fixture f = {.dir = scratch_make()};
    struct err e = {0};

    snprintf(f.ckpt, sizeof(f.ckpt), "%s/ckpt", f.dir.path);
    snprintf(f.job, sizeof(f.job), "%s/ann/4711.1", f.ckpt);
    if (mkdir(f.ckpt, 0700) < 0 || chmod(f.ckpt, 01777) < 0 ||
        !(f.s = fixture_open(&f, true, &e))) {
        printf("Bail out! %s\n", e.text);
        exit(1);
    }
    f.epoch = fixture_take(f.s);
    return f;
}

static inline void fixture_drop(struct fixture *f)
{
    store_close(f->s);
    scratch_drop(&f->dir);
}

static inline struct store_meta fixture_meta(void)
{
    return (struct store_meta){
        .host = "alpha",
        .engine = "native",
        .label = "blast \xc3\xbc",
        .cpu = "x86_64\n\tavx2",
        .processes = 3,
        .threads = 9,
        .bytes = 1000,
        .stored_bytes = 900,
        .pause_us = 5,
        .time_us = 50,
    };
}

/* What an engine would write: file NAME of `size` bytes in chunks of 1000. */
static inline int fixture_write(int dirfd, const char *name, size_t size, char fill,
                                struct err *e)
{
    struct sum_file *out = sum_create(dirfd, name, e);
    char chunk[1000];

    if (!out)
        return -1;
    memset(chunk, fill, sizeof(chunk));
    for (size_t at = 0; at < size; at += sizeof(chunk)) {
        size_t n = size - at < sizeof(chunk) ? size - at : sizeof(chunk);

        if (sum_append(out, chunk, n, NULL, e) < 0) {
            sum_abandon(out);
            return -1;
        }
    }
    return sum_finish(out, e);
}

/* Stages, publishes and prunes: a generation with `pages` (2500 bytes) and `tree` (10
 * bytes). */
static inline int fixture_publish(struct store *s, uint64_t epoch, uint64_t *generation,
                                  struct err *e)
{
    auto_stage struct store_stage *stage = store_stage_begin(s, epoch, e);
    struct store_meta meta = fixture_meta();

    if (!stage || fixture_write(store_stage_dirfd(stage), "pages", 2500, 'p', e) < 0 ||
        fixture_write(store_stage_dirfd(stage), "tree", 10, 't', e) < 0)
        return -1;
    if (store_publish(take_ptr(stage), &meta, generation, e) < 0)
        return -1;
    return store_prune(s, epoch, e);
}

/* "1 2 3": what is published, a damaged one with '!'. */
static inline const char *fixture_list(struct store *s)
{
    static char text[256];
    struct store_generation *list = NULL;
    struct err e = {0};
    size_t n = 0, used = 0;

    text[0] = '\0';
    if (store_list(s, &list, &n, &e) < 0)
        return "failed";
    for (size_t i = 0; i < n; i++)
        used += snprintf(text + used, sizeof(text) - used, "%s%d%s", i ? " " : "",
                         (int)list[i].generation, list[i].damage.kind ? "!" : "");
    free(list);
    return text;
}

/* How many entries a directory has; -1 when it does not exist. */
static inline int fixture_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = -2;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

#endif
