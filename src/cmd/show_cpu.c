/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/show_cpu.h"

#include "base/err.h"
#include "cmd/cmd.h"
#include "cpu/cpu.h"
#include "store/store.h"

#include <jansson.h>
#include <stdio.h>

static void print_here(const struct cpu_contract *contract, const struct cpu *here)
{
    struct cpu_flags missing;
    char list[512];

    if (cpu_contract_holds(contract, here, &missing))
        printf("; this host has that");
    else if (missing.count == 0)
        printf("; this host is %s", here->arch);
    else
        printf("; this host lacks %s", cpu_flags_list(&missing, list, sizeof(list)));
}

static void print_contract(const struct cpu_contract *contract, const struct cpu *here)
{
    unsigned level = cpu_level(contract->made_on.arch, &contract->needs);
    char policy[CPU_POLICY_SIZE];

    printf("needs ");
    if (level > 0)
        printf("x86-64-v%u", level);
    else
        cmd_print_safe(contract->made_on.arch);
    printf(" (%s policy: %u flags)", cpu_policy_format(&contract->policy, policy),
           contract->needs.count);
    if (contract->made_on.name[0]) {
        printf(", made on ");
        cmd_print_safe(contract->made_on.name);
    }
    if (here)
        print_here(contract, here);
}

void show_cpu_print(const struct store_meta *meta, const struct cpu *here)
{
    struct cpu_contract contract;
    struct err e = {0};

    printf("%10s  ", "");
    if (cpu_contract_parse(meta->cpu, &contract, &e) == 0)
        print_contract(&contract, here);
    else if (e.kind == ERR_NOTHING)
        printf("%s", e.text);
    else
        printf("%s: CPU contract: %s", e.kind == ERR_WRONG_HOST ? "TOO NEW" : "DAMAGED",
               e.text);
    putchar('\n');
    if (!meta->cpu_all[0])
        return;
    printf("%10s  all its hosts: ", "");
    err_clear(&e);
    if (cpu_contract_parse(meta->cpu_all, &contract, &e) == 0)
        print_contract(&contract, NULL);
    else
        printf("DAMAGED: CPU contract: %s", e.text);
    putchar('\n');
}

static json_t *names(const struct cpu_flags *set)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < set->count; i++)
        json_array_append_new(list, json_string(set->name[i]));
    return list;
}

json_t *show_cpu_json(const struct store_meta *meta, const struct cpu *here)
{
    struct cpu_contract contract;
    struct cpu_flags missing;
    char policy[CPU_POLICY_SIZE];
    struct err e = {0};
    json_t *out;

    if (cpu_contract_parse(meta->cpu, &contract, &e) < 0)
        return e.kind == ERR_NOTHING ? json_null()
                                     : json_pack("{s:s}", "error", e.text);
    out = json_pack("{s:s, s:s, s:i, s:o, s:s, s:s}", "policy",
                    cpu_policy_format(&contract.policy, policy), "arch",
                    contract.made_on.arch, "level",
                    (int)cpu_level(contract.made_on.arch, &contract.needs), "needs",
                    names(&contract.needs), "made_on", contract.made_on.name, "vendor",
                    contract.made_on.vendor);
    if (out && here) {
        json_object_set_new(
            out, "holds_here",
            json_boolean(cpu_contract_holds(&contract, here, &missing)));
        json_object_set_new(out, "missing_here", names(&missing));
    }
    if (out && cpu_contract_parse(meta->cpu_all, &contract, &e) == 0)
        json_object_set_new(out, "needs_on_all_hosts", names(&contract.needs));
    return out;
}
