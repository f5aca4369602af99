/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "cmd/cmd.h"
#include "cmd/jobcmd.h"
#include "store/store.h"

static const char *directory = CMD_DEFAULT_DIR;
static unsigned interval_s;
static uint64_t keep, generation;
static bool ignore_cpu;

static const struct opt options[] = {
    {'d', "directory", "DIR", OPT_STRING, &directory,
     "where the checkpoints are (" CMD_DEFAULT_DIR ")"},
    {'g', "generation", "N", OPT_NUMBER, &generation,
     "restart from this one, not from the newest good one"},
    {0, "ignore-cpu", NULL, OPT_FLAG, &ignore_cpu,
     "also where the CPU lacks what the checkpoint needs"},
    {0, "interval", "TIME", OPT_SECONDS, &interval_s,
     "checkpoint every TIME: 90, 90s, 10m, 2h"},
    {0, "keep", "N", OPT_NUMBER, &keep, "keep the last N checkpoints (2)"},
    {0}};

static int run(int count, char **words, struct err *e)
{
    auto_store struct store *store = NULL;
    struct job_config config;

    if (cmd_no_words(count, words, e) < 0 ||
        jobcmd_config(&config, interval_s, keep, e) < 0)
        return -1;
    store = cmd_open_job(directory, e);
    if (!store)
        return -1;
    config.store = store;
    config.generation = generation;
    config.ignore_cpu = ignore_cpu;
    return jobcmd_run(&config, e);
}

const struct command cmd_restart = {
    .name = "restart",
    .arguments = "[OPTION]...",
    .summary = "Continue a job from a checkpoint",
    .more =
        "Ends as the job ends, or with 75 when it was stopped at a checkpoint. A job\n"
        "that has ended before is not run again: its status is given again.\n",
    .options = options,
    .run = run};
