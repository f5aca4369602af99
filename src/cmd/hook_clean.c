/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * clean_command runs at nearly every end of a job and is not told which: after a normal
 * end and after qdel, but also before a rerun that needs the checkpoints (qmod -rj,
 * exit status 99 or 100). It removes what nobody will ask for again and keeps the rest.
 */
#include "base/err.h"
#include "cmd/hook.h"
#include "cmd/hook_common.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    GONE_TIMEOUT_S = 10,
    QSTAT_TIMEOUT_MS = 10 * 1000,
    REMOVE_TRIES = 3,
};

struct verdict {
    bool remove;
    char why[1200];
};

static void keep(struct verdict *v, const char *why)
{
    v->remove = false;
    strncpy(v->why, why, sizeof(v->why) - 1);
}

static void keep_error(struct verdict *v, const char *what, const struct err *e)
{
    v->remove = false;
    snprintf(v->why, sizeof(v->why), "%s: %s", what, e->text);
}

static void drop(struct verdict *v, const char *why)
{
    v->remove = true;
    strncpy(v->why, why, sizeof(v->why) - 1);
}

/* Is the job's last run the one that has just ended here? Another host may have taken
 * over, or another run on this one, after Grid Engine had lost sight of ours. */
static bool is_our_run(struct hook *h, struct verdict *v)
{
    struct store_epoch run;
    struct utsname here;
    struct err e = {0};
    int status;

    if (store_epoch_current(h->store, &run, &e) < 0) {
        if (e.kind == ERR_NOTHING)
            return true;
        keep_error(v, "the current run cannot be read", &e);
        return false;
    }
    h->epoch = run.epoch;
    /* A rerun that finds the completion record takes no epoch: it is the last one
     * wherever the job ended. */
    if (uname(&here) == 0 && strcmp(here.nodename, run.host) != 0) {
        if (store_done_read(h->store, &status, NULL, &e) == 0)
            return true;
        snprintf(v->why, sizeof(v->why), "the job has been started on %s since",
                 run.host);
        return false;
    }
    if (!hook_wait_supervisor_gone(h, GONE_TIMEOUT_S)) {
        keep(v, "the job is still running");
        return false;
    }
    return true;
}

/* The list of jobs may be filtered by somebody's defaults, to nothing even, and that is
 * a failure; the question for one job is not. Is it certain that Grid Engine does not
 * know the job any more? Else the verdict is to keep. */
static bool is_unknown(struct hook *h, struct verdict *v)
{
    struct err e = {0};
    bool known = true;

    if (ge_job_is_known(h->job.job, QSTAT_TIMEOUT_MS, &known, &e) < 0)
        keep_error(v, "whether the job still exists is not known", &e);
    else if (known)
        keep(v, "Grid Engine still knows the job: it may be run again");
    return !known;
}

static enum ge_presence find(struct hook *h, struct err *e)
{
    struct ge_jobs *jobs = ge_jobs_ask(h->job.user, QSTAT_TIMEOUT_MS, e);
    const char *host = h->host[0] ? h->host : NULL;
    enum ge_presence presence =
        jobs ? ge_jobs_find(jobs, h->job.job, h->job.task, host) : GE_ABSENT;

    ge_jobs_free(jobs);
    return presence;
}

/* No completion record: the job was killed, asks to be run again, or was never ours to
 * watch. Only Grid Engine knows whether it will be. */
static void judge_unfinished(struct hook *h, struct verdict *v)
{
    struct err ignored = {0};

    switch (find(h, &ignored)) {
    case GE_DELETED:
        drop(v, "the job was deleted");
        break;
    case GE_PRESENT:
    case GE_ELSEWHERE:
        keep(v, "the job did not end by itself and was not deleted: it may be run "
                "again");
        break;
    case GE_ABSENT:
        /* `qdel -f`, or the late news of a host that was lost, taken for this run's
         * (doc/design/supervisor.md, Fencing): somebody may want to go on from here. */
        if (is_unknown(h, v))
            keep(v, "Grid Engine does not know the job any more, though it has neither "
                    "ended nor been seen as deleted: swept when they are old");
        break;
    }
}

/* The completion record is for the run that Grid Engine begins, or has begun, because
 * it never heard of this end: as long as there may be one, the record stays. A master
 * that refuses to tell us has heard. */
static void judge_ended(struct hook *h, struct verdict *v)
{
    struct err e = {0};

    switch (find(h, &e)) {
    case GE_DELETED:
    case GE_PRESENT:
        drop(v, "the job has ended");
        break;
    case GE_ELSEWHERE:
        keep(v, "the job has ended, but Grid Engine runs it again on another host");
        break;
    case GE_ABSENT:
        if (e.kind == ERR_REFUSED)
            drop(v, "the job has ended");
        else if (is_unknown(h, v))
            drop(v, "the job has ended, and Grid Engine does not know it any more");
        break;
    }
}

static void judge(struct hook *h, struct verdict *v)
{
    struct err e = {0};
    int status;

    if (!is_our_run(h, v))
        return;
    if (store_done_read(h->store, &status, NULL, &e) == 0) {
        judge_ended(h, v);
        return;
    }
    if (e.kind != ERR_NOTHING) {
        keep_error(v, "the completion record cannot be read", &e);
        return;
    }
    judge_unfinished(h, v);
}

/* On NFS a file that a dying process still holds open keeps its directory for a moment
 * (.nfs...). */
static int remove_all(struct hook *h, struct err *e)
{
    for (int i = 1; store_remove(h->store, h->epoch, e) < 0; i++) {
        if (i == REMOVE_TRIES || e->kind == ERR_FENCED)
            return -1;
        err_clear(e);
        sleep(1);
    }
    return 0;
}

static int clean(struct hook *h, struct err *e)
{
    struct verdict v = {0};

    judge(h, &v);
    if (!v.remove) {
        hook_log(h, LOG_INFO, "kept", "checkpoints are kept: %s", v.why);
        return hook_ended(h, 0, "nothing was removed", e);
    }
    hook_log(h, LOG_INFO, "removed", "checkpoints are removed: %s", v.why);
    if (remove_all(h, e) < 0)
        return hook_ended(h, -1, NULL, e);
    hook_sweep_forget(&h->job);
    return 0;
}

int cmd_hook_clean(int argc, char **argv, struct err *e)
{
    auto_hook struct hook h;

    if (hook_open(&h, argc, argv, e) < 0) {
        if (e->kind == ERR_NOTHING)
            return 0;
        hook_not_opened(&h, e);
        return -1;
    }
    return h.pe_task ? 0 : clean(&h, e);
}
