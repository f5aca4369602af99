/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an engine asks before it uses the hosts of a job that runs on several. The
 * engine knows which processes come to which host, and keeps with each what it is given
 * to keep; only who asks for the checkpoints knows what processes need of a host.
 */
#ifndef BASE_GATE_H
#define BASE_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* One host, before anything of the job is started on it. */
struct gate_host {
    const char *name; /* as Grid Engine calls it; NULL: this one */
    const char *cpu;  /* what it says of its CPU, see cpu_format; NULL: this one */
    /* A restart: what was kept of the hosts whose processes come to it, "" where
     * nothing was. The host of the job's first process is not among them: what came
     * from there comes here, and was looked at before. */
    const char *const *kept;
    size_t n_kept;
};

enum { GATE_KEEP_SIZE = 8192 };

struct gate {
    /* Whether the processes that come to the host can run on it. Changes nothing: to be
     * asked as often as needed, for other hosts than this one. */
    bool (*would_do)(void *arg, const struct gate_host *host);
    /* The same for good, once for each host of the run; this one only at a restart.
     * What is to be kept with the host goes into `keep`. ERR_WRONG_HOST names what is
     * missing. */
    int (*use)(void *arg, const struct gate_host *host, char keep[GATE_KEEP_SIZE],
               struct err *e);
    void *arg;
};

#endif
