/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fault.h"
#include "job/orphans.h"
#include "job/state.h"
#include "store/store.h"

#include <jansson.h>
#include <string.h>
#include <sys/wait.h>

enum { KILL_DEADLINE_S = 5 };

/* Grid Engine's: run me again, and: I am in error. Such a job is not done. */
enum { EXIT_REQUEUE = 99, EXIT_ERROR_STATE = 100 };

void supervisor_over(struct supervisor *s, enum job_outcome outcome, int wait_status)
{
    s->is_over = true;
    s->report.outcome = outcome;
    s->report.wait_status = wait_status;
}

void supervisor_kill_job(struct supervisor *s)
{
    if (!s->job)
        return;
    s->engine->kill(s->job);
    s->engine->close(s->job);
    s->job = NULL;
    /* What escaped the engine, and the sentinel, which has nothing to watch any more.
     */
    orphans_kill(KILL_DEADLINE_S);
    s->sentinel = -1;
}

void supervisor_superseded(struct supervisor *s, const struct err *why)
{
    supervisor_kill_job(s);
    event_log(&s->events, LOG_WARNING, "superseded", NULL,
              "this copy of the job was killed: %s", why->text);
    saving_abandon(&s->saving, why);
    supervisor_over(s, JOB_SUPERSEDED, 0);
}

/* The front is gone, killed by Grid Engine or by somebody else: then the job must not
 * go on unseen. */
void supervisor_front_died(struct supervisor *s)
{
    struct err why = {0};

    supervisor_kill_job(s);
    event_log(&s->events, LOG_WARNING, "ended", NULL,
              "the job was killed because the process it was started as is gone");
    err_set(&why, ERR_GONE, "the job was killed");
    saving_abandon(&s->saving, &why);
    supervisor_over(s, JOB_ENDED, SIGKILL);
}

static bool is_done_status(int wait_status)
{
    int code = WEXITSTATUS(wait_status);

    return WIFEXITED(wait_status) && code != EXIT_REQUEUE && code != EXIT_ERROR_STATE;
}

static void log_end(struct supervisor *s, int wait_status)
{
    if (WIFSIGNALED(wait_status))
        event_log(&s->events, LOG_INFO, "ended",
                  json_pack("{s:i}", "signal", WTERMSIG(wait_status)),
                  "the job was ended by signal %d (%s)", WTERMSIG(wait_status),
                  strsignal(WTERMSIG(wait_status)));
    else
        event_log(&s->events, LOG_INFO, "ended",
                  json_pack("{s:i}", "status", WEXITSTATUS(wait_status)),
                  "the job ended with status %d", WEXITSTATUS(wait_status));
}

/* A job that is run again after this must find that it is done. Returns false when a
 * later run has taken over. */
static bool record_completion(struct supervisor *s, int wait_status)
{
    struct err e = {0};

    if (store_done_write(s->config->store, s->events.epoch, WEXITSTATUS(wait_status),
                         &e) == 0)
        return true;
    if (e.kind == ERR_FENCED) {
        supervisor_superseded(s, &e);
        return false;
    }
    event_log(&s->events, LOG_ERROR, "warning", NULL,
              "the job's end could not be recorded, a rerun would repeat it: %s",
              e.text);
    return true;
}

/* What the job left running (a daemon, a background process) is left, as it would be
 * without us: Grid Engine ends it, a shell does not. Only a checkpoint that is still
 * being written cannot be given up without ending the processes that it is made of. */
void supervisor_job_ended(struct supervisor *s, int wait_status)
{
    bool done = is_done_status(wait_status);
    struct err why = {0};

    err_set(&why, ERR_GONE, "the job has ended");
    if (s->saving.is_active && !done) {
        enum saving_news news = saving_complete(&s->saving);

        if (news == SAVING_STOPPED) {
            supervisor_kill_job(s);
            supervisor_over(s, JOB_STOPPED, 0);
            return;
        }
        if (news == SAVING_FENCED) {
            err_set(&why, ERR_FENCED, "a later run of this job has taken over");
            supervisor_superseded(s, &why);
            return;
        }
    }
    if (done && !record_completion(s, wait_status))
        return;
    log_end(s, wait_status);
    fault_point("supervisor-done");
    if (s->saving.is_active)
        supervisor_kill_job(s);
    saving_abandon(&s->saving, &why);
    if (s->job)
        s->engine->close(s->job);
    s->job = NULL;
    supervisor_over(s, JOB_ENDED, wait_status);
}

/* A later run clears away what this one was writing, and the engine may fail for it. */
void supervisor_job_lost(struct supervisor *s)
{
    struct err why = {0};

    if (store_epoch_check(s->config->store, s->events.epoch, &why) < 0 &&
        why.kind == ERR_FENCED) {
        supervisor_superseded(s, &why);
        return;
    }
    supervisor_kill_job(s);
    event_log(&s->events, LOG_ERROR, "lost", NULL,
              "the engine '%s' failed the job, which was killed: it can go on from its "
              "last checkpoint",
              s->engine->name);
    err_set(&why, ERR_GONE, "the engine failed the job");
    saving_abandon(&s->saving, &why);
    supervisor_over(s, JOB_LOST, 0);
}
