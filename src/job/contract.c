/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/contract.h"

#include "base/err.h"
#include "base/scope.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int contract_open(struct contract *c, struct err *e)
{
    c->text[0] = c->all_text[0] = '\0';
    c->hosts = 0;
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

/* ---- the hosts of a job that runs on several ---- */

/* The environment that keeps a job to a baseline does not go through ssh. */
static struct cpu_policy policy_elsewhere(const struct cpu_policy *own)
{
    return own->kind == CPU_POLICY_BASELINE
               ? (struct cpu_policy){.kind = CPU_POLICY_HOST}
               : *own;
}

/* What a host says can be wrong, but that is no damage of a generation. */
static int read_host_cpu(const struct contract_hosts *h, const struct gate_host *host,
                         struct cpu *cpu, struct err *e)
{
    if (!host->cpu) {
        *cpu = h->contract->here;
        return 0;
    }
    if (cpu_parse(host->cpu, cpu, e) == 0)
        return 0;
    e->kind = ERR_FAILED;
    return err_wrap(e, "host %s of the job", host->name);
}

static void tell_unknown(const struct contract_hosts *h, const char *name)
{
    event_log(h->events, LOG_WARNING, "warning", event_generation(h->generation),
              "generation %" PRIu64
              " does not say what the processes that come to host "
              "%s need of a CPU, an earlier version made it: whether it has that is "
              "not known",
              h->generation, name);
}

bool contract_would_do(void *arg, const struct gate_host *host)
{
    const struct contract_hosts *h = arg;
    struct cpu_contract kept;
    struct err ignored = {0};
    struct cpu cpu;

    if (read_host_cpu(h, host, &cpu, &ignored) < 0)
        return false;
    for (size_t i = 0; i < host->n_kept; i++)
        if (cpu_contract_parse(host->kept[i], &kept, &ignored) == 0 &&
            !cpu_contract_holds(&kept, &cpu, NULL))
            return false;
    return true;
}

/* Adds what has to come to the host to what is needed there. */
static int take_kept(struct contract_hosts *h, const char *kept, const char *name,
                     const struct cpu *cpu, struct cpu_flags *needs, struct err *e)
{
    struct cpu_contract contract;

    if (!kept[0]) {
        tell_unknown(h, name);
        return 0;
    }
    if (cpu_contract_parse(kept, &contract, e) < 0)
        return err_wrap(e, "CPU contract of a host");
    if (cpu_contract_check(&contract, cpu, name, h->generation, e) < 0) {
        if (!h->config->ignore_cpu) {
            h->is_refused = true;
            return -1;
        }
        event_log(h->events, LOG_WARNING, "warning", event_generation(h->generation),
                  "%s; it is continued there all the same, as was asked for", e->text);
        err_clear(e);
    }
    return cpu_flags_union(needs, &contract.needs, e);
}

/* Hosts of another architecture cannot be asked for together with ours. */
static int add_to_all(struct contract *c, const struct cpu_contract *own,
                      const struct cpu_contract *host, struct err *e)
{
    if (c->hosts == 0) {
        c->hosts = 1;
        c->on_all = *own;
    }
    if (strcmp(host->made_on.arch, c->on_all.made_on.arch) == 0 &&
        cpu_flags_union(&c->on_all.needs, &host->needs, e) < 0)
        return -1;
    return cpu_contract_format(&c->on_all, c->all_text, sizeof(c->all_text), e);
}

int contract_use_host(void *arg, const struct gate_host *host,
                      char keep[GATE_KEEP_SIZE], struct err *e)
{
    struct contract_hosts *h = arg;
    struct contract *c = h->contract;
    const char *name = host->name ? host->name : h->config->host;
    struct cpu_contract own, before, made;
    struct cpu_policy policy;
    struct cpu cpu;

    if (cpu_contract_parse(c->text, &own, e) < 0 || read_host_cpu(h, host, &cpu, e) < 0)
        return -1;
    before = (struct cpu_contract){0};
    if (!host->name)
        before.needs = own.needs;
    for (size_t i = 0; i < host->n_kept; i++)
        if (take_kept(h, host->kept[i], name, &cpu, &before.needs, e) < 0)
            return -1;
    policy = host->name ? policy_elsewhere(&own.policy) : own.policy;
    if (cpu_contract_make(&policy, &cpu, &before, &made, e) < 0 ||
        cpu_contract_format(&made, keep, GATE_KEEP_SIZE, e) < 0 ||
        add_to_all(c, &own, &made, e) < 0)
        return -1;
    if (host->name)
        c->hosts++;
    else
        memcpy(c->text, keep, sizeof(c->text));
    return 0;
}
