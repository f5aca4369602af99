/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/scope.h"
#include "base/str.h"
#include "job/client.h"
#include "job/clock.h"
#include "job/control.h"
#include "job/ladder.h"
#include "job/record.h"
#include "job/state.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* As a shell ends when it cannot execute a command. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* Whoever came before must let go, on this host: two copies must not write to the same
 * files. When we are not the last either, the run that is waits for us to be gone, and
 * takes it that those before us are. */
static int dislodge(struct supervisor *s, const struct store_epoch *seen, struct err *e)
{
    struct store_epoch before;

    if (!store_epoch_before(s->config->store, &before))
        return 0;
    if (seen->epoch != 0 && seen->epoch != before.epoch &&
        client_dislodge(s->config->store, seen, e) < 0)
        return -1;
    return client_dislodge(s->config->store, &before, e);
}

/* A run on another host, that nobody has seen end, finds out by itself that it has been
 * superseded. Grid Engine starts the next run of a job that is requeued by hand before
 * it has killed this one, and one on a lost host it cannot kill. */
static int wait_for_other_host(struct supervisor *s, const char *here, struct err *e)
{
    struct pollfd front = {.fd = s->args->link};
    struct store_epoch before;

    if (s->config->none_runs || !store_epoch_before(s->config->store, &before) ||
        strcmp(before.host, here) == 0)
        return 0;
    event_log(&s->events, LOG_INFO, "warning", NULL,
              "run %" PRIu64 " of the job may still be running on host %s: it has %d s "
              "to notice that this one takes over",
              before.epoch, before.host, FENCE_WAIT_S);
    if (poll(&front, 1, FENCE_WAIT_S * 1000) > 0)
        return err_set(e, ERR_FENCED, "the process that was to become the job is gone");
    return 0;
}

int supervisor_take_epoch(struct supervisor *s, struct err *e)
{
    char socket_name[CONTROL_NAME_SIZE];
    struct store_epoch seen = {0};
    struct err ignored = {0};
    struct utsname here;
    int rc;

    s->control = control_open(socket_name, e);
    if (!s->control)
        return -1;
    if (uname(&here) < 0)
        return err_sys(e, "ask for this host's name");
    if (store_epoch_current(s->config->store, &seen, &ignored) < 0)
        seen.epoch = 0;
    /* Whoever looks for the supervisor compares with its own uname(2); config->host is
     * the name that people and Grid Engine use. */
    rc = store_epoch_take(s->config->store, here.nodename, getpid(), socket_name,
                          &s->events.epoch, e);
    if (rc == 0)
        return dislodge(s, &seen, e) < 0 ? -1
                                         : wait_for_other_host(s, here.nodename, e);
    if (e->kind == ERR_FENCED)
        dislodge(s, &seen, &ignored);
    return -1;
}

/* Right before the job runs. The directory of a job that has been deleted is gone. */
static int may_start(void *arg, struct err *e)
{
    struct supervisor *s = arg;
    struct pollfd front = {.fd = s->args->link};

    if (poll(&front, 1, 0) > 0 && (front.revents & POLLHUP))
        return err_set(e, ERR_FENCED, "the process that was to become the job is gone");
    if (store_epoch_check(s->config->store, s->events.epoch, e) == 0)
        return 0;
    if (e->kind == ERR_GONE)
        e->kind = ERR_FENCED;
    return -1;
}

static int restart_job(struct supervisor *s, struct err *e)
{
    const struct ladder_gate gate = {&s->contract, may_start, s};
    struct ladder_result result;
    uint64_t begun_us = clock_us();
    char took[32];

    if (ladder_restart(s->config, &s->events, &gate, &result, e) < 0)
        return -1;
    if (!result.job)
        return 0;
    s->engine = result.engine;
    s->job = result.job;
    event_tell(&s->events, "restarted",
               json_pack("{s:I, s:I, s:s}", "generation", (json_int_t)result.generation,
                         "time_us", (json_int_t)(clock_us() - begun_us), "saved_on",
                         result.host),
               "restarted from generation %" PRIu64 ", saved on %s, in %s",
               result.generation, result.host,
               str_duration_us(clock_us() - begun_us, took));
    return 0;
}

static void write_record(struct supervisor *s)
{
    struct err e = {0};
    json_t *record = record_make(s->config, &e);

    if (!record || store_job_write(s->config->store, s->events.epoch, record, &e) < 0)
        event_log(&s->events, LOG_WARNING, "warning", NULL, "job.json: %s", e.text);
    json_decref(record);
}

static void tell_choice(struct supervisor *s)
{
    s->no_checkpoints = s->config->no_checkpoints;
    if (s->config->passed_over)
        event_log(&s->events, LOG_INFO, "engine", NULL,
                  "the job is saved by %s; passed over: %s", s->engine->name,
                  s->config->passed_over);
    if (s->no_checkpoints)
        event_log(&s->events, LOG_WARNING, "no-checkpoints", NULL,
                  "this job runs without checkpoints: %s", s->no_checkpoints);
}

/* As a shell does it: a line on stderr, and a status. */
static void not_executable(struct supervisor *s, const struct err *e)
{
    int code = e->sys == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;

    if (!s->config->tell_stderr) /* else event_log does */
        fprintf(stderr, "qckpt: %s\n", e->text);
    event_log(&s->events, LOG_ERROR, "ended", json_pack("{s:i}", "status", code), "%s",
              e->text);
    supervisor_over(s, JOB_ENDED, W_EXITCODE(code, 0));
}

static int launch_in(struct supervisor *s, char *const *envp, struct err *e)
{
    const struct job_config *c = s->config;
    struct contract_hosts hosts = {
        .contract = &s->contract, .config = c, .events = &s->events};
    const struct gate gate = CONTRACT_GATE(&hosts);
    char workdir[PATH_MAX] = "";
    const struct engine_launch how = {
        .program = {.path = c->path,
                    .argv = c->argv,
                    .envp = envp,
                    .stdio = {0, 1, 2},
                    .take_tty = s->args->take_tty,
                    .mask = s->args->inherited.mask,
                    .ignored = s->args->inherited.ignored},
        .options = &c->engine_options,
        .workdir = workdir,
        .tmpdir = c->tmpdir,
        .job_script = c->job_script,
        .hosts = s->config->no_checkpoints ? NULL : &gate,
        .compress = c->compress};

    write_record(s);
    tell_choice(s);
    if (s->engine->needs_workdir &&
        store_workdir_make(c->store, s->events.epoch, workdir, sizeof(workdir), e) < 0)
        return -1;
    if (may_start(s, e) < 0)
        return -1;
    s->job = s->engine->launch(&how, e);
    if (s->job) {
        event_log(&s->events, LOG_INFO, "launched", NULL, "launched %s", c->path);
        return 0;
    }
    if (e->kind != ERR_SYS)
        return -1;
    not_executable(s, e);
    return 0;
}

/* The engine works here, as far as its probe can tell, but not for this job: a limit is
 * too low, there is no room. Nothing of the job has run. */
static void do_without_engine(struct supervisor *s, struct err *why)
{
    snprintf(s->engine_failure, sizeof(s->engine_failure), "%s: %s", s->engine->name,
             why->text);
    fprintf(stderr, "qckpt: warning: this job runs without checkpoints: %s\n",
            s->engine_failure);
    s->unsaved = *s->config;
    s->unsaved.engine = s->engine = s->config->instead;
    s->unsaved.no_checkpoints = s->engine_failure;
    s->unsaved.passed_over = NULL;
    s->config = &s->unsaved;
    store_workdir_remove(s->config->store);
    err_clear(why);
}

/* A job that is never saved may use what this host has. */
static int launch_job(struct supervisor *s, struct err *e)
{
    auto_free char **envp = NULL;

    if (s->config->no_checkpoints)
        return launch_in(s, s->config->envp, e);
    if (contract_launch(&s->contract, s->config, &s->events, &envp, e) < 0)
        return -1;
    if (launch_in(s, envp, e) == 0)
        return 0;
    if (!s->config->instead || s->engine == s->config->instead || e->kind == ERR_FENCED)
        return -1;
    do_without_engine(s, e);
    return launch_in(s, s->config->envp, e);
}

/* A file size limit is the job's; our images may be larger. */
static void lift_own_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
}

static void reserve_record(struct supervisor *s)
{
    struct err e = {0};

    if (store_done_reserve(s->config->store, s->events.epoch, &e) < 0)
        event_log(&s->events, LOG_WARNING, "warning", NULL,
                  "no room is set aside for the record of the job's end: %s", e.text);
}

static int look_done(struct supervisor *s, struct err *e)
{
    int code;

    if (store_done_read(s->config->store, &code, NULL, e) == 0) {
        event_tell(&s->events, "ended", json_pack("{s:i}", "status", code),
                   "the job has ended before, with status %d", code);
        supervisor_over(s, JOB_ENDED, W_EXITCODE(code, 0));
        return 0;
    }
    /* A job that may be done is not run again. */
    if (e->kind != ERR_NOTHING)
        return err_wrap(e, "completion record");
    err_clear(e);
    return 0;
}

int supervisor_start(struct supervisor *s, struct err *e)
{
    if (look_done(s, e) < 0)
        return -1;
    if (s->is_over)
        return 0;
    if (contract_open(&s->contract, e) < 0 || restart_job(s, e) < 0)
        return -1;
    if (!s->job && !s->config->may_launch)
        return err_set(e, ERR_NOTHING, "%s holds no checkpoint that can be restarted",
                       store_path(s->config->store));
    reserve_record(s);
    if (!s->job && launch_job(s, e) < 0)
        return -1;
    lift_own_limits();
    return 0;
}
