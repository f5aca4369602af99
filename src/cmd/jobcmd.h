/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `run` and `restart` have in common.
 */
#ifndef CMD_JOBCMD_H
#define CMD_JOBCMD_H

#include "job/job.h"

struct err;

/* Fills what the environment and the options say; 0 stands for an absent option. */
int jobcmd_config(struct job_config *config, unsigned interval_s, uint64_t keep,
                  struct err *e);

/* Runs the job and ends this process as the job ended, unless that fails. */
int jobcmd_run(const struct job_config *config, struct err *e);

#endif
