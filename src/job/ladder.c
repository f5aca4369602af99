/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/ladder.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "job/failure.h"
#include "store/store.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t LONG_BYTES = UINT64_C(512) << 20;

static const struct engine *engine_of(const struct job_config *config, const char *name,
                                      struct err *e)
{
    if (strcmp(config->engine->name, name) == 0)
        return config->engine;
    return engine_find(name, e);
}

static int make_workdir(const struct job_config *config, const struct events *events,
                        const struct engine *engine, char path[PATH_MAX], struct err *e)
{
    path[0] = '\0';
    return engine->needs_workdir
               ? store_workdir_make(config->store, events->epoch, path, PATH_MAX, e)
               : 0;
}

/* People at a terminal wonder after a second. */
static void tell_if_long(const struct job_config *config, const struct store_meta *meta)
{
    char bytes[32];

    if (config->tell_stderr && meta->bytes > LONG_BYTES && isatty(STDERR_FILENO))
        fprintf(stderr, "qckpt: reading generation %" PRIu64 ", %s\n", meta->generation,
                str_bytes(meta->bytes, bytes));
}

static int restart_one(const struct job_config *config, struct events *events,
                       const struct ladder_gate *gate, uint64_t generation,
                       struct ladder_result *result, struct err *e)
{
    char workdir[PATH_MAX];
    struct contract_hosts hosts = {.contract = gate->contract,
                                   .config = config,
                                   .events = events,
                                   .generation = generation};
    const struct gate hosts_gate = CONTRACT_GATE(&hosts);
    const struct engine_restart how = {.options = &config->engine_options,
                                       .workdir = workdir,
                                       .stdio = {0, 1, 2},
                                       .tmpdir = config->tmpdir,
                                       .job_script = config->job_script,
                                       .may_commit = gate->may_commit,
                                       .arg = gate->arg,
                                       .hosts = &hosts_gate};
    const struct engine *engine;
    struct store_meta meta;
    auto_fd int dirfd = -1;
    struct engine_job *job;

    if (store_verify(config->store, generation, STORE_QUICK, &meta, NULL, NULL, e) < 0)
        return e->kind == ERR_WRONG_HOST ? err_wrap(e, "host %s", config->host) : -1;
    if (contract_continue(gate->contract, config, events, &meta, e) < 0 ||
        store_generation_open(config->store, generation, NULL, &dirfd, e) < 0)
        return -1;
    engine = engine_of(config, meta.engine, e);
    if (!engine || make_workdir(config, events, engine, workdir, e) < 0)
        return -1;
    tell_if_long(config, &meta);
    job = engine->restart(dirfd, &how, e);
    if (!job)
        return e->kind == ERR_WRONG_HOST && !hosts.is_refused
                   ? err_wrap(e, "host %s cannot continue generation %" PRIu64,
                              config->host, generation)
                   : -1;
    result->engine = engine;
    result->job = job;
    result->generation = generation;
    memcpy(result->host, meta.host, sizeof(result->host));
    return 0;
}

static void log_wrong_host(struct events *events, uint64_t generation,
                           const struct err *e)
{
    event_log_only(events, LOG_WARNING, "wrong-host", event_generation(generation),
                   "%s", e->text);
}

static void wrap_failure(uint64_t generation, struct err *e)
{
    err_wrap(e, "generation %" PRIu64 " %s", generation,
             failure_of(e) == FAILURE_DAMAGE ? "is not usable"
                                             : "could not be restarted here");
    /* To the caller that kind means that a job was running. */
    if (e->kind == ERR_GONE)
        e->kind = ERR_FAILED;
}

static const char *failure_event(enum failure failure)
{
    return failure == FAILURE_DAMAGE ? "generation-rejected" : "restart-failed";
}

static int restart_exact(const struct job_config *config, struct events *events,
                         const struct ladder_gate *gate, struct ladder_result *result,
                         struct err *e)
{
    enum failure failure;

    if (restart_one(config, events, gate, config->generation, result, e) == 0)
        return 0;
    failure = failure_of(e);
    if (failure == FAILURE_WRONG_HOST) {
        log_wrong_host(events, config->generation, e);
        return -1;
    }
    wrap_failure(config->generation, e);
    event_log_only(events, LOG_ERROR, failure_event(failure),
                   event_generation(config->generation), "%s", e->text);
    return -1;
}

/* Counts this run among those in which the generation could not be restarted. When that
 * cannot be written the job waits rather than to lose work. */
static unsigned count_failure(const struct job_config *config, struct events *events,
                              uint64_t generation)
{
    struct err e = {0};
    unsigned runs = 0;

    if (store_failed_note(config->store, events->epoch, generation, &runs, &e) < 0)
        event_log(events, LOG_WARNING, "warning", event_generation(generation),
                  "that generation %" PRIu64 " could not be restarted is not counted: "
                  "%s",
                  generation, e.text);
    return runs;
}

static void forget_failures(const struct job_config *config, struct events *events,
                            uint64_t generation)
{
    struct err e = {0};

    if (store_failed_forget(config->store, events->epoch, generation, &e) < 0)
        event_log(events, LOG_WARNING, "warning", event_generation(generation), "%s",
                  e.text);
}

static void append(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void append(struct err *e, const char *fmt, ...)
{
    size_t used = strlen(e->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->text + used, sizeof(e->text) - used, fmt, ap);
    va_end(ap);
}

/* Whether the one before may be tried, of which there are `older`. Adds to `e` what has
 * been decided. */
static bool may_go_back(const struct job_config *config, struct events *events,
                        uint64_t generation, size_t older, struct err *e)
{
    enum failure failure = failure_of(e);
    unsigned runs;

    wrap_failure(generation, e);
    if (failure == FAILURE_DAMAGE)
        return true;
    if (failure == FAILURE_MOMENT) {
        if (older > 0)
            append(e, " (that is no reason to take an older one)");
        return false;
    }
    runs = count_failure(config, events, generation);
    if (older > 0 && runs > 0 && runs < LADDER_RUNS)
        append(e, " (run %u in which it fails; in run %d an older one is tried)", runs,
               LADDER_RUNS);
    else if (older > 0 && runs > 0)
        append(e, " (run %u in which it fails: an older one is tried)", runs);
    return runs >= LADDER_RUNS;
}

int ladder_restart(const struct job_config *config, struct events *events,
                   const struct ladder_gate *gate, struct ladder_result *result,
                   struct err *e)
{
    auto_free struct store_generation *list = NULL;
    struct err first = {0}, closed = {0};
    size_t count;
    bool goes_on = true;

    *result = (struct ladder_result){0};
    if (config->generation != 0)
        return restart_exact(config, events, gate, result, e);
    if (store_list(config->store, &list, &count, e) < 0)
        return -1;
    while (goes_on && count-- > 0) {
        uint64_t generation = list[count].generation;
        enum failure failure;

        err_clear(e);
        if (restart_one(config, events, gate, generation, result, e) == 0) {
            forget_failures(config, events, generation);
            return 0;
        }
        if (gate->may_commit(gate->arg, &closed) < 0) {
            *e = closed;
            return -1;
        }
        failure = failure_of(e);
        if (failure == FAILURE_WRONG_HOST) {
            log_wrong_host(events, generation, e);
            goes_on = false;
        } else {
            goes_on = may_go_back(config, events, generation, count, e);
            event_log(events, LOG_ERROR, failure_event(failure),
                      event_generation(generation), "%s", e->text);
        }
        if (failure != FAILURE_DAMAGE && first.kind == ERR_NONE)
            first = *e;
    }
    err_clear(e);
    if (first.kind == ERR_NONE)
        return 0;
    *e = first;
    return -1;
}
