/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "job/job.h"
#include "tap.h"

#include <stdlib.h>

static struct job_config config;
static struct err e;

static int read_with(const char *name, const char *value)
{
    static const char *const names[] = {
        "QCKPT_ENGINE",   "QCKPT_INTERVAL",     "QCKPT_KEEP", "QCKPT_FREEZE_TIMEOUT",
        "QCKPT_COMPRESS", "QCKPT_CARRY_TMPDIR", "TMPDIR"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    setenv(name, value, 1);
    config = (struct job_config){0};
    err_clear(&e);
    return job_config_from_environment(&config, &e);
}

static void without_variables_the_defaults_stay(void)
{
    CHECK(read_with("OTHER", "1") == 0);
    CHECK_STR(config.engine->name, "native");
    CHECK(!config.engine_name);
    CHECK_INT(config.interval_s, 0);
    CHECK_INT(config.keep, 0);
    CHECK_INT(config.compress, ENGINE_COMPRESS_AUTO);
    CHECK(!config.carry_tmpdir);
    CHECK(!config.tmpdir);
}

static void each_variable_is_read(void)
{
    CHECK(read_with("QCKPT_INTERVAL", "2h") == 0);
    CHECK_INT(config.interval_s, 7200);
    CHECK(read_with("QCKPT_KEEP", "7") == 0);
    CHECK_INT(config.keep, 7);
    CHECK(read_with("QCKPT_FREEZE_TIMEOUT", "90") == 0);
    CHECK_INT(config.freeze_timeout_s, 90);
    CHECK(read_with("QCKPT_COMPRESS", "none") == 0);
    CHECK_INT(config.compress, ENGINE_COMPRESS_NONE);
    CHECK(read_with("QCKPT_COMPRESS", "zstd") == 0);
    CHECK_INT(config.compress, ENGINE_COMPRESS_ZSTD);
    CHECK(read_with("QCKPT_CARRY_TMPDIR", "1") == 0);
    CHECK(config.carry_tmpdir);
    CHECK(read_with("QCKPT_CARRY_TMPDIR", "0") == 0);
    CHECK(!config.carry_tmpdir);
    CHECK(read_with("QCKPT_ENGINE", "native") == 0);
    CHECK_STR(config.engine_name, "native");
    CHECK(read_with("QCKPT_ENGINE", "auto") == 0);
    CHECK_STR(config.engine_name, "auto");
    CHECK(read_with("TMPDIR", "/tmp/x") == 0);
    CHECK_STR(config.tmpdir, "/tmp/x");
}

static void an_empty_variable_is_none(void)
{
    CHECK(read_with("QCKPT_INTERVAL", "") == 0);
    CHECK_INT(config.interval_s, 0);
    CHECK(read_with("QCKPT_ENGINE", "") == 0);
    CHECK(!config.engine_name);
}

static void a_mistake_names_the_variable_and_leaves_an_engine(void)
{
    static const char *const wrong[][2] = {
        {"QCKPT_INTERVAL", "soon"},    {"QCKPT_KEEP", "0"},
        {"QCKPT_KEEP", "99999999999"}, {"QCKPT_FREEZE_TIMEOUT", "-1"},
        {"QCKPT_COMPRESS", "gzip"},    {"QCKPT_ENGINE", "steam"}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(read_with(wrong[i][0], wrong[i][1]) < 0);
        CHECK_INT(e.kind, ERR_USAGE);
        CHECK_HAS(e.text, wrong[i][0]);
        CHECK_HAS(e.text, wrong[i][1]);
        CHECK(config.engine != NULL);
        CHECK(!config.engine_name);
    }
}

int main(void)
{
    RUN(without_variables_the_defaults_stay);
    RUN(each_variable_is_read);
    RUN(an_empty_variable_is_none);
    RUN(a_mistake_names_the_variable_and_leaves_an_engine);
    return tap_done();
}
