/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/hook.h"
#include "cmd/hook_common.h"
#include "cmd/hook_cpu.h"
#include "job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long a job that was killed at its image may take to be gone. */
enum { GONE_TIMEOUT_S = 10, STATUS_TIMEOUT_S = 5 };

/* Grid Engine does not end the job, and it does not stop it either: until the job has
 * ended it is shown as suspended (application-level of checkpoint(5)). The
 * supervisor ends it; here we only look whether it did. */
static void see_it_end(struct hook *h)
{
    if (hook_wait_supervisor_gone(h, GONE_TIMEOUT_S))
        return;
    hook_log(
        h, LOG_WARNING, "warning",
        "%d s after its checkpoint the job has not ended yet; Grid Engine shows it "
        "as suspended until it has",
        GONE_TIMEOUT_S);
}

/* The job runs on after a refusal, and whoever asked for the migration does not ask
 * again by himself: what is over in a few seconds shall not keep the job here. */
static int save_and_stop(struct hook *h, struct job_checkpoint *done, struct err *e)
{
    enum { LONGEST_PAUSE_S = 4 };
    unsigned timeout_s = hook_timeout_s(h);

    for (unsigned pause_s = 1;; pause_s *= 2) {
        if (job_request_checkpoint(h->store, true, timeout_s, NULL, NULL, done, e) == 0)
            return 0;
        if (e->kind != ERR_REFUSED || !e->momentary || pause_s > LONGEST_PAUSE_S)
            return -1;
        hook_log(h, LOG_INFO, "note", "trying again in %u s: %s", pause_s, e->text);
        sleep(pause_s);
    }
}

static int migrate(struct hook *h, char how[HOOK_TEXT_SIZE], struct err *e)
{
    struct job_checkpoint done;

    if (save_and_stop(h, &done, e) < 0) {
        if (e->kind == ERR_REFUSED)
            return err_wrap(e, "the job stays on this host and runs on");
        return -1;
    }
    see_it_end(h);
    return str_format(how, HOOK_TEXT_SIZE, e,
                      "the job continues from generation %" PRIu64, done.generation);
}

/* ---- with the CPU in mind ---- */

enum choice {
    CHOICE_AUTO, /* stay only where it is known that no host would do */
    CHOICE_MIGRATE,
    CHOICE_STAY,
};

static int take_choice(void *arg, const char *value, struct err *e)
{
    static const char *const words[] = {"auto", "migrate", "stay"};

    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], value) == 0) {
            *(enum choice *)arg = i;
            return 0;
        }
    return err_set(e, ERR_USAGE, "\"%.40s\" is none of auto, migrate, stay", value);
}

static enum choice read_choice(struct hook *h)
{
    enum choice choice = CHOICE_AUTO;
    struct err e = {0};

    if (settings_apply(hook_settings(h), "QCKPT_MIGRATE_CPU", take_choice, &choice,
                       &e) < 0)
        hook_log(h, LOG_WARNING, "warning", "%s; auto is taken", e.text);
    return choice;
}

static enum hook_cpu_outcome ask(struct hook *h, const struct job_status *run,
                                 bool even_nowhere, char text[HOOK_CPU_TEXT_SIZE])
{
    const struct hook_cpu_how how = {.host = h->host[0] ? h->host : NULL,
                                     .runs_here = true,
                                     .even_nowhere = even_nowhere};
    struct cpu_contract contract;
    struct err e = {0};

    if (hook_cpu_contract(&h->job, hook_settings(h), &contract, &e) < 0 ||
        hook_cpu_add(&contract, run->cpu_needs, &e) < 0) {
        snprintf(text, HOOK_CPU_TEXT_SIZE,
                 "what the job needs of a CPU is not known: %s", e.text);
        return HOOK_CPU_UNKNOWN;
    }
    if (run->hosts > h->job.hosts)
        h->job.hosts = run->hosts;
    if (h->job.is_array)
        return hook_cpu_ask_common(&h->job, &how, &contract, text);
    return hook_cpu_ask(&h->job, &how, &contract, text);
}

/* A job whose starter waits for another host has nothing to do with this one: what this
 * CPU has must not become part of its requests. */
static int check_runs_here(struct hook *h, struct job_status *run, struct err *e)
{
    if (job_request_status(h->store, STATUS_TIMEOUT_S, run, e) == 0)
        return 0;
    if (e->kind == ERR_GONE)
        return err_wrap(e, "nothing is to be migrated");
    *run = (struct job_status){0};
    err_clear(e);
    return 0;
}

/* ERR_REFUSED: the job stays. */
static int raise_requests(struct hook *h, const struct job_status *run, struct err *e)
{
    enum choice choice = read_choice(h);
    char text[HOOK_CPU_TEXT_SIZE];
    enum hook_cpu_outcome outcome = ask(h, run, choice == CHOICE_MIGRATE, text);
    bool asked = outcome == HOOK_CPU_ASKED || outcome == HOOK_CPU_ASKED_BEFORE;

    hook_log(h, asked ? LOG_INFO : LOG_WARNING, "cpu-requests", "%s", text);
    if (asked || choice == CHOICE_MIGRATE ||
        (outcome == HOOK_CPU_UNKNOWN && choice == CHOICE_AUTO))
        return 0;
    return err_set(e, ERR_REFUSED,
                   "the job stays on this host and runs on: %s; "
                   "QCKPT_MIGRATE_CPU=migrate moves it all the same",
                   outcome == HOOK_CPU_NOWHERE
                       ? "no host of the cluster could continue it"
                       : "its requests could not be raised");
}

/* ---- the hooks ---- */

static int run(int argc, char **argv, bool with_cpu, struct err *e)
{
    auto_hook struct hook h;
    char how[HOOK_TEXT_SIZE] = "";
    struct job_status status;
    int result = 0;

    if (hook_open(&h, argc, argv, e) < 0) {
        hook_not_opened(&h, e);
        return -1;
    }
    if (h.pe_task)
        return 0;
    if (with_cpu)
        result =
            check_runs_here(&h, &status, e) < 0 ? -1 : raise_requests(&h, &status, e);
    if (result == 0)
        result = migrate(&h, how, e);
    return hook_ended(&h, result, how, e);
}

int cmd_hook_migrate(int argc, char **argv, struct err *e)
{
    return run(argc, argv, false, e);
}

int cmd_hook_migrate_cpu(int argc, char **argv, struct err *e)
{
    return run(argc, argv, true, e);
}
