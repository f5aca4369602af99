/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/saving.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/str.h"
#include "job/clock.h"
#include "store/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PROGRESS_US = 200000, FREEZE_TIMEOUT_S = 30 };

static void end(struct saving *s)
{
    s->is_active = false;
    s->stage = NULL;
}

/* A job that cannot be saved cannot be saved at the next interval either: its log shall
 * not grow by that. */
static bool is_known(struct saving *s, const struct err *why)
{
    char text[sizeof(s->last_failure)];
    bool known;

    snprintf(text, sizeof(text), "%.255s", why->text);
    known = !s->is_asked && strcmp(text, s->last_failure) == 0;
    memcpy(s->last_failure, text, sizeof(text));
    return known;
}

static void log_failed(struct saving *s, const struct err *why)
{
    if (why->kind == ERR_GONE || why->kind == ERR_FENCED || is_known(s, why))
        return;
    if (why->kind == ERR_REFUSED)
        event_log(s->events, LOG_WARNING, "checkpoint-refused", NULL,
                  "the job cannot be saved and runs on: %s", why->text);
    else
        event_log(s->events, LOG_ERROR, "checkpoint-failed", NULL,
                  "a checkpoint failed, the job runs on: %s", why->text);
}

/* Nothing was published. `frozen`: the job stands still at its image and is let go,
 * unless another copy of it runs already. */
static enum saving_news fail(struct saving *s, bool frozen, const struct err *why)
{
    bool fenced = why->kind == ERR_FENCED;
    char line[PROTOCOL_LINE_MAX];

    if (frozen && !fenced)
        s->engine->end(s->job, false);
    store_stage_abandon(s->stage);
    s->may_pass = why->momentary;
    log_failed(s, why);
    control_finish(s->control, line, protocol_write_error(why, line));
    end(s);
    return fenced ? SAVING_FENCED : SAVING_IDLE;
}

static struct engine_request request_for(const struct saving *s)
{
    const struct job_config *c = s->config;

    return (struct engine_request){.dirfd = store_stage_dirfd(s->stage),
                                   .stop = s->stop,
                                   .freeze_timeout_s = c->freeze_timeout_s
                                                           ? c->freeze_timeout_s
                                                           : FREEZE_TIMEOUT_S,
                                   .carry_tmpdir = c->carry_tmpdir,
                                   .tmpdir = c->tmpdir,
                                   .job_script = c->job_script,
                                   .compress = c->compress};
}

enum saving_news saving_begin(struct saving *s, bool stop)
{
    struct engine_request request;
    struct err e = {0};

    s->is_asked = control_begin(s->control);
    s->stop = stop;
    s->since_us = s->told_us = clock_us();
    s->is_active = true;
    if (s->no_checkpoints) {
        err_set(&e, ERR_REFUSED, "this job runs without checkpoints: %s",
                s->no_checkpoints);
        return fail(s, false, &e);
    }
    s->stage = store_stage_begin(s->config->store, s->events->epoch, &e);
    if (!s->stage)
        return fail(s, false, &e);
    request = request_for(s);
    if (s->engine->begin(s->job, &request, &e) < 0)
        return fail(s, false, &e);
    fault_point("supervisor-saved");
    return saving_step(s);
}

int saving_fd(struct saving *s)
{
    return s->is_active ? s->engine->wait_fd(s->job) : -1;
}

enum saving_news saving_step(struct saving *s)
{
    struct engine_progress progress = {0};

    if (saving_fd(s) < 0 || s->engine->is_finished(s->job, &progress))
        return saving_complete(s);
    if (clock_us() - s->told_us >= PROGRESS_US) {
        s->told_us = clock_us();
        control_progress(s->control, progress.bytes, progress.total_bytes);
    }
    return SAVING_GOES_ON;
}

static int publish(struct saving *s, struct job_checkpoint *done, struct err *e)
{
    const struct engine_stats *stats = &done->stats;
    struct store_stage *stage = s->stage;
    struct store_meta meta = {.processes = stats->processes,
                              .threads = stats->threads,
                              .bytes = stats->bytes,
                              .stored_bytes = stats->stored_bytes,
                              .pause_us = stats->pause_us,
                              .time_us = clock_us() - s->since_us};

    if (str_format(meta.host, sizeof(meta.host), e, "%s", s->config->host) < 0 ||
        str_format(meta.engine, sizeof(meta.engine), e, "%s", s->engine->name) < 0 ||
        str_format(meta.cpu, sizeof(meta.cpu), e, "%s", s->cpu) < 0 ||
        str_format(meta.cpu_all, sizeof(meta.cpu_all), e, "%s", s->cpu_all) < 0)
        return -1;
    s->stage = NULL;
    if (store_publish(stage, &meta, &done->generation, e) < 0)
        return -1;
    done->time_us = clock_us() - s->since_us;
    return 0;
}

static void log_published(struct saving *s, const struct job_checkpoint *done)
{
    const struct engine_stats *stats = &done->stats;
    char bytes[32], stored[32], pause[32], time[32];
    json_t *fields =
        json_pack("{s:I, s:i, s:i, s:I, s:I, s:I, s:I}", "generation",
                  (json_int_t)done->generation, "processes", (int)stats->processes,
                  "threads", (int)stats->threads, "bytes", (json_int_t)stats->bytes,
                  "stored_bytes", (json_int_t)stats->stored_bytes, "pause_us",
                  (json_int_t)stats->pause_us, "time_us", (json_int_t)done->time_us);

    event_log(s->events, LOG_INFO, "checkpoint", fields,
              "generation %" PRIu64
              ": %u process%s, %s of memory in %s, paused %s, durable after %s",
              done->generation, stats->processes, stats->processes == 1 ? "" : "es",
              str_bytes(stats->bytes, bytes), str_bytes(stats->stored_bytes, stored),
              str_duration_us(stats->pause_us, pause),
              str_duration_us(done->time_us, time));
}

/* After the answer: nobody waits for old generations to go. */
static void prune(struct saving *s)
{
    struct err e = {0};

    if (store_prune(s->config->store, s->events->epoch, &e) < 0 && e.kind != ERR_FENCED)
        event_log(s->events, LOG_WARNING, "warning", NULL, "older generations stay: %s",
                  e.text);
}

static enum saving_news succeed(struct saving *s, const struct job_checkpoint *done)
{
    char line[PROTOCOL_LINE_MAX];
    bool stop = s->stop;

    s->last_failure[0] = '\0';
    s->may_pass = false;
    log_published(s, done);
    fault_point("supervisor-published");
    /* Answered first: the answer says that the checkpoint is durable, and ending many
     * processes may take a while. They stand still at their image. */
    control_finish(s->control, line, protocol_write_checkpoint(done, line));
    end(s);
    if (stop)
        s->engine->end(s->job, true);
    prune(s);
    if (!stop)
        return SAVING_IDLE;
    event_tell(s->events, "stopped", event_generation(done->generation),
               "stopped at generation %" PRIu64, done->generation);
    return SAVING_STOPPED;
}

enum saving_news saving_complete(struct saving *s)
{
    struct job_checkpoint done = {0};
    struct err e = {0};

    if (s->engine->finish(s->job, &done.stats, &e) < 0)
        return fail(s, s->stop, &e);
    fault_point("supervisor-written");
    if (publish(s, &done, &e) < 0)
        return fail(s, s->stop, &e);
    return succeed(s, &done);
}

void saving_abandon(struct saving *s, const struct err *why)
{
    if (s->is_active)
        store_stage_abandon(s->stage);
    control_refuse_all(s->control, why);
    end(s);
}
