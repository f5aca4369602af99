/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/fault.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_stage {
    struct store *store;
    uint64_t epoch, generation;
    int fd;
    char name[STORE_NAME_SIZE]; /* in gen/; empty: nothing to remove */
};

static void free_stage(struct store_stage *stage)
{
    if (stage->fd >= 0)
        close(stage->fd);
    free(stage);
}

void store_stage_abandon(struct store_stage *stage)
{
    struct err left;

    if (!stage)
        return;
    if (stage->name[0] && io_remove_tree(stage->store->gen, stage->name, &left) < 0)
        log_warning("%s is left behind: %s", stage->name, left.text);
    free_stage(stage);
}

int store_stage_dirfd(const struct store_stage *stage)
{
    return stage->fd;
}

/* Fails as a full file system would when a test asks for it; dies when it asks that. */
static int fault(const char *point, struct err *e)
{
    fault_point(point);
    return fault_fails(point) ? err_code(e, ENOSPC, "%s", point) : 0;
}

static int next_number(struct store *s, uint64_t *next, struct err *e)
{
    auto_free uint64_t *numbers = NULL;
    size_t n;

    if (store_numbers(s, &numbers, &n, e) < 0)
        return -1;
    *next = n > 0 ? numbers[n - 1] + 1 : 1;
    return 0;
}

/* A person may have removed generations, with which numbers come again: what is said of
 * the one that had this number must not be said of the new one. */
static void forget_namesake(struct store *s, uint64_t epoch, uint64_t generation)
{
    struct err e = {0};

    if (store_failed_forget(s, epoch, generation, &e) < 0)
        log_warning("%s", e.text);
}

struct store_stage *store_stage_begin(struct store *s, uint64_t epoch, struct err *e)
{
    auto_stage struct store_stage *stage = calloc(1, sizeof(*stage));
    char number[STORE_NAME_SIZE], name[STORE_NAME_SIZE];

    if (!stage) {
        err_sys(e, "begin a generation");
        return NULL;
    }
    *stage = (struct store_stage){.store = s, .epoch = epoch, .fd = -1};
    if (store_epoch_check(s, epoch, e) < 0 || store_gen(s, true, e) < 0 ||
        store_sweep(s, epoch, epoch + 1, e) < 0 ||
        next_number(s, &stage->generation, e) < 0)
        return NULL;
    forget_namesake(s, epoch, stage->generation);
    store_generation_name(stage->generation, number);
    if (store_temp_name(number, epoch, name, e) < 0)
        return NULL;
    if (mkdirat(s->gen, name, 0700) < 0) {
        err_sys(e, "create %s/gen/%s", s->path, name);
        return NULL;
    }
    memcpy(stage->name, name, sizeof(name));
    stage->fd = store_open_safe(s->gen, name, name, false, e);
    if (stage->fd < 0 || fault("store.stage", e) < 0)
        return NULL;
    return take_ptr(stage);
}

static bool is_sum(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".sum") == 0;
}

/* An engine syncs what it writes; asking once more costs nothing and trusts nobody. */
static int sync_file(int dirfd, const char *name, struct err *e)
{
    auto_fd int fd =
        openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_sys(e, "sync %s", name);
    return 0;
}

static int add_file(int dirfd, const char *name, struct store_manifest *m,
                    struct err *e)
{
    char sum_name[STORE_NAME_SIZE];
    struct store_file *f = &m->files[m->n];

    if (!store_file_name_ok(name))
        return err_set(e, ERR_FAILED, "'%s' is not a name for an engine's file", name);
    if (str_format(f->name, sizeof(f->name), e, "%s", name) < 0 ||
        str_format(sum_name, sizeof(sum_name), e, "%s.sum", name) < 0 ||
        sum_inspect(dirfd, name, &f->info, e) < 0 || sync_file(dirfd, name, e) < 0 ||
        sync_file(dirfd, sum_name, e) < 0)
        return -1;
    m->n++;
    return 0;
}

/* Every X with its X.sum; a list without a file is something we do not know. */
static int collect(int dirfd, struct store_manifest *m, struct err *e)
{
    auto_names struct store_names names = {0};

    if (store_names_read(dirfd, &names, e) < 0)
        return -1;
    m->files = calloc(names.n + 1, sizeof(*m->files));
    if (!m->files)
        return err_sys(e, "list files");
    for (size_t i = 0; i < names.n; i++) {
        char base[STORE_NAME_SIZE];

        if (!is_sum(names.v[i])) {
            if (add_file(dirfd, names.v[i], m, e) < 0)
                return -1;
            continue;
        }
        snprintf(base, sizeof(base), "%.*s", (int)strlen(names.v[i]) - 4, names.v[i]);
        if (is_sum(base) || !store_names_have(&names, base))
            return err_set(e, ERR_FAILED, "%s has no file", names.v[i]);
    }
    if (m->n == 0)
        return err_set(e, ERR_FAILED, "the engine wrote no file");
    return 0;
}

/* Completes the staging directory; everything in it is durable afterwards. */
static int complete(struct store_stage *stage, const struct store_meta *meta,
                    struct err *e)
{
    auto_manifest struct store_manifest m = {.meta = *meta};
    auto_manifest struct store_manifest again = {0};

    m.meta.generation = stage->generation;
    m.meta.epoch = stage->epoch;
    str_time_now(m.meta.time);
    if (collect(stage->fd, &m, e) < 0 || fault("store.manifest", e) < 0 ||
        store_manifest_write(stage->fd, &m, e) < 0)
        return -1;
    /* What a reader would refuse must not be published. */
    if (store_manifest_read(stage->fd, stage->generation, &again, e) < 0)
        return -1;
    return io_sync_dir(stage->fd, e);
}

/* Whether gen/NAME is the directory that was staged: a rename whose answer was lost on
 * the way from an NFS server is repeated, and fails with ENOENT although it was done.
 */
static bool is_published(const struct store_stage *stage, const char *name)
{
    struct stat ours, there;

    return fstat(stage->fd, &ours) == 0 &&
           fstatat(stage->store->gen, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static int rename_new(int dirfd, const char *from, const char *to)
{
    int rc = renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE);

    /* Not offered by NFS; a plain rename does not replace a directory with files in it
     * either (rename(2): ENOTEMPTY). */
    if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
        rc = renameat(dirfd, from, dirfd, to);
    return rc;
}

static int rename_stage(struct store_stage *stage, const char *name, struct err *e)
{
    struct store *s = stage->store;
    struct err fenced;

    if (store_epoch_check(s, stage->epoch, e) < 0)
        return -1;
    if (rename_new(s->gen, stage->name, name) == 0)
        return 0;
    err_sys(e, "rename %s", stage->name);
    if (e->sys != ENOENT)
        return -1;
    if (is_published(stage, name))
        return 0;
    /* A later run sweeps away what this one had under construction. */
    if (store_epoch_check(s, stage->epoch, &fenced) < 0)
        *e = fenced;
    return -1;
}

/* The rename, durable. When that cannot be promised the generation is taken back. */
static int publish(struct store_stage *stage, struct err *e)
{
    struct store *s = stage->store;
    char name[STORE_NAME_SIZE];
    struct err ignored;

    store_generation_name(stage->generation, name);
    if (fault("store.before-rename", e) < 0 || rename_stage(stage, name, e) < 0)
        return -1;
    stage->name[0] = '\0';
    if (fault("store.after-rename", e) == 0 && io_sync_dir(s->gen, e) == 0 &&
        io_sync_dir(s->dir, e) == 0)
        return 0;
    store_discard(s->gen, name, stage->epoch, &ignored);
    return -1;
}

/* Publishes as the header says; the stage stays the caller's. */
static int publish_stage(struct store_stage *stage, const struct store_meta *meta,
                         struct err *e)
{
    if (store_epoch_check(stage->store, stage->epoch, e) < 0)
        return -1;
    if (complete(stage, meta, e) < 0 || publish(stage, e) < 0)
        return err_wrap(e, "%s: generation %ju", stage->store->path,
                        (uintmax_t)stage->generation);
    return 0;
}

int store_publish(struct store_stage *stage, const struct store_meta *meta,
                  uint64_t *generation, struct err *e)
{
    int rc = publish_stage(stage, meta, e);

    if (rc == 0 && generation)
        *generation = stage->generation;
    store_stage_abandon(stage);
    return rc;
}
