/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "job/job.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A variable that is set but empty is as one that is not set: `-v QCKPT_INTERVAL`. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static int read_seconds(const char *name, unsigned *seconds, struct err *e)
{
    const char *value = variable(name);

    if (!value || str_to_seconds(value, seconds, e) == 0)
        return 0;
    e->kind = ERR_USAGE;
    return err_wrap(e, "%s", name);
}

static int read_keep(struct job_config *config, struct err *e)
{
    const char *value = variable("QCKPT_KEEP");
    uint64_t keep;

    if (!value)
        return 0;
    if (str_to_u64(value, &keep, e) == 0 && keep >= 1 && keep <= INT_MAX) {
        config->keep = (unsigned)keep;
        return 0;
    }
    return err_set(e, ERR_USAGE, "QCKPT_KEEP: %s is not a number of generations",
                   value);
}

static int read_compress(struct job_config *config, struct err *e)
{
    static const struct {
        const char *name;
        enum engine_compress compress;
    } names[] = {{"auto", ENGINE_COMPRESS_AUTO},
                 {"none", ENGINE_COMPRESS_NONE},
                 {"zstd", ENGINE_COMPRESS_ZSTD}};
    const char *value = variable("QCKPT_COMPRESS");

    if (!value)
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, value) == 0) {
            config->compress = names[i].compress;
            return 0;
        }
    return err_set(e, ERR_USAGE, "QCKPT_COMPRESS: %s is none of auto, none, zstd",
                   value);
}

int job_check_engine_name(const char *name, struct err *e)
{
    return strcmp(name, ENGINE_AUTO) == 0 || engine_find(name, e) ? 0 : -1;
}

static int read_engine(struct job_config *config, struct err *e)
{
    const char *value = variable("QCKPT_ENGINE");

    config->engine = engine_table[0];
    if (!value)
        return 0;
    if (job_check_engine_name(value, e) < 0)
        return err_wrap(e, "QCKPT_ENGINE");
    config->engine_name = value;
    return 0;
}

static int read_interval(struct job_config *config, struct err *e)
{
    return read_seconds("QCKPT_INTERVAL", &config->interval_s, e);
}

static int read_freeze_timeout(struct job_config *config, struct err *e)
{
    return read_seconds("QCKPT_FREEZE_TIMEOUT", &config->freeze_timeout_s, e);
}

int job_config_from_environment(struct job_config *config, struct err *e)
{
    static int (*const readers[])(struct job_config *, struct err *) = {
        read_engine, read_interval, read_freeze_timeout, read_keep, read_compress};
    const char *carry = variable("QCKPT_CARRY_TMPDIR");
    int result = 0;

    config->carry_tmpdir = carry && strcmp(carry, "1") == 0;
    config->tmpdir = variable("TMPDIR");
    config->engine_options.dmtcp_prefix = variable("QCKPT_DMTCP_PREFIX");
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
        struct err mistake = {0};

        if (readers[i](config, &mistake) == 0)
            continue;
        if (result == 0)
            *e = mistake;
        result = -1;
    }
    return result;
}

/* ---- the engine ---- */

static const char *wanted_engine(const struct job_config *config, const char *ckpt_env)
{
    if (config->engine_name)
        return config->engine_name;
    return ckpt_env && strstr(ckpt_env, "dmtcp") ? "dmtcp" : ENGINE_AUTO;
}

bool job_choose_engine(struct job_config *config, const char *ckpt_env,
                       struct engine_choice *choice)
{
    const char *name = wanted_engine(config, ckpt_env);
    struct err e = {0};

    if (engine_choose(name, engine_table, &config->engine_options, choice, &e) < 0)
        snprintf(choice->why, sizeof(choice->why), "%s", e.text);
    config->engine = choice->engine ? choice->engine : engine_table[0];
    config->no_checkpoints = choice->engine ? NULL : choice->why;
    return strcmp(name, ENGINE_AUTO) != 0;
}
