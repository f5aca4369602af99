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
#include "cmd/hook_common.h"
#include "cmd/joblog.h"
#include "cmd/wrong_host.h"
#include "job/job.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name; /* as the starter was called */

enum {
    RETRY_DELAY_S = 30,   /* before GE_EXIT_REQUEUE: Grid Engine has no delay */
    FAILED_RUNS_MAX = 20, /* runs since the last checkpoint; then a person looks */
    QSTAT_TIMEOUT_MS = 10 * 1000,
};

struct starter {
    struct ge_job job;
    struct ge_spool *spool; /* NULL: not readable */
    struct settings *settings;
    unsigned retry_delay_s;
    struct ge_start start;
    struct ge_command command;
    struct store *store;
    sigset_t mask;
    bool has_generation;
    uint64_t last_epoch; /* the run that made the newest generation */
    bool was_front;      /* job_run has been called */
    struct engine_choice choice;
    char hosts_refused[512]; /* why a job of several hosts cannot be saved */
};

static void starter_close(struct starter *s)
{
    ge_spool_free(s->spool);
    ge_command_free(&s->command);
    store_close(s->store);
    settings_free(s->settings);
}

static void tell_stderr(enum log_level level, const char *text)
{
    fprintf(stderr, "%s: %s: %s\n", name, log_level_name(level), text);
}

static void tell_event(struct starter *s, enum log_level level, const char *event,
                       const char *text)
{
    tell_stderr(level, text);
    if (s->store)
        store_log(s->store, level, name, 0, event, NULL, "%s", text);
}

/* On the job's stderr, and in its event log when there is one. */
__attribute__((format(printf, 3, 4))) static void
tell(struct starter *s, enum log_level level, const char *fmt, ...)
{
    char text[1536];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    tell_event(s, level, "warning", text);
}

static _Noreturn void exit_with(int status)
{
    job_exit_as(W_EXITCODE(status, 0));
}

/* ---- without supervision ---- */

/* job_run leaves signals blocked, this process a subreaper, and the terminal of a
 * `qsub -pty` job without a session. */
static void undo_supervision(const struct starter *s)
{
    if (!s->was_front)
        return;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    prctl(PR_SET_PDEATHSIG, 0);
    if (isatty(STDIN_FILENO))
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* A program that cannot be executed puts a batch job into the error state, as it does
 * without a starter_method; qrsh_starter ends with 1. */
static _Noreturn void become_job(struct starter *s)
{
    undo_supervision(s);
    execvpe(s->command.path, s->command.argv, environ);
    fprintf(stderr, "%s: cannot execute %s: %s\n", name, s->command.path,
            strerror(errno));
    exit_with(s->start.qrsh ? EXIT_FAILURE : GE_EXIT_ERROR);
}

static _Noreturn void run_unsupervised(struct starter *s, const struct err *why)
{
    char text[sizeof(why->text) + 64];

    snprintf(text, sizeof(text), "this job runs without checkpoints: %s", why->text);
    tell_event(s, LOG_WARNING, "unsupervised", text);
    become_job(s);
}

/* ---- what cannot be helped now ---- */

static _Noreturn void queue_again(struct starter *s, const struct err *why)
{
    tell(
        s, LOG_ERROR,
        "the job is queued again and not started from the beginning because it has, or "
        "may have, a checkpoint: %s",
        why->text);
    exit_with(GE_EXIT_REQUEUE);
}

static _Noreturn void queue_again_later(struct starter *s, const struct err *why)
{
    hook_wait(s->retry_delay_s);
    queue_again(s, why);
}

static _Noreturn void ask_for_a_person(struct starter *s, const struct err *why)
{
    tell(s, LOG_ERROR,
         "the job is put into the error state: %s; when that is cured continue the job "
         "with qmod -cj %s, or give it up with qdel",
         why->text, s->job.job);
    exit_with(GE_EXIT_ERROR);
}

/* ---- the store ---- */

static struct store *open_store(const struct ge_job *job, struct err *e)
{
    return store_open_job(job->ckpt_dir, job->user, job->job, job->task, true, e);
}

/* RESTARTED is 0 in the first run, but also after qmod -cj: it is a hint only, used
 * where nothing else can be asked. */
static void need_store(struct starter *s)
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
        run_unsupervised(s, &e);
    if (e.kind == ERR_UNSAFE)
        ask_for_a_person(s, &e);
    queue_again(s, &e);
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
static void look_for_generations(struct starter *s)
{
    auto_free struct store_generation *list = NULL;
    struct err e = {0};
    size_t n;

    if (store_list(s->store, &list, &n, &e) < 0) {
        if (s->job.restarted)
            queue_again_later(s, &e);
        run_unsupervised(s, &e);
    }
    note_generations(s, list, n);
}

/* RESTARTED is 2 when one of our commands has said that there is a checkpoint: then it
 * is elsewhere when no run has ever begun here. */
static void look_for_missing_past(struct starter *s)
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
    ask_for_a_person(s, &e);
}

/* A job that has ended is not run again, also when the record of its end cannot be read
 * just now. */
static void look_for_end(struct starter *s)
{
    struct err e = {0};
    int status;

    if (store_done_read(s->store, &status, NULL, &e) == 0 || e.kind == ERR_NOTHING)
        return;
    if (e.kind == ERR_CORRUPT)
        ask_for_a_person(s, &e);
    queue_again_later(s, &e);
}

static void read_wrong_hosts(struct starter *s, struct joblog_wrong_hosts *found)
{
    json_t *events = joblog_read(s->store);

    joblog_wrong_hosts(events, s->last_epoch, found);
    json_decref(events);
}

/* A run on a wrong host is no failure, and waiting for the right one has no end. */
static bool has_failed_often(struct starter *s)
{
    struct joblog_wrong_hosts wrong;
    struct store_epoch run;
    struct err ignored = {0};

    read_wrong_hosts(s, &wrong);
    return store_epoch_current(s->store, &run, &ignored) == 0 &&
           run.epoch > s->last_epoch + FAILED_RUNS_MAX + wrong.runs;
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
        tell(s, LOG_WARNING, "%s", problem);
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
        .none_runs = s->job.migrated,
        .job_script = s->command.script ? s->job.job_script : NULL,
        .is_given_up = is_given_up,
        .arg = s,
        .user = s->job.user,
        .job = s->job.job,
        .task = s->job.task,
    };
    if (job_config_read(config, s->settings, s->job.ckpt_env, &e) < 0)
        tell(s, LOG_WARNING, "%s; it is ignored", e.text);
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
        tell_stderr(LOG_WARNING, text);
    }
}

/* Grid Engine does not wait for this run any more. But a host that was cut off reports
 * its end when it is back, and the queue master may take that for the end of the run
 * that took over, which it then kills: the job must be queued again, not over. */
static _Noreturn void superseded(struct starter *s, enum log_level level,
                                 const char *why)
{
    tell(s, level, "%s", why);
    exit_with(GE_EXIT_REQUEUE);
}

/* Looked at again: this run may have made one. */
static bool has_generation_now(struct starter *s)
{
    auto_free struct store_generation *list = NULL;
    struct err ignored = {0};
    size_t n = 0;

    if (store_list(s->store, &list, &n, &ignored) < 0)
        return true;
    note_generations(s, list, n);
    return n > 0;
}

/* The job had been started, and was killed because we failed it. The next run goes on
 * from the last checkpoint. Without one it would do again what this one did, and maybe
 * what must not be done twice: that is for a person to say. */
static _Noreturn void lost(struct starter *s, const struct err *why)
{
    if (!has_generation_now(s) || has_failed_often(s))
        ask_for_a_person(s, why);
    queue_again_later(s, why);
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
    tell_stderr(LOG_WARNING, text);
    store_log(s->store, LOG_WARNING, name, 0, "waits", fields, "%s", next);
}

/* No hold: one that nobody is alive to release is a lost job. Without a wait Grid
 * Engine may choose the same host again within a second, for ever. */
static _Noreturn void wrong_host(struct starter *s, const struct err *why)
{
    struct joblog_wrong_hosts seen;
    char asked[HOOK_CPU_TEXT_SIZE], next[HOOK_CPU_TEXT_SIZE + 64];
    unsigned delay_s;

    read_wrong_hosts(s, &seen);
    if (wrong_host_ask(&s->job, s->store, ge_spool_get(s->spool, "host"), asked)) {
        snprintf(next, sizeof(next), "%s; it is queued again", asked);
        tell_waits(s, why, next, &seen);
        exit_with(GE_EXIT_REQUEUE);
    }
    delay_s = wrong_host_delay_s(seen.in_a_row, s->retry_delay_s);
    snprintf(next, sizeof(next), "the job is queued again in %u s; %s", delay_s, asked);
    tell_waits(s, why, next, &seen);
    hook_wait(delay_s);
    exit_with(GE_EXIT_REQUEUE);
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
        run_unsupervised(s, e);
    if (e->kind == ERR_NOTHING || has_failed_often(s))
        ask_for_a_person(s, e);
    queue_again_later(s, e);
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
    hook_sweep_start(&s->job, s->settings, name);
    tell_problems(s);
    s->was_front = true;
    end_with_shepherd();
    if (job_run(&config, &status, &outcome, &e) < 0)
        not_run(s, &e);
    switch (outcome) {
    case JOB_ENDED:
        break;
    case JOB_STOPPED:
        exit_with(GE_EXIT_REQUEUE);
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

/* Whether the job has a checkpoint or has ended, as far as that can be seen. */
static bool has_past(const struct starter *s)
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

/* A program that cannot be executed fails as it would without us. A job that has ended,
 * or that goes on from a checkpoint, does not need it. */
static bool cannot_start(const struct starter *s)
{
    struct err ignored = {0};

    return ge_command_check(&s->command, &ignored) < 0 && !has_past(s);
}

/* In our environment, but which job this is cannot be told: the user's name is not to
 * be had, say. */
static _Noreturn void run_unknown(struct starter *s, const struct err *why)
{
    const char *restarted = getenv("RESTARTED");

    if (restarted && strcmp(restarted, "0") != 0)
        queue_again_later(s, why);
    run_unsupervised(s, why);
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
        tell(s, LOG_WARNING, "%s; %u s are taken", e.text, s->retry_delay_s);
}

int cmd_hook_starter(int argc, char **argv, struct err *e)
{
    __attribute__((cleanup(starter_close))) struct starter s = {0};
    struct err why = {0};
    bool is_known;

    name = argv[0];
    sigprocmask(SIG_SETMASK, NULL, &s.mask);
    is_known = read_job(&s, &why) == 0;
    if (read_command(&s, argc, argv, e) < 0)
        return -1;
    ge_start_clean_environment();
    if (!is_ours(&s))
        become_job(&s);
    read_settings(&s);
    if (!is_known)
        run_unknown(&s, &why);
    if (cannot_start(&s))
        become_job(&s);
    need_store(&s);
    look_for_end(&s);
    look_for_generations(&s);
    look_for_missing_past(&s);
    run_supervised(&s);
}
