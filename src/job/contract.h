/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The CPU contract of a run: which generations this host may continue, and what the
 * generations of the run will need. doc/design/cpu.md says why it is decided so.
 */
#ifndef JOB_CONTRACT_H
#define JOB_CONTRACT_H

#include "base/gate.h"
#include "cpu/cpu.h"
#include "job/events.h"
#include "job/job.h"
#include "store/store.h"

struct err;

struct contract {
    struct cpu here;
    char text[CPU_TEXT_SIZE]; /* for store_meta.cpu; by contract_continue and _launch */
    /* Of a job that runs on several hosts. */
    unsigned hosts;               /* this one included; 0: it is no such job */
    struct cpu_contract on_all;   /* what all of them together need */
    char all_text[CPU_TEXT_SIZE]; /* the same, for store_meta.cpu_all */
};

/* Reads what this host's CPU offers. */
int contract_open(struct contract *c, struct err *e);

/*
 * Whether this host may continue the generation that `meta` describes, and if so the
 * contract of the run that does; nothing else is touched. The policy by which the job
 * was launched stays.
 * ERR_WRONG_HOST says what the host lacks, unless config->ignore_cpu; then, and when
 * the generation has no contract because an earlier version made it, a warning is
 * logged. It is also the error for a contract that a newer version made, whatever
 * config says. ERR_CORRUPT: its contract cannot be read.
 */
int contract_continue(struct contract *c, const struct job_config *config,
                      struct events *events, const struct store_meta *meta,
                      struct err *e);

/*
 * Makes the contract of a job that is launched by the policy config->cpu, and the
 * environment to launch it in: config->envp with the variables that keep it to a
 * baseline. The array is the caller's, to be freed as one piece; it points into
 * config->envp too. A policy that cannot be had here is reported, and "host" taken.
 */
int contract_launch(struct contract *c, const struct job_config *config,
                    struct events *events, char ***envp, struct err *e);

/*
 * What struct gate wants to know of the hosts of a job that runs on several, after
 * contract_continue or contract_launch. What is kept with a host is its contract; the
 * contract of this one grows by what comes here from others.
 */
struct contract_hosts {
    struct contract *contract;
    const struct job_config *config;
    struct events *events;
    uint64_t generation; /* that is continued; 0: the job is launched */
    bool is_refused;     /* a host lacks something: the error says which */
};

/* `arg` of the gate is a struct contract_hosts. */
bool contract_would_do(void *arg, const struct gate_host *host);
int contract_use_host(void *arg, const struct gate_host *host,
                      char keep[GATE_KEEP_SIZE], struct err *e);

#define CONTRACT_GATE(hosts) \
    ((struct gate){          \
        .would_do = contract_would_do, .use = contract_use_host, .arg = hosts})

#endif
