/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/fault.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* More than a completion record takes. */
enum { SPARE_SIZE = 512 };

/* The room that a run has set aside. */
static void spare_name(uint64_t epoch, char out[STORE_NAME_SIZE])
{
    snprintf(out, STORE_NAME_SIZE, "spare.%" PRIu64, epoch);
}

int store_done_reserve(struct store *s, uint64_t epoch, struct err *e)
{
    char name[STORE_NAME_SIZE], blank[SPARE_SIZE];

    memset(blank, ' ', sizeof(blank));
    spare_name(epoch, name);
    if (store_epoch_check(s, epoch, e) < 0 ||
        io_create_file(s->dir, name, blank, sizeof(blank), e) < 0 ||
        io_sync_dir(s->dir, e) < 0)
        return err_wrap(e, "%s", s->path);
    return 0;
}

/* In place, so that no block is asked for. */
static int fill_spare(struct store *s, const char *name, const char *text, size_t size,
                      struct err *e)
{
    auto_fd int fd = openat(s->dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    char record[SPARE_SIZE];

    if (fd < 0)
        return err_sys(e, "open %s", name);
    if (size > sizeof(record))
        return err_set(e, ERR_FAILED, "the record does not fit into %s", name);
    memset(record, ' ', sizeof(record));
    memcpy(record, text, size);
    if (io_pwrite_all(fd, record, sizeof(record), 0, e) < 0)
        return err_wrap(e, "%s", name);
    if (fsync(fd) < 0)
        return err_sys(e, "sync %s", name);
    return io_close(&fd, e);
}

/* The disk is full: the room set aside becomes the record. */
static int use_spare(struct store *s, uint64_t epoch, const json_t *root, struct err *e)
{
    auto_free char *text = NULL;
    char name[STORE_NAME_SIZE];
    size_t size;

    spare_name(epoch, name);
    text = store_json_text(root, &size, e);
    if (!text || fill_spare(s, name, text, size, e) < 0 ||
        store_epoch_check(s, epoch, e) < 0)
        return -1;
    if (renameat2(s->dir, name, s->dir, "done.json", RENAME_NOREPLACE) < 0 &&
        linkat(s->dir, name, s->dir, "done.json", 0) < 0)
        return err_sys(e, "create done.json");
    unlinkat(s->dir, name, 0);
    return io_sync_dir(s->dir, e);
}

static void drop_spare(struct store *s, uint64_t epoch)
{
    char name[STORE_NAME_SIZE];

    spare_name(epoch, name);
    unlinkat(s->dir, name, 0);
}

static bool is_full(const struct err *e)
{
    return e->kind == ERR_SYS && (e->sys == ENOSPC || e->sys == EDQUOT);
}

int store_done_write(struct store *s, uint64_t epoch, int status, struct err *e)
{
    auto_json json_t *root = NULL;
    char now[STR_TIME_SIZE];
    struct err why = {0};
    uint64_t old_epoch;
    int old_status;

    if (status < 0 || status > 255)
        return err_set(e, ERR_FAILED, "%d is not an exit status", status);
    str_time_now(now);
    root = json_pack("{s:i, s:I, s:i, s:s}", "format", STORE_FORMAT, "epoch",
                     (json_int_t)epoch, "status", status, "time", now);
    if (fault_fails("store.done"))
        err_code(e, ENOSPC, "store.done");
    else if (store_json_write(s, epoch, "done.json", root, STORE_ONCE, e) == 0) {
        drop_spare(s, epoch);
        return 0;
    }
    if (is_full(e) && use_spare(s, epoch, root, &why) == 0)
        return 0;
    if (e->kind != ERR_SYS || e->sys != EEXIST)
        return err_wrap(e, "%s", s->path);
    if (store_done_read(s, &old_status, &old_epoch, e) < 0)
        return -1;
    if (old_epoch == epoch && old_status == status)
        return 0;
    return err_set(e, ERR_FAILED,
                   "%s: the job ended before, with status %d in run %ju: done.json is "
                   "not overwritten",
                   s->path, old_status, (uintmax_t)old_epoch);
}

int store_done_read(struct store *s, int *status, uint64_t *epoch, struct err *e)
{
    auto_json json_t *root = NULL;
    uint64_t found_status, found_epoch;

    if (store_json_read(s->dir, "done.json", &root, e) < 0)
        return err_wrap(e, "%s", s->path);
    if (store_json_u64(root, "status", 0, 255, &found_status, e) < 0 ||
        store_json_u64(root, "epoch", 1, INT64_MAX, &found_epoch, e) < 0)
        return err_wrap(e, "%s: done.json", s->path);
    *status = found_status;
    if (epoch)
        *epoch = found_epoch;
    return 0;
}

int store_job_write(struct store *s, uint64_t epoch, const struct json_t *record,
                    struct err *e)
{
    auto_json json_t *root = json_pack("{s:i}", "format", STORE_FORMAT);

    /* Our format goes first, and stays when the record brings one. */
    if (!json_is_object(record) || !root ||
        json_object_update_missing(root, (json_t *)record) < 0)
        return err_set(e, ERR_FAILED, "%s: the job's record is not an object", s->path);
    if (store_json_write(s, epoch, "job.json", root, 0, e) < 0)
        return err_wrap(e, "%s", s->path);
    return 0;
}

int store_job_read(struct store *s, struct json_t **record, struct err *e)
{
    if (store_json_read(s->dir, "job.json", record, e) < 0)
        return err_wrap(e, "%s", s->path);
    return 0;
}
