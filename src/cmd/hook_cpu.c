/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/hook_cpu.h"

#include "base/err.h"
#include "base/scope.h"
#include "job/settings.h"
#include "store/store.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of each program that is asked: qconf, qstat three times, qalter. */
enum { TIMEOUT_MS = 10 * 1000 };

/* Its flags need no complexes of their own where the cluster has this one. */
static const char level[] = "cpu_level";

SCOPE_DEFINE(raise, struct ge_raise *, ge_raise_free);
#define auto_raise SCOPE_USE(raise)

/* ---- what is needed ---- */

/* ERR_NOTHING: there is no generation. One that an earlier version made has no
 * contract: then all but the policy is empty. */
static int newest_contract(const struct ge_job *job, const char *task,
                           struct cpu_contract *contract, struct err *e)
{
    auto_store struct store *store =
        store_open_job(job->ckpt_dir, job->user, job->job, task, false, e);
    auto_free struct store_generation *list = NULL;
    size_t n;

    if (!store || store_list(store, &list, &n, e) < 0)
        return -1;
    while (n-- > 0) {
        if (list[n].damage.kind == ERR_NONE) {
            *contract = (struct cpu_contract){.policy.kind = CPU_POLICY_HOST};
            return list[n].meta.cpu[0]
                       ? cpu_contract_parse(list[n].meta.cpu, contract, e)
                       : 0;
        }
        /* What a newer qckpt wrote is newer than what stands before it. */
        if (list[n].damage.kind == ERR_WRONG_HOST) {
            *e = list[n].damage;
            return -1;
        }
    }
    return err_set(e, ERR_NOTHING, "it has no checkpoint yet");
}

static int take_policy(void *arg, const char *value, struct err *e)
{
    return cpu_policy_parse(value, arg, e);
}

/* A policy that cannot be had, or is none, is told by the run that was launched. */
static int launch_contract(struct settings *settings, const struct cpu *here,
                           struct cpu_contract *contract, struct err *e)
{
    const struct cpu_policy host = {.kind = CPU_POLICY_HOST};
    struct cpu_policy policy = host;
    struct err ignored = {0};

    settings_apply(settings, "QCKPT_CPU", take_policy, &policy, &ignored);
    if (cpu_contract_make(&policy, here, NULL, contract, e) == 0)
        return 0;
    err_clear(e);
    return cpu_contract_make(&host, here, NULL, contract, e);
}

int hook_cpu_contract(const struct ge_job *job, struct settings *settings,
                      struct cpu_contract *contract, struct err *e)
{
    auto_free struct cpu_contract *before = malloc(sizeof(*before));
    auto_free struct cpu *here = malloc(sizeof(*here));

    if (!before || !here)
        return err_set(e, ERR_FAILED, "out of memory");
    if (cpu_read(here, e) < 0)
        return -1;
    if (newest_contract(job, job->task, before, e) == 0)
        return cpu_contract_make(&before->policy, here, before, contract, e);
    if (e->kind != ERR_NOTHING)
        return -1;
    err_clear(e);
    return launch_contract(settings, here, contract, e);
}

int hook_cpu_add(struct cpu_contract *contract, const char *needs, struct err *e)
{
    auto_free char *copy = strdup(needs);
    char *rest = copy, *flag;

    if (!copy)
        return err_sys(e, "what the job's hosts need of a CPU");
    while ((flag = strsep(&rest, " ")))
        if (*flag && cpu_flags_add(&contract->needs, flag, e) < 0)
            return -1;
    return 0;
}

/* ---- what is asked for ---- */

struct wanted {
    size_t n;
    struct cpu_request cpu[CPU_REQUESTS_MAX];
    struct ge_request list[CPU_REQUESTS_MAX]; /* points into cpu */
};

static void to_requests(struct wanted *w)
{
    for (size_t i = 0; i < w->n; i++)
        w->list[i] = (struct ge_request){.name = w->cpu[i].name,
                                         .value = w->cpu[i].value,
                                         .at_least = strcmp(w->cpu[i].name, level) == 0,
                                         .unless = w->cpu[i].in_level ? level : NULL};
}

/* ---- the text ---- */

struct text {
    char *out; /* HOOK_CPU_TEXT_SIZE */
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *fmt,
                                                      ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->out + t->used, HOOK_CPU_TEXT_SIZE - t->used, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->used += n;
    if (t->used >= HOOK_CPU_TEXT_SIZE)
        t->used = HOOK_CPU_TEXT_SIZE - 1;
}

static void say_what_is_left_out(struct text *t, const struct ge_raise_report *r)
{
    if (r->unknown[0])
        say(t, "; not asked for because the cluster has no such complex: %s",
            r->unknown);
    if (r->unusable[0])
        say(t, "; not asked for because that complex is of another kind: %s",
            r->unusable);
    if (r->contrary[0])
        say(t, "; the job itself asks for hosts without it: %s", r->contrary);
}

/* What is known of who has it. */
struct seen {
    struct ge_offers offers;
    bool here;      /* this host has it; others were not asked */
    struct err why; /* it could not be found out */
};

static void say_offers(struct text *t, const struct seen *seen)
{
    const struct ge_offers *o = &seen->offers;

    if (seen->here)
        say(t, "; this host has that");
    else if (seen->why.kind != ERR_NONE)
        say(t, "; what the cluster has could not be found out: %s", seen->why.text);
    else if (o->enough == 0)
        say(t, "; none of the %u queue instances has that, so the job will wait",
            o->queues);
    else
        say(t, "; %u of %u queue instances have that, %u of them on other hosts",
            o->enough, o->queues, o->elsewhere);
}

/* ---- asking ---- */

static enum hook_cpu_outcome write_plan(const struct ge_raise *plan,
                                        const struct seen *seen, struct text *t)
{
    const struct ge_raise_report *r = ge_raise_report(plan);
    struct err e = {0};

    if (ge_raise_write(plan, TIMEOUT_MS, &e) < 0) {
        say(t, "the job's requests could not be raised: %s", e.text);
        return HOOK_CPU_UNKNOWN;
    }
    if (r->changes)
        say(t, "the job now asks for %s", r->added);
    else
        say(t, "the job asks already for hosts that can continue it");
    say_offers(t, seen);
    say_what_is_left_out(t, r);
    return r->changes ? HOOK_CPU_ASKED : HOOK_CPU_ASKED_BEFORE;
}

/* Requests are for every host of a job. */
static void say_too_few(struct text *t, const struct ge_offers *o, unsigned hosts,
                        const char *required)
{
    if (o->enough == 0)
        say(t, "none of the %u queue instances of the cluster has what it needs (%s)",
            o->queues, required);
    else
        say(t,
            "the job runs on %u hosts, and only %u of the cluster %s what it needs "
            "(%s)",
            hosts, o->hosts, o->hosts == 1 ? "has" : "have", required);
}

/* Mostly the job comes from a host that has what it needs, and one is enough: hundreds
 * of jobs that migrate at once ask the queue master for one host each. The values of a
 * cluster whose qstat shows no queue at all are not known: a site's defaults
 * (sge_qstat(5)) can hide them. */
static void look(const struct ge_raise *plan, const struct ge_job *job,
                 const struct hook_cpu_how *how, struct seen *seen)
{
    const char *host = how->host;
    struct err ignored = {0};

    if (how->runs_here && host && job->hosts == 1 &&
        ge_raise_offers(plan, host, true, TIMEOUT_MS, &seen->offers, &ignored) == 0) {
        seen->here = seen->offers.hosts >= job->hosts;
        if (seen->here)
            return;
    }
    if (ge_raise_offers(plan, host, false, TIMEOUT_MS, &seen->offers, &seen->why) ==
            0 &&
        seen->offers.queues == 0)
        err_set(&seen->why, ERR_NOTHING, "qstat -F shows no queue");
}

/* NULL: `t` says why not. */
static struct ge_raise *plan_or_say(const struct ge_job *job, const struct wanted *w,
                                    struct text *t)
{
    struct err e = {0};
    struct ge_raise *plan = ge_raise_plan(job->job, w->list, w->n, TIMEOUT_MS, &e);

    if (!plan)
        say(t, "the job's requests could not be raised: %s", e.text);
    return plan;
}

static enum hook_cpu_outcome ask(const struct ge_job *job,
                                 const struct hook_cpu_how *how, const struct wanted *w,
                                 struct text *t)
{
    struct seen seen = {0};
    auto_raise struct ge_raise *plan = plan_or_say(job, w, t);
    auto_raise struct ge_raise *anew = NULL;

    if (!plan)
        return HOOK_CPU_UNKNOWN;
    if (ge_raise_report(plan)->asks == 0) {
        say(t, "the job's requests stay as they are");
        say_what_is_left_out(t, ge_raise_report(plan));
        return HOOK_CPU_UNKNOWN;
    }
    look(plan, job, how, &seen);
    if (seen.why.kind == ERR_NONE && seen.offers.hosts < job->hosts &&
        !how->even_nowhere) {
        say_too_few(t, &seen.offers, job->hosts, ge_raise_required(plan));
        say_what_is_left_out(t, ge_raise_report(plan));
        return HOOK_CPU_NOWHERE;
    }
    if (!ge_raise_report(plan)->changes)
        return write_plan(plan, &seen, t);
    /* The cluster may have taken seconds to answer: what the user has made of the job's
     * requests meanwhile (qalter) must not be taken back. */
    anew = plan_or_say(job, w, t);
    return anew ? write_plan(anew, &seen, t) : HOOK_CPU_UNKNOWN;
}

enum hook_cpu_outcome hook_cpu_ask(const struct ge_job *job,
                                   const struct hook_cpu_how *how,
                                   const struct cpu_contract *contract,
                                   char text[HOOK_CPU_TEXT_SIZE])
{
    auto_free struct wanted *w = calloc(1, sizeof(*w));
    struct text t = {.out = text};

    text[0] = '\0';
    if (!w) {
        say(&t, "out of memory");
        return HOOK_CPU_UNKNOWN;
    }
    w->n = cpu_contract_requests(contract, w->cpu);
    if (w->n == 0) {
        say(&t, "there is nothing to ask for: every host has what is needed");
        return HOOK_CPU_ASKED_BEFORE;
    }
    to_requests(w);
    return ask(job, how, w, &t);
}

/* ---- array jobs ---- */

/* "4711.3": *task is "3". */
static bool is_task_of(const char *name, const struct ge_job *job, const char **task)
{
    size_t length = strlen(job->job);

    if (strncmp(name, job->job, length) != 0 || name[length] != '.')
        return false;
    *task = name + length + 1;
    return **task && strlen(*task) < GE_ID_SIZE &&
           !(*task)[strspn(*task, "0123456789")];
}

/* What both need: the contract of neither, and asked for nothing else than requests. */
static int narrow(struct cpu_contract *common, const struct cpu_contract *other,
                  struct err *e)
{
    if (!other->made_on.arch[0])
        return err_set(e, ERR_NOTHING, "an earlier version made its checkpoint");
    if (strcmp(common->made_on.arch, other->made_on.arch) != 0)
        return err_set(e, ERR_FAILED, "it runs on another architecture");
    cpu_flags_common(&common->needs, &other->needs, &common->needs);
    return 0;
}

static int narrow_to_tasks(const struct ge_job *job, struct cpu_contract *common,
                           struct err *e)
{
    auto_free struct cpu_contract *other = malloc(sizeof(*other));
    auto_free char *path = NULL;
    auto_dir DIR *dir = NULL;
    struct dirent *entry;

    if (!other || asprintf(&path, "%s/%s", job->ckpt_dir, job->user) < 0)
        return err_set(e, ERR_FAILED, "out of memory");
    dir = opendir(path);
    if (!dir)
        return err_sys(e, "open %s", path);
    while ((entry = readdir(dir))) {
        const char *task;

        if (!is_task_of(entry->d_name, job, &task) || strcmp(task, job->task) == 0)
            continue;
        if (newest_contract(job, task, other, e) < 0 || narrow(common, other, e) < 0)
            return err_wrap(e, "what task %s needs is not known", task);
    }
    return 0;
}

/* All of them have run, or this fails. */
static int check_all_ran(const struct ge_job *job, struct err *e)
{
    struct ge_jobs *jobs = ge_jobs_ask_all(job->user, TIMEOUT_MS, e);
    bool is_listed, has_new;

    if (!jobs)
        return -1;
    is_listed = ge_jobs_find_any(jobs, job->job) == GE_PRESENT;
    has_new = ge_jobs_has_new(jobs, job->job);
    ge_jobs_free(jobs);
    if (!is_listed)
        return err_set(e, ERR_FAILED, "qstat does not list the job");
    if (has_new)
        return err_set(e, ERR_FAILED,
                       "tasks that have not been started yet may run anywhere");
    return 0;
}

/* Hundreds of tasks that leave at once must not each read what all the others need. */
static bool asks_already(const struct ge_job *job, const struct cpu_contract *contract)
{
    auto_free struct wanted *w = calloc(1, sizeof(*w));
    auto_raise struct ge_raise *plan = NULL;
    struct err ignored = {0};

    if (!w)
        return false;
    w->n = cpu_contract_requests(contract, w->cpu);
    to_requests(w);
    plan = ge_raise_plan(job->job, w->list, w->n, TIMEOUT_MS, &ignored);
    return plan && ge_raise_report(plan)->asks > 0 && !ge_raise_report(plan)->changes;
}

enum hook_cpu_outcome hook_cpu_ask_common(const struct ge_job *job,
                                          const struct hook_cpu_how *how,
                                          const struct cpu_contract *contract,
                                          char text[HOOK_CPU_TEXT_SIZE])
{
    auto_free struct cpu_contract *common = malloc(sizeof(*common));
    struct text t = {.out = text};
    struct err e = {0};

    text[0] = '\0';
    if (asks_already(job, contract))
        return hook_cpu_ask(job, how, contract, text);
    if (common)
        *common = *contract;
    if (!common || check_all_ran(job, &e) < 0 || narrow_to_tasks(job, common, &e) < 0) {
        say(&t,
            "the requests are those of all tasks and stay as they are: %s; a host that "
            "cannot continue this task will refuse it",
            common ? e.text : "out of memory");
        return HOOK_CPU_UNKNOWN;
    }
    return hook_cpu_ask(job, how, common, text);
}
