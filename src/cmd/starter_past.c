/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/starter.h"

#include "base/err.h"
#include "base/scope.h"

#include <jansson.h>
#include <unistd.h>

enum { FAILED_RUNS_MAX = 20 };

static struct store *open_store(const struct ge_job *job, struct err *e)
{
    return store_open_job(job->ckpt_dir, job->user, job->job, job->task, true, e);
}

/* RESTARTED is 0 in the first run, but also after qmod -cj: it is a hint only, used
 * where nothing else can be asked. */
void starter_open_store(struct starter *s)
{
    unsigned left = s->job.restarted ? s->retry_delay_s : 0;
    struct err e = {0};

    s->store = open_store(&s->job, &e);
    for (; !s->store && e.kind != ERR_UNSAFE && left > 0; left--) {
        sleep(1);
        err_clear(&e);
        s->store = open_store(&s->job, &e);
    }
    if (s->store)
        return;
    if (!s->job.restarted)
        starter_run_unsupervised(s, &e);
    if (e.kind == ERR_UNSAFE)
        starter_ask_for_a_person(s, &e);
    starter_queue_again(s, &e);
}

static void note_generations(struct starter *s, const struct store_generation *list,
                             size_t n)
{
    s->has_generation = n > 0;
    while (n-- > 0)
        if (list[n].damage.kind == ERR_NONE && list[n].meta.epoch > s->last_epoch)
            s->last_epoch = list[n].meta.epoch;
}

/* A damaged generation counts: it is for a person to say that it may be given up. */
void starter_look_for_generations(struct starter *s)
{
    auto_free struct store_generation *list = NULL;
    struct err e = {0};
    size_t n;

    if (store_list(s->store, &list, &n, &e) < 0) {
        if (s->job.restarted)
            starter_queue_again_later(s, &e);
        starter_run_unsupervised(s, &e);
    }
    note_generations(s, list, n);
}

/* RESTARTED is 2 when one of our commands has said that there is a checkpoint: then it
 * is elsewhere when no run has ever begun here. */
void starter_look_for_missing_past(struct starter *s)
{
    struct store_epoch run;
    struct err e = {0};

    if (!s->job.migrated || s->has_generation ||
        store_epoch_current(s->store, &run, &e) == 0 || e.kind != ERR_NOTHING)
        return;
    err_set(&e, ERR_NOTHING,
            "it has been saved, but %s is new on this host: ckpt_dir must be the same "
            "directory on all hosts; without the checkpoint it begins from its start",
            store_path(s->store));
    starter_ask_for_a_person(s, &e);
}

/* A job that has ended is not run again, also when the record of its end cannot be read
 * just now. */
void starter_look_for_end(struct starter *s)
{
    struct err e = {0};
    int status;

    if (store_done_read(s->store, &status, NULL, &e) == 0 || e.kind == ERR_NOTHING)
        return;
    if (e.kind == ERR_CORRUPT)
        starter_ask_for_a_person(s, &e);
    starter_queue_again_later(s, &e);
}

void starter_read_wrong_hosts(struct starter *s, struct joblog_wrong_hosts *found)
{
    json_t *events = joblog_read(s->store);

    joblog_wrong_hosts(events, s->last_epoch, found);
    json_decref(events);
}

bool starter_has_failed_often(struct starter *s)
{
    struct joblog_wrong_hosts wrong;
    struct store_epoch run;
    struct err ignored = {0};

    starter_read_wrong_hosts(s, &wrong);
    return store_epoch_current(s->store, &run, &ignored) == 0 &&
           run.epoch > s->last_epoch + FAILED_RUNS_MAX + wrong.runs;
}

bool starter_has_generation_now(struct starter *s)
{
    auto_free struct store_generation *list = NULL;
    struct err ignored = {0};
    size_t n = 0;

    if (store_list(s->store, &list, &n, &ignored) < 0)
        return true;
    note_generations(s, list, n);
    return n > 0;
}

bool starter_has_past(const struct starter *s)
{
    struct err e = {0};
    auto_store struct store *store = store_open_job(s->job.ckpt_dir, s->job.user,
                                                    s->job.job, s->job.task, false, &e);
    auto_free struct store_generation *list = NULL;
    size_t n;
    int status;

    if (!store)
        return s->job.restarted && e.kind != ERR_NOTHING;
    return store_done_read(store, &status, NULL, &e) == 0 ||
           store_list(store, &list, &n, &e) < 0 || n > 0;
}
