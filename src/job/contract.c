/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/contract.h"

#include "base/err.h"
#include "base/scope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int contract_open(struct contract *c, struct err *e)
{
    c->text[0] = '\0';
    return cpu_read(&c->here, e);
}

static int make(struct contract *c, const struct cpu_policy *policy,
                const struct cpu_contract *before, struct err *e)
{
    struct cpu_contract contract;

    if (cpu_contract_make(policy, &c->here, before, &contract, e) < 0)
        return -1;
    return cpu_contract_format(&contract, c->text, sizeof(c->text), e);
}

/* ---- a restart ---- */

/* By which policy the job was launched is not known either: it keeps to no baseline. */
static int continue_unknown(struct contract *c, struct events *events,
                            const struct store_meta *meta, struct err *e)
{
    const struct cpu_policy host = {.kind = CPU_POLICY_HOST};

    event_log(events, LOG_WARNING, "warning", event_generation(meta->generation),
              "generation %" PRIu64 " has no CPU contract, an earlier version made it "
              "on host %s: whether this host has what it needs is not known",
              meta->generation, meta->host);
    return make(c, &host, NULL, e);
}

int contract_continue(struct contract *c, const struct job_config *config,
                      struct events *events, const struct store_meta *meta,
                      struct err *e)
{
    struct cpu_contract contract;

    if (!meta->cpu[0])
        return continue_unknown(c, events, meta, e);
    if (cpu_contract_parse(meta->cpu, &contract, e) < 0)
        return e->kind == ERR_WRONG_HOST
                   ? err_wrap(e, "host %s cannot continue generation %" PRIu64,
                              config->host, meta->generation)
                   : err_wrap(e, "CPU contract");
    if (cpu_contract_check(&contract, &c->here, config->host, meta->generation, e) <
        0) {
        if (!config->ignore_cpu)
            return -1;
        event_log(events, LOG_WARNING, "warning", event_generation(meta->generation),
                  "%s; it is continued here all the same, as was asked for", e->text);
        err_clear(e);
    }
    return make(c, &contract.policy, &contract, e);
}

/* ---- a launch ---- */

static bool is_set_by(const char *word, const struct cpu_variable *variables,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(variables[i].name);

        if (strncmp(word, variables[i].name, length) == 0 && word[length] == '=')
            return true;
    }
    return false;
}

/* One block: the array, and behind it the words that are not envp's. */
static char **merge(char *const *envp, const struct cpu_variable *variables,
                    size_t count, struct err *e)
{
    size_t n = 0, size = 0, at = 0;
    char **merged;
    char *word;

    while (envp[n])
        n++;
    for (size_t i = 0; i < count; i++)
        size += strlen(variables[i].name) + strlen(variables[i].value) + 2;
    merged = malloc((n + count + 1) * sizeof(*merged) + size);
    if (!merged) {
        err_sys(e, "make the job's environment");
        return NULL;
    }
    word = (char *)(merged + n + count + 1);
    for (; *envp; envp++)
        if (!is_set_by(*envp, variables, count))
            merged[at++] = *envp;
    for (size_t i = 0; i < count; i++) {
        merged[at++] = word;
        word = stpcpy(stpcpy(stpcpy(word, variables[i].name), "="), variables[i].value);
        word++;
    }
    merged[at] = NULL;
    return merged;
}

/* ERR_USAGE: the policy cannot be had here. */
static int launch_by(struct contract *c, const struct cpu_policy *policy,
                     char *const *envp, char ***merged, struct err *e)
{
    struct cpu_variable variables[CPU_BASELINE_VARIABLES];
    size_t count;

    if (cpu_baseline(policy, &c->here, getenv, variables, &count, e) < 0 ||
        make(c, policy, NULL, e) < 0)
        return -1;
    *merged = merge(envp, variables, count, e);
    return *merged ? 0 : -1;
}

int contract_launch(struct contract *c, const struct job_config *config,
                    struct events *events, char ***envp, struct err *e)
{
    const struct cpu_policy host = {.kind = CPU_POLICY_HOST};

    if (launch_by(c, &config->cpu, config->envp, envp, e) == 0)
        return 0;
    if (e->kind != ERR_USAGE)
        return -1;
    event_log(events, LOG_WARNING, "warning", NULL, "%s; the policy host is taken",
              e->text);
    err_clear(e);
    return launch_by(c, &host, config->envp, envp, e);
}
