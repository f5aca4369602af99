/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <errno.h>

int store_done_write(struct store *s, uint64_t epoch, int status, struct err *e)
{
    auto_json json_t *root = NULL;
    char now[STR_TIME_SIZE];
    uint64_t old_epoch;
    int old_status;

    if (status < 0 || status > 255)
        return err_set(e, ERR_FAILED, "%d is not an exit status", status);
    str_time_now(now);
    root = json_pack("{s:i, s:I, s:i, s:s}", "format", STORE_FORMAT, "epoch",
                     (json_int_t)epoch, "status", status, "time", now);
    if (store_json_write(s, epoch, "done.json", root, STORE_ONCE, e) == 0)
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
