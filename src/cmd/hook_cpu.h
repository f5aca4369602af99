/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a job's checkpoints need of the CPU, made part of what the job asks Grid Engine
 * for: the scheduler then chooses no host that would have to refuse it.
 *
 * It spares refusals and waiting, and nothing depends on it: the contract is compared
 * at the restart whatever was asked for.
 */
#ifndef CMD_HOOK_CPU_H
#define CMD_HOOK_CPU_H

#include "cpu/cpu.h"
#include "ge/ge.h"

#include <stdbool.h>

struct err;
struct settings;

/*
 * What the checkpoints of the run on this host need: by the newest generation, or when
 * there is none by the policy that the job is launched with (QCKPT_CPU). The supervisor
 * comes to the same.
 */
int hook_cpu_contract(const struct ge_job *job, struct settings *settings,
                      struct cpu_contract *contract, struct err *e);

enum hook_cpu_outcome {
    HOOK_CPU_ASKED,        /* the job asks for it now */
    HOOK_CPU_ASKED_BEFORE, /* it did already, nothing was changed */
    HOOK_CPU_NOWHERE,      /* no queue of the cluster has it */
    HOOK_CPU_UNKNOWN, /* it could not be made so, nor told whether any host would do */
};

enum { HOOK_CPU_TEXT_SIZE = 2560 };

struct hook_cpu_how {
    const char *host;  /* this one as Grid Engine calls it, or NULL */
    bool runs_here;    /* so that what the job needs is known to exist on this host */
    bool even_nowhere; /* ask also for what no host has: the job waits until one has */
};

/*
 * Adds what stands for the contract to the job's hard requests, where this host may.
 * What no host has, or fewer than the job runs on (job->hosts), is asked for only with
 * `even_nowhere`: the job then waits until enough have. `text` is a sentence for the
 * job's log in any case.
 */
enum hook_cpu_outcome hook_cpu_ask(const struct ge_job *job,
                                   const struct hook_cpu_how *how,
                                   const struct cpu_contract *contract,
                                   char text[HOOK_CPU_TEXT_SIZE]);

/* For a job that runs on several hosts: adds what all of them together need, as the
 * supervisor says it (struct job_status). */
int hook_cpu_add(struct cpu_contract *contract, const char *needs, struct err *e);

/*
 * The same for a task of an array job, whose requests all tasks have in common: what
 * every task with checkpoints needs; nothing as long as a task waits for its first
 * start, which may be anywhere, or as it is not known what one of them needs.
 */
enum hook_cpu_outcome hook_cpu_ask_common(const struct ge_job *job,
                                          const struct hook_cpu_how *how,
                                          const struct cpu_contract *contract,
                                          char text[HOOK_CPU_TEXT_SIZE]);

#endif
