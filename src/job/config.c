/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "job/job.h"
#include "job/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- values: each is a settings_take, `arg` is the struct job_config ---- */

static int take_interval(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    return str_to_seconds(value, &config->interval_s, e);
}

static int take_freeze_timeout(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    return str_to_seconds(value, &config->freeze_timeout_s, e);
}

static int take_keep(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;
    uint64_t keep;

    if (str_to_u64(value, &keep, e) < 0 || keep < 1 || keep > INT_MAX)
        return err_set(e, ERR_USAGE, "%.60s is not a number of generations", value);
    config->keep = (unsigned)keep;
    return 0;
}

static int take_compress(void *arg, const char *value, struct err *e)
{
    static const struct {
        const char *name;
        enum engine_compress compress;
    } names[] = {{"auto", ENGINE_COMPRESS_AUTO},
                 {"none", ENGINE_COMPRESS_NONE},
                 {"zstd", ENGINE_COMPRESS_ZSTD},
                 {"gzip", ENGINE_COMPRESS_GZIP}};
    struct job_config *config = arg;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i].name, value) == 0) {
            config->compress = names[i].compress;
            return 0;
        }
    return err_set(e, ERR_USAGE, "%.60s is none of auto, none, zstd, gzip", value);
}

static int take_carry(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return err_set(e, ERR_USAGE, "%.60s is neither 0 nor 1", value);
    config->carry_tmpdir = value[0] == '1';
    return 0;
}

static int take_engine(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    if (job_check_engine_name(value, e) < 0)
        return -1;
    config->engine_name = value;
    return 0;
}

static int take_cpu(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    return cpu_policy_parse(value, &config->cpu, e);
}

/* Whether that host has it is for the engine's probe to say: a site may have it on some
 * hosts only. */
static int take_prefix(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;

    if (value[0] != '/')
        return err_set(e, ERR_USAGE, "%s is not an absolute path", value);
    config->engine_options.dmtcp_prefix = value;
    return 0;
}

static int check_plugin(const char *path, struct err *e)
{
    struct stat st;

    if (path[0] != '/')
        return err_set(e, ERR_USAGE, "plugin '%s' is not an absolute path", path);
    if (stat(path, &st) < 0)
        return err_set(e, ERR_USAGE, "plugin %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || access(path, R_OK) < 0)
        return err_set(e, ERR_USAGE, "plugin %s is not a file that can be read", path);
    return 0;
}

static int take_plugins(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;
    auto_free char *copy = strdup(value);
    char *rest = copy, *path;

    if (!copy)
        return err_sys(e, "plugins");
    while ((path = strsep(&rest, ":")))
        if (check_plugin(path, e) < 0)
            return -1;
    config->engine_options.dmtcp_plugins = value;
    return 0;
}

/* What decides where the coordinator, the images and the signals are is not for others
 * to set; some have a setting of their own. Short ones may have their value behind. */
static const char *why_not_argument(const char *word)
{
    static const struct {
        const char *name, *why;
    } ours[] = {{"--with-plugin", "plugins have a setting of their own"},
                {"--gzip", "compression has a setting of its own"},
                {"--no-gzip", "compression has a setting of its own"},
                {"--coord-host", NULL},
                {"--coord-port", NULL},
                {"--port-file", NULL},
                {"--coord-logfile", NULL},
                {"--join-coordinator", NULL},
                {"--new-coordinator", NULL},
                {"--any-coordinator", NULL},
                {"--interval", "the interval has a setting of its own"},
                {"--ckptdir", NULL},
                {"--tmpdir", NULL},
                {"--ckpt-signal", NULL},
                {"--help", NULL},
                {"--version", NULL}};
    static const char set_by_us[] = "it is set by qckpt";
    size_t length = strcspn(word, "=");

    if (strncmp(word, "--", 2) != 0)
        return strchr("hpji", word[1]) ? set_by_us : NULL;
    if (!word[2])
        return "the command is added by qckpt";
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strlen(ours[i].name) == length && strncmp(ours[i].name, word, length) == 0)
            return ours[i].why ? ours[i].why : set_by_us;
    return NULL;
}

static int take_arguments(void *arg, const char *value, struct err *e)
{
    struct job_config *config = arg;
    auto_free char *copy = strdup(value);
    char *rest = copy, *word;
    bool is_first = true;

    if (!copy)
        return err_sys(e, "arguments");
    while ((word = strsep(&rest, " \t\n"))) {
        const char *why = word[0] == '-' ? why_not_argument(word) : NULL;

        if (word[0] && word[0] != '-' && is_first)
            return err_set(e, ERR_USAGE, "'%.60s' is not an option of dmtcp_launch",
                           word);
        if (why)
            return err_set(e, ERR_USAGE, "%.60s cannot be given: %s", word, why);
        if (word[0])
            is_first = false;
    }
    config->engine_options.dmtcp_arguments = value;
    return 0;
}

/* ---- the engine ---- */

int job_check_engine_name(const char *name, struct err *e)
{
    return strcmp(name, ENGINE_AUTO) == 0 || engine_find(name, e) ? 0 : -1;
}

/* Lowest first. */
static int read_engine(struct job_config *config, struct settings *settings,
                       const char *ckpt_env, struct err *e)
{
    config->engine = engine_table[0];
    config->engine_name = ENGINE_AUTO;
    settings_apply_file(settings, "QCKPT_ENGINE", take_engine, config);
    if (ckpt_env && strstr(ckpt_env, "dmtcp"))
        config->engine_name = "dmtcp";
    if (ckpt_env)
        settings_apply_pattern(settings, "QCKPT_ENGINE", ckpt_env, take_engine, config);
    return settings_apply_variable("QCKPT_ENGINE", take_engine, config, e);
}

bool job_choose_engine(struct job_config *config, struct engine_choice *choice)
{
    struct err e = {0};

    if (engine_choose(config->engine_name, engine_table, &config->engine_options,
                      choice, &e) < 0)
        snprintf(choice->why, sizeof(choice->why), "%s", e.text);
    config->engine = choice->engine ? choice->engine : engine_table[0];
    config->no_checkpoints = choice->engine ? NULL : choice->why;
    config->passed_over = choice->engine && choice->why[0] ? choice->why : NULL;
    return strcmp(config->engine_name, ENGINE_AUTO) != 0;
}

/* ---- all ---- */

int job_config_read(struct job_config *config, struct settings *settings,
                    const char *ckpt_env, struct err *e)
{
    static const struct {
        const char *variable;
        settings_take *take;
    } all[] = {{"QCKPT_INTERVAL", take_interval},
               {"QCKPT_FREEZE_TIMEOUT", take_freeze_timeout},
               {"QCKPT_KEEP", take_keep},
               {"QCKPT_COMPRESS", take_compress},
               {"QCKPT_CARRY_TMPDIR", take_carry},
               {"QCKPT_CPU", take_cpu},
               {"QCKPT_DMTCP_PREFIX", take_prefix},
               {"QCKPT_DMTCP_PLUGINS", take_plugins},
               {"QCKPT_DMTCP_ARGUMENTS", take_arguments}};
    const char *tmpdir = getenv("TMPDIR");
    int result = read_engine(config, settings, ckpt_env, e);

    config->tmpdir = tmpdir && *tmpdir ? tmpdir : NULL;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct err mistake = {0};

        if (settings_apply(settings, all[i].variable, all[i].take, config, &mistake) ==
            0)
            continue;
        if (result == 0)
            *e = mistake;
        else
            settings_add_problem(settings, "%s; it is ignored", mistake.text);
        result = -1;
    }
    return result;
}
