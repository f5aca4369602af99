/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "cmd/cmd.h"
#include "cmd/jobcmd.h"
#include "store/store.h"

#include <string.h>

static const char *directory = CMD_DEFAULT_DIR;
static unsigned interval_s;
static uint64_t keep;
static struct opt_list names;
static const char *engine;
static struct engine_choice choice;

static const struct opt options[] = {
    {'d', "directory", "DIR", OPT_STRING, &directory,
     "keep checkpoints in DIR (" CMD_DEFAULT_DIR ")"},
    {0, "interval", "TIME", OPT_SECONDS, &interval_s,
     "checkpoint every TIME: 90, 90s, 10m, 2h"},
    {0, "keep", "N", OPT_NUMBER, &keep, "keep the last N checkpoints (2)"},
    {0, "engine", "NAME", OPT_STRING, &engine,
     "what saves the job: native, dmtcp, or auto, the first that can (auto)"},
    {0, "name", "KEY=VALUE", OPT_LIST, &names, "note about the job, for `qckpt show`"},
    {0}};

static int check_names(struct err *e)
{
    for (size_t i = 0; i < names.count; i++)
        if (!strchr(names.values[i], '=') || names.values[i][0] == '=')
            return err_set(e, ERR_USAGE, "--name %s is not of the form KEY=VALUE",
                           names.values[i]);
    return 0;
}

/* The list, ended by NULL. */
static int end_names(struct err *e)
{
    const char **grown =
        realloc(names.values, (names.count + 1) * sizeof(names.values[0]));

    if (!grown)
        return err_set(e, ERR_FAILED, "out of memory");
    grown[names.count] = NULL;
    names.values = grown;
    return 0;
}

/* Who asks for an engine wants that one or to know; else a job that cannot be saved
 * runs all the same, and says so. */
static int choose_engine(struct job_config *config, struct err *e)
{
    if (engine && job_check_engine_name(engine, e) < 0)
        return err_wrap(e, "--engine");
    if (engine)
        config->engine_name = engine;
    if (job_choose_engine(config, &choice) && config->no_checkpoints)
        return err_set(e, ERR_FAILED, "nothing was started: engine %s",
                       config->no_checkpoints);
    return 0;
}

static int run(int count, char **words, struct err *e)
{
    auto_store struct store *store = NULL;
    struct job_config config;

    if (count == 0)
        return err_set(e, ERR_USAGE,
                       "run: the command is missing: "
                       "qckpt run [OPTION]... -- COMMAND...");
    if (check_names(e) < 0 || end_names(e) < 0 ||
        jobcmd_config(&config, interval_s, keep, e) < 0 ||
        choose_engine(&config, e) < 0)
        return -1;
    store = store_open_dir(directory, true, e);
    if (!store)
        return -1;
    config.store = store;
    config.path = words[0];
    config.argv = words;
    config.envp = environ;
    config.may_launch = true;
    config.must_launch = true;
    config.names = names.count > 0 ? names.values : NULL;
    return jobcmd_run(&config, e);
}

const struct command cmd_run = {
    .name = "run",
    .arguments = "[OPTION]... [--] COMMAND [ARGUMENT]...",
    .summary = "Run a command so that it can be checkpointed",
    .more =
        "Ends as the command ends, or with 75 when it was stopped at a checkpoint.\n",
    .options = options,
    .run = run};
