/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/wrong_host.h"

#include "base/err.h"
#include "base/scope.h"
#include "store/store.h"

#include <stdio.h>

enum { DELAY_MAX_S = 600 };

/* That of the generation itself: what this host has is no matter. */
static int read_contract(struct store *store, struct cpu_contract *contract,
                         struct err *e)
{
    auto_free struct store_generation *list = NULL;
    size_t n;

    if (store_list(store, &list, &n, e) < 0)
        return -1;
    while (n-- > 0) {
        if (list[n].damage.kind == ERR_NONE)
            return cpu_contract_parse(list[n].meta.cpu_all[0] ? list[n].meta.cpu_all
                                                              : list[n].meta.cpu,
                                      contract, e);
        if (list[n].damage.kind == ERR_WRONG_HOST) {
            *e = list[n].damage;
            return -1;
        }
    }
    return err_set(e, ERR_NOTHING, "there is no good checkpoint");
}

bool wrong_host_ask(const struct ge_job *job, struct store *store, const char *host,
                    char text[HOOK_CPU_TEXT_SIZE])
{
    auto_free struct cpu_contract *contract = malloc(sizeof(*contract));
    const struct hook_cpu_how how = {.host = host};
    struct err e = {0};

    if (!contract || read_contract(store, contract, &e) < 0) {
        snprintf(text, HOOK_CPU_TEXT_SIZE, "the job's requests stay as they are: %s",
                 contract ? e.text : "out of memory");
        return false;
    }
    if (job->is_array)
        return hook_cpu_ask_common(job, &how, contract, text) == HOOK_CPU_ASKED;
    return hook_cpu_ask(job, &how, contract, text) == HOOK_CPU_ASKED;
}

unsigned wrong_host_delay_s(unsigned n, unsigned first_s)
{
    unsigned delay_s = first_s;

    while (n-- > 1 && delay_s < DELAY_MAX_S)
        delay_s *= 2;
    if (delay_s > DELAY_MAX_S && delay_s > first_s)
        delay_s = first_s > DELAY_MAX_S ? first_s : DELAY_MAX_S;
    return delay_s;
}
