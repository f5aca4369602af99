/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "cpu/cpu.h"
#include "cpu/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONTRACT_FORMAT = 1 };

static const char baseline[] = "baseline=x86-64-v";

int cpu_policy_parse(const char *text, struct cpu_policy *p, struct err *e)
{
    const size_t length = sizeof(baseline) - 1;

    if (strcmp(text, "host") == 0)
        *p = (struct cpu_policy){.kind = CPU_POLICY_HOST};
    else if (strcmp(text, "level") == 0)
        *p = (struct cpu_policy){.kind = CPU_POLICY_LEVEL};
    else if (strncmp(text, baseline, length) == 0 && text[length] >= '1' &&
             text[length] <= '0' + CPU_LEVELS && !text[length + 1])
        *p = (struct cpu_policy){.kind = CPU_POLICY_BASELINE,
                                 .level = text[length] - '0'};
    else
        return err_set(e, ERR_USAGE,
                       "\"%.40s\" is none of host, level, baseline=x86-64-v1 to -v%d",
                       text, CPU_LEVELS);
    return 0;
}

const char *cpu_policy_format(const struct cpu_policy *p, char out[CPU_POLICY_SIZE])
{
    if (p->kind == CPU_POLICY_BASELINE)
        snprintf(out, CPU_POLICY_SIZE, "%s%u", baseline, p->level);
    else
        snprintf(out, CPU_POLICY_SIZE, "%s",
                 p->kind == CPU_POLICY_LEVEL ? "level" : "host");
    return out;
}

/*
 * What a run on `here` adds. A CPU may have some flags of a level and not all (Xeon
 * Phi, virtual machines): code is chosen by those as well, so that "level" has them
 * too. A baseline has not, because the job is made not to choose by them.
 */
static int needs_of(const struct cpu_policy *p, const struct cpu *here,
                    struct cpu_flags *needs, struct err *e)
{
    unsigned level = cpu_level(here->arch, &here->flags);

    if (p->kind == CPU_POLICY_HOST) {
        *needs = here->flags;
        return 0;
    }
    if (strcmp(here->arch, "x86_64") != 0) {
        char text[CPU_POLICY_SIZE];

        return err_set(e, ERR_USAGE,
                       "the CPU policy %s is for x86_64, and this host is %s; use host",
                       cpu_policy_format(p, text), here->arch);
    }
    if (p->kind == CPU_POLICY_LEVEL) {
        cpu_level_flags(CPU_LEVELS, needs);
        cpu_flags_common(needs, &here->flags, needs);
        return 0;
    }
    cpu_level_flags(p->level < level ? p->level : level, needs);
    return 0;
}

int cpu_contract_make(const struct cpu_policy *p, const struct cpu *here,
                      const struct cpu_contract *before, struct cpu_contract *out,
                      struct err *e)
{
    struct cpu_contract made = {.policy = *p, .made_on = *here};

    if (needs_of(p, here, &made.needs, e) < 0)
        return -1;
    if (before && cpu_flags_union(&made.needs, &before->needs, e) < 0)
        return -1;
    *out = made;
    return 0;
}

int cpu_contract_format(const struct cpu_contract *c, char *out, size_t size,
                        struct err *e)
{
    struct text_out text = {.data = out, .size = size};
    char policy[CPU_POLICY_SIZE];

    text_put(&text, "qckpt-contract %d\n", CONTRACT_FORMAT);
    text_put(&text, "policy %s\n", cpu_policy_format(&c->policy, policy));
    text_put_flags(&text, "needs", &c->needs);
    text_put_cpu(&text, &c->made_on);
    return text_finish(&text, "CPU contract", e);
}

static int read_policy(struct text_in *in, struct cpu_policy *p, struct err *e)
{
    const char *value = text_value(in, "policy", e);

    if (!value)
        return -1;
    if (cpu_policy_parse(value, p, e) < 0) {
        e->kind = ERR_CORRUPT;
        return err_wrap(e, "CPU description, line %u", in->number);
    }
    return 0;
}

int cpu_contract_parse(const char *text, struct cpu_contract *c, struct err *e)
{
    struct text_in in = {.rest = text};
    struct cpu_contract found = {0};

    if (!*text)
        return err_set(e, ERR_NOTHING, "no CPU contract was recorded");
    if (text_format(&in, "qckpt-contract", CONTRACT_FORMAT, e) < 0 ||
        read_policy(&in, &found.policy, e) < 0 ||
        text_flags(&in, "needs", &found.needs, e) < 0 ||
        text_cpu(&in, &found.made_on, e) < 0 || text_end(&in, e) < 0)
        return -1;
    *c = found;
    return 0;
}

bool cpu_contract_holds(const struct cpu_contract *c, const struct cpu *here,
                        struct cpu_flags *missing)
{
    struct cpu_flags lacks = {0};
    bool same_arch = strcmp(c->made_on.arch, here->arch) == 0;

    if (same_arch)
        cpu_flags_missing(&c->needs, &here->flags, &lacks);
    if (missing)
        *missing = lacks;
    return same_arch && lacks.count == 0;
}

int cpu_contract_check(const struct cpu_contract *c, const struct cpu *here,
                       const char *host, uint64_t generation, struct err *e)
{
    struct cpu_flags missing;
    char list[512];

    if (cpu_contract_holds(c, here, &missing))
        return 0;
    if (missing.count == 0)
        return err_set(e, ERR_WRONG_HOST,
                       "host %.255s is %s; generation %" PRIu64 " was made on %s", host,
                       here->arch, generation, c->made_on.arch);
    return err_set(e, ERR_WRONG_HOST,
                   "host %.255s lacks %s; generation %" PRIu64 " was made where %s",
                   host, cpu_flags_list(&missing, list, sizeof(list)), generation,
                   missing.count == 1 ? "it exists" : "they exist");
}
