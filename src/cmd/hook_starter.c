/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The starter_method of a queue.
 *
 * A job outside our checkpoint environment is executed as Grid Engine would have, and
 * nothing of us is left. Any other becomes a supervised job. Where we cannot supervise,
 * a job that has no checkpoint runs all the same, as if it had not asked for one; a job
 * that has one, or may have one that cannot be reached now, is not started from the
 * beginning: it waits for a better moment (GE_EXIT_REQUEUE) or for a person
 * (GE_EXIT_ERROR).
 */
#include "base/err.h"
#include "base/scope.h"
#include "cmd/hook.h"
#include "cmd/starter.h"
#include "cmd/wrong_host.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    RETRY_DELAY_S = 30, /* before GE_EXIT_REQUEUE: Grid Engine has no delay */
    QSTAT_TIMEOUT_MS = 10 * 1000,
};

static void close_all(struct starter *s)
{
    ge_spool_free(s->spool);
    ge_command_free(&s->command);
    store_close(s->store);
    settings_free(s->settings);
}

/* ---- with supervision ---- */

/* The directory is gone: with the job, which another host has run to its end, or alone.
 */
static bool is_given_up(void *arg)
{
    const struct starter *s = arg;
    struct err ignored = {0};
    struct ge_jobs *jobs = ge_jobs_ask(s->job.user, QSTAT_TIMEOUT_MS, &ignored);
    enum ge_presence presence =
        jobs ? ge_jobs_find(jobs, s->job.job, s->job.task, NULL) : GE_ABSENT;
    bool known;

    ge_jobs_free(jobs);
    if (presence == GE_ABSENT)
        return ge_job_is_known(s->job.job, QSTAT_TIMEOUT_MS, &known, &ignored) == 0 &&
               !known;
    return presence == GE_DELETED;
}

static void tell_problems(struct starter *s)
{
    const char *problem;

    for (size_t i = 0; (problem = settings_problem(s->settings, i)); i++)
        starter_tell(s, LOG_WARNING, "%s", problem);
}

/* Programs of Grid Engine are no processes of the job: no engine finds what they start
 * on another host, nor could it restart their connections. */
static const char *look_at_parts(struct starter *s)
{
    struct err e = {0};
    bool controls = true;

    if (!s->job.hosts_file)
        return NULL;
    if (!s->job.pe)
        snprintf(s->hosts_refused, sizeof(s->hosts_refused),
                 "the job runs on several hosts, but PE is not set");
    else if (ge_pe_controls_slaves(s->job.pe, QSTAT_TIMEOUT_MS, &controls, &e) < 0)
        snprintf(s->hosts_refused, sizeof(s->hosts_refused),
                 "the job runs on several hosts, and whether Grid Engine starts its "
                 "parts there (control_slaves of the parallel environment %s) cannot "
                 "be asked: %.200s",
                 s->job.pe, e.text);
    else if (controls)
        snprintf(
            s->hosts_refused, sizeof(s->hosts_refused),
            "the job runs on several hosts, and Grid Engine starts its parts there "
            "(the parallel environment %s has control_slaves TRUE): they cannot be "
            "saved; use one with control_slaves FALSE, and ssh",
            s->job.pe);
    return s->hosts_refused[0] ? s->hosts_refused : NULL;
}

static void configure(struct starter *s, struct job_config *config)
{
    struct err e = {0};

    *config = (struct job_config){
        .store = s->store,
        .path = s->command.path,
        .argv = s->command.argv,
        .envp = environ,
        .may_launch = !s->has_generation,
        .instead = engine_table[0],
        .none_runs = s->job.migrated,
        .job_script = s->command.script ? s->job.job_script : NULL,
        .is_given_up = is_given_up,
        .arg = s,
        .user = s->job.user,
        .job = s->job.job,
        .task = s->job.task,
    };
    if (job_config_read(config, s->settings, s->job.ckpt_env, &e) < 0)
        starter_tell(s, LOG_WARNING, "%s; it is ignored", e.text);
    config->engine_options.hosts_file = s->job.hosts_file;
    config->engine_options.hosts_refused = look_at_parts(s);
}

/* A job that has a generation goes on with the engine that made it, or not here. A new
 * one never gets another engine than was asked for: it runs without checkpoints rather,
 * which the supervisor writes into its event log and its record. */
static void choose_engine(struct starter *s, struct job_config *config)
{
    char text[sizeof(s->choice.why) + 64];

    if (s->has_generation)
        return;
    job_choose_engine(config, &s->choice);
    if (config->no_checkpoints) {
        snprintf(text, sizeof(text), "this job runs without checkpoints: %s",
                 config->no_checkpoints);
        starter_tell_stderr(s, LOG_WARNING, text);
    }
}

/* Grid Engine does not wait for this run any more. But a host that was cut off reports
 * its end when it is back, and the queue master may take that for the end of the run
 * that took over, which it then kills: the job must be queued again, not over. */
static _Noreturn void superseded(struct starter *s, enum log_level level,
                                 const char *why)
{
    starter_tell(s, level, "%s", why);
    starter_exit(GE_EXIT_REQUEUE);
}

/* The job had been started, and was killed because we failed it. The next run goes on
 * from the last checkpoint. Without one it would do again what this one did, and maybe
 * what must not be done twice: that is for a person to say. */
static _Noreturn void lost(struct starter *s, const struct err *why)
{
    if (!starter_has_generation_now(s) || starter_has_failed_often(s))
        starter_ask_for_a_person(s, why);
    starter_queue_again_later(s, why);
}

/* Says what comes to the job's stderr, and where qckpt show finds it. The number of
 * runs is for the time when the log is longer than what is read of it. */
static void tell_waits(struct starter *s, const struct err *why, const char *next,
                       const struct joblog_wrong_hosts *seen)
{
    json_t *fields = json_pack("{s:I, s:I}", "runs", (json_int_t)seen->runs, "after",
                               (json_int_t)s->last_epoch);
    char text[sizeof(why->text) + HOOK_CPU_TEXT_SIZE + 128];

    snprintf(text, sizeof(text), "%s; %s", why->text, next);
    starter_tell_stderr(s, LOG_WARNING, text);
    store_log(s->store, LOG_WARNING, s->name, 0, "waits", fields, "%s", next);
}

/* No hold: one that nobody is alive to release is a lost job. Without a wait Grid
 * Engine may choose the same host again within a second, for ever. */
static _Noreturn void wrong_host(struct starter *s, const struct err *why)
{
    struct joblog_wrong_hosts seen;
    char asked[HOOK_CPU_TEXT_SIZE], next[HOOK_CPU_TEXT_SIZE + 64];
    unsigned delay_s;

    starter_read_wrong_hosts(s, &seen);
    if (wrong_host_ask(&s->job, s->store, ge_spool_get(s->spool, "host"), asked)) {
        snprintf(next, sizeof(next), "%s; it is queued again", asked);
        tell_waits(s, why, next, &seen);
        starter_exit(GE_EXIT_REQUEUE);
    }
    delay_s = hook_spread_s(&s->job, seen.in_a_row,
                            wrong_host_delay_s(seen.in_a_row, s->retry_delay_s));
    snprintf(next, sizeof(next), "the job is queued again in %u s; %s", delay_s, asked);
    tell_waits(s, why, next, &seen);
    hook_wait(delay_s);
    starter_exit(GE_EXIT_REQUEUE);
}

/* job_run fails with ERR_GONE when the job had been started, see job.h. */
static _Noreturn void not_run(struct starter *s, const struct err *e)
{
    if (e->kind == ERR_FENCED)
        superseded(s, LOG_ERROR, e->text);
    if (e->kind == ERR_GONE)
        lost(s, e);
    if (e->kind == ERR_WRONG_HOST)
        wrong_host(s, e);
    /* ERR_TIMEOUT: an earlier run of it is still here, and does not end. */
    if (!s->has_generation && e->kind != ERR_TIMEOUT)
        starter_run_unsupervised(s, e);
    if (e->kind == ERR_NOTHING || starter_has_failed_often(s))
        starter_ask_for_a_person(s, e);
    starter_queue_again_later(s, e);
}

/* Grid Engine takes a job whose shepherd was killed for failed, and may start it again
 * elsewhere at once: then this copy must not go on. */
static void end_with_shepherd(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A checkpoint somebody stopped the job at (qckpt-migrate, or `qckpt checkpoint
 * --stop`) is one to continue from: Grid Engine queues the job again after a migration
 * whatever the status, and else because of this one. */
static _Noreturn void run_supervised(struct starter *s)
{
    struct job_config config;
    enum job_outcome outcome;
    struct err e = {0};
    int status;

    configure(s, &config);
    choose_engine(s, &config);
    hook_sweep_start(&s->job, s->settings, s->name);
    tell_problems(s);
    s->was_front = true;
    end_with_shepherd();
    if (job_run(&config, &status, &outcome, &e) < 0)
        not_run(s, &e);
    switch (outcome) {
    case JOB_ENDED:
        break;
    case JOB_STOPPED:
        starter_exit(GE_EXIT_REQUEUE);
    case JOB_LOST:
        err_set(&e, ERR_FAILED, "its engine failed the job");
        lost(s, &e);
    case JOB_SUPERSEDED:
        superseded(s, LOG_WARNING, "a later run of this job has taken over");
    }
    job_exit_as(status);
}

/* ---- the decision ---- */

static bool is_ours(const struct starter *s)
{
    return ge_is_ours(&s->job, s->spool) && !s->start.qrsh &&
           !ge_spool_is_pe_task(s->spool);
}

/* A program that cannot be executed fails as it would without us. A job that has ended,
 * or that goes on from a checkpoint, does not need it. */
static bool cannot_start(const struct starter *s)
{
    struct err ignored = {0};

    return ge_command_check(&s->command, &ignored) < 0 && !starter_has_past(s);
}

/* In our environment, but which job this is cannot be told: the user's name is not to
 * be had, say. */
static _Noreturn void run_unknown(struct starter *s, const struct err *why)
{
    const char *restarted = getenv("RESTARTED");

    if (restarted && strcmp(restarted, "0") != 0)
        starter_queue_again_later(s, why);
    starter_run_unsupervised(s, why);
}

/* Fills s->job when it can, and else what decides whether the job is ours. */
static int read_job(struct starter *s, struct err *why)
{
    int result = ge_job_read(&s->job, why);

    if (result < 0)
        s->job = (struct ge_job){.ckpt_env = getenv("SGE_CKPT_ENV"),
                                 .ckpt_dir = getenv("SGE_CKPT_DIR"),
                                 .job_script = getenv("JOB_SCRIPT"),
                                 .spool_dir = getenv("SGE_JOB_SPOOL_DIR")};
    return result;
}

static int read_command(struct starter *s, int argc, char **argv, struct err *e)
{
    struct err ignored = {0};

    if (s->job.spool_dir)
        s->spool = ge_spool_read(s->job.spool_dir, &ignored);
    ge_start_read(&s->start, &s->job, s->spool, argc, argv);
    return ge_command_make(&s->start, argc, argv, &s->command, e);
}

static void read_settings(struct starter *s)
{
    struct err e = {0};

    s->settings = settings_read();
    if (hook_seconds(s->settings, "QCKPT_RETRY_DELAY", RETRY_DELAY_S, &s->retry_delay_s,
                     &e) < 0)
        starter_tell(s, LOG_WARNING, "%s; %u s are taken", e.text, s->retry_delay_s);
}

int cmd_hook_starter(int argc, char **argv, struct err *e)
{
    __attribute__((cleanup(close_all))) struct starter s = {.name = argv[0]};
    struct err why = {0};
    bool is_known;

    sigprocmask(SIG_SETMASK, NULL, &s.mask);
    is_known = read_job(&s, &why) == 0;
    if (read_command(&s, argc, argv, e) < 0)
        return -1;
    ge_start_clean_environment();
    if (!is_ours(&s))
        starter_become_job(&s);
    read_settings(&s);
    if (!is_known)
        run_unknown(&s, &why);
    if (cannot_start(&s))
        starter_become_job(&s);
    starter_open_store(&s);
    starter_look_for_end(&s);
    starter_look_for_generations(&s);
    starter_look_for_missing_past(&s);
    run_supervised(&s);
}
