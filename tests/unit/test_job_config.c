/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "job/job.h"
#include "job/settings.h"
#include "scratch.h"
#include "tap.h"

#include <stdlib.h>

static struct job_config config;
static struct err e;
static struct settings *settings;

static void clear_environment(void)
{
    static const char *const names[] = {"QCKPT_ENGINE",
                                        "QCKPT_INTERVAL",
                                        "QCKPT_KEEP",
                                        "QCKPT_FREEZE_TIMEOUT",
                                        "QCKPT_COMPRESS",
                                        "QCKPT_CARRY_TMPDIR",
                                        "QCKPT_CPU",
                                        "QCKPT_DMTCP_PREFIX",
                                        "QCKPT_DMTCP_PLUGINS",
                                        "QCKPT_DMTCP_ARGUMENTS",
                                        "TMPDIR"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

/* With the site's file as given, one variable, and a checkpoint environment. */
static int read_all(const char *file, const char *name, const char *value,
                    const char *ckpt_env)
{
    clear_environment();
    if (name)
        setenv(name, value, 1);
    settings_free(settings);
    settings = settings_parse("site.conf", file, strlen(file));
    config = (struct job_config){0};
    err_clear(&e);
    return job_config_read(&config, settings, ckpt_env, &e);
}

static int read_with(const char *name, const char *value)
{
    return read_all("", name, value, NULL);
}

static int read_file(const char *file)
{
    return read_all(file, NULL, NULL, NULL);
}

static const char *engine_in(const char *file, const char *ckpt_env)
{
    CHECK(read_all(file, NULL, NULL, ckpt_env) == 0);
    return config.engine_name;
}

static void without_variables_the_defaults_stay(void)
{
    CHECK(read_with("OTHER", "1") == 0);
    CHECK_STR(config.engine->name, "native");
    CHECK_STR(config.engine_name, "auto");
    CHECK_INT(config.interval_s, 0);
    CHECK_INT(config.keep, 0);
    CHECK_INT(config.compress, ENGINE_COMPRESS_AUTO);
    CHECK(!config.carry_tmpdir);
    CHECK(!config.tmpdir);
    CHECK_INT(config.cpu.kind, CPU_POLICY_HOST);
    CHECK(!config.engine_options.dmtcp_prefix);
    CHECK(!config.engine_options.dmtcp_plugins);
    CHECK(!config.engine_options.dmtcp_arguments);
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
    CHECK(read_with("QCKPT_COMPRESS", "gzip") == 0);
    CHECK_INT(config.compress, ENGINE_COMPRESS_GZIP);
    CHECK(read_with("QCKPT_CARRY_TMPDIR", "1") == 0);
    CHECK(config.carry_tmpdir);
    CHECK(read_with("QCKPT_CARRY_TMPDIR", "0") == 0);
    CHECK(!config.carry_tmpdir);
    CHECK(read_with("QCKPT_CPU", "level") == 0);
    CHECK_INT(config.cpu.kind, CPU_POLICY_LEVEL);
    CHECK(read_with("QCKPT_CPU", "baseline=x86-64-v2") == 0);
    CHECK_INT(config.cpu.kind, CPU_POLICY_BASELINE);
    CHECK_INT(config.cpu.level, 2);
    CHECK(read_with("QCKPT_ENGINE", "native") == 0);
    CHECK_STR(config.engine_name, "native");
    CHECK(read_with("QCKPT_DMTCP_PREFIX", "/opt/dmtcp") == 0);
    CHECK_STR(config.engine_options.dmtcp_prefix, "/opt/dmtcp");
    CHECK(read_with("QCKPT_DMTCP_ARGUMENTS", " --checkpoint-open-files  --pathvirt") ==
          0);
    CHECK_STR(config.engine_options.dmtcp_arguments,
              " --checkpoint-open-files  --pathvirt");
    CHECK(read_with("TMPDIR", "/tmp/x") == 0);
    CHECK_STR(config.tmpdir, "/tmp/x");
}

static void an_empty_variable_is_none(void)
{
    CHECK(read_with("QCKPT_INTERVAL", "") == 0);
    CHECK_INT(config.interval_s, 0);
    CHECK(read_with("QCKPT_ENGINE", "") == 0);
    CHECK_STR(config.engine_name, "auto");
}

static void a_mistake_names_the_variable_and_leaves_an_engine(void)
{
    static const char *const wrong[][2] = {
        {"QCKPT_INTERVAL", "soon"},      {"QCKPT_KEEP", "0"},
        {"QCKPT_KEEP", "99999999999"},   {"QCKPT_FREEZE_TIMEOUT", "-1"},
        {"QCKPT_COMPRESS", "lzma"},      {"QCKPT_ENGINE", "steam"},
        {"QCKPT_CARRY_TMPDIR", "maybe"}, {"QCKPT_DMTCP_PREFIX", "opt/dmtcp"}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(read_with(wrong[i][0], wrong[i][1]) < 0);
        CHECK_INT(e.kind, ERR_USAGE);
        CHECK_HAS(e.text, wrong[i][0]);
        CHECK_HAS(e.text, wrong[i][1]);
        CHECK(config.engine != NULL);
        CHECK_STR(config.engine_name, "auto");
    }
}

static void each_plugin_must_be_there(void)
{
    struct scratch s = scratch_make();
    char list[200], missing[200];

    scratch_put(s.fd, "a.so", "x", 1);
    scratch_put(s.fd, "b.so", "x", 1);
    snprintf(list, sizeof(list), "%s/a.so:%s/b.so", s.path, s.path);
    CHECK(read_with("QCKPT_DMTCP_PLUGINS", list) == 0);
    CHECK_STR(config.engine_options.dmtcp_plugins, list);
    snprintf(missing, sizeof(missing), "%s/a.so:%s/c.so", s.path, s.path);
    CHECK(read_with("QCKPT_DMTCP_PLUGINS", missing) < 0);
    CHECK_HAS(e.text, "QCKPT_DMTCP_PLUGINS: plugin /");
    CHECK_HAS(e.text, "/c.so: No such file");
    CHECK(!config.engine_options.dmtcp_plugins);
    CHECK(read_with("QCKPT_DMTCP_PLUGINS", s.path) < 0);
    CHECK_HAS(e.text, "is not a file");
    CHECK(read_with("QCKPT_DMTCP_PLUGINS", "a.so") < 0);
    CHECK_HAS(e.text, "plugin 'a.so' is not an absolute path");
    snprintf(missing, sizeof(missing), "%s/a.so:", s.path);
    CHECK(read_with("QCKPT_DMTCP_PLUGINS", missing) < 0);
    scratch_drop(&s);
}

static void arguments_that_are_ours_are_refused(void)
{
    static const char *const wrong[] = {
        "-p 7779",         "-p7779", "--pathvirt -j", "--coord-host=other",
        "--ckptdir /x",    "-i 5",   "--gzip",        "--with-plugin /x",
        "--interval 5",    "-- rm",  "/bin/true",     "pathvirt",
        "--ckpt-signal 10"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK(read_with("QCKPT_DMTCP_ARGUMENTS", wrong[i]) < 0);
        CHECK_HAS(e.text, "QCKPT_DMTCP_ARGUMENTS: ");
        CHECK(!config.engine_options.dmtcp_arguments);
    }
}

static void the_file_sets_what_no_variable_does(void)
{
    static const char file[] = "# ours\n"
                               "interval = 1h\n"
                               "  keep=3   # three\n"
                               "compress =none\n"
                               "freeze_timeout = 2m\n"
                               "carry_tmpdir = 1\n"
                               "dmtcp_prefix = /opt/dmtcp\n"
                               "\n"
                               "dmtcp_arguments = --pathvirt --modify-env";

    CHECK(read_file(file) == 0);
    CHECK_INT(config.interval_s, 3600);
    CHECK_INT(config.keep, 3);
    CHECK_INT(config.compress, ENGINE_COMPRESS_NONE);
    CHECK_INT(config.freeze_timeout_s, 120);
    CHECK(config.carry_tmpdir);
    CHECK_STR(config.engine_options.dmtcp_prefix, "/opt/dmtcp");
    CHECK_STR(config.engine_options.dmtcp_arguments, "--pathvirt --modify-env");
    CHECK(!settings_problem(settings, 0));
    CHECK(read_all(file, "QCKPT_INTERVAL", "5", NULL) == 0);
    CHECK_INT(config.interval_s, 5);
    CHECK_INT(config.keep, 3);
    CHECK(read_all(file, "QCKPT_CARRY_TMPDIR", "0", NULL) == 0);
    CHECK(!config.carry_tmpdir);
}

static void a_wrong_variable_leaves_what_the_file_says(void)
{
    CHECK(read_all("interval = 1h\n", "QCKPT_INTERVAL", "soon", NULL) < 0);
    CHECK_INT(config.interval_s, 3600);
}

static void what_is_wrong_in_the_file_is_told_and_left_out(void)
{
    CHECK(read_file("keep = many\n"
                    "interval = 1h\n"
                    "intervall = 2h\n"
                    "interval = 3h\n"
                    "keep[x] = 3\n"
                    "hello\n"
                    "engine = steam\n") == 0);
    CHECK_INT(config.keep, 0);
    CHECK_INT(config.interval_s, 3600);
    CHECK_STR(config.engine_name, "auto");
    CHECK_STR(settings_problem(settings, 0),
              "site.conf:3: there is no setting 'intervall' (did you mean interval?); "
              "it is ignored");
    CHECK_STR(settings_problem(settings, 1),
              "site.conf:4: interval has been set in line 2; this one is ignored");
    CHECK_STR(settings_problem(settings, 2),
              "site.conf:5: keep takes no [PATTERN]; it is ignored");
    CHECK_STR(settings_problem(settings, 3),
              "site.conf:6: 'hello' is not of the form name = value; it is ignored");
    CHECK_HAS(settings_problem(settings, 4),
              "site.conf:7: engine: there is no engine 'steam'");
    CHECK_STR(settings_problem(settings, 5),
              "site.conf:1: keep: many is not a number of generations; it is ignored");
    CHECK(!settings_problem(settings, 6));
}

static void a_file_may_hold_anything(void)
{
    unsigned seed = 1;

    for (int round = 0; round < 3000; round++) {
        static const char letters[] = "engine[]=#\n \tkeep*\\\"\x80";
        char junk[200];

        for (size_t i = 0; i < sizeof(junk); i++)
            junk[i] = letters[rand_r(&seed) % (sizeof(letters) - (round % 2))];
        settings_free(settings);
        settings = settings_parse("junk", junk, rand_r(&seed) % sizeof(junk));
        config = (struct job_config){0};
        clear_environment();
        CHECK(job_config_read(&config, settings, "keep", &e) == 0);
    }
}

static void the_engine_is_the_most_exact_that_is_said(void)
{
    static const char file[] = "engine = native\n"
                               "engine[dmtcp_native*] = native\n"
                               "engine[ any* ] = auto\n"
                               "engine[any_other] = native\n";

    CHECK_STR(engine_in("", NULL), "auto");
    CHECK_STR(engine_in("", "qckpt"), "auto");
    CHECK_STR(engine_in(file, NULL), "native");
    CHECK_STR(engine_in(file, "qckpt"), "native");
    CHECK_STR(engine_in(file, "dmtcp_native_1"), "native");
    CHECK_STR(engine_in(file, "any_other"), "auto");
    CHECK_STR(engine_in("", "dmtcp"), "dmtcp");
    CHECK_STR(engine_in("", "my_dmtcp_cpu"), "dmtcp");
    CHECK_STR(engine_in(file, "dmtcp"), "dmtcp");
    CHECK(read_all(file, "QCKPT_ENGINE", "auto", "qckpt") == 0);
    CHECK_STR(config.engine_name, "auto");
    CHECK(read_all(file, "QCKPT_ENGINE", "native", "dmtcp") == 0);
    CHECK_STR(config.engine_name, "native");
    CHECK(read_all("", "QCKPT_ENGINE", "steam", "dmtcp") < 0);
    CHECK_STR(config.engine_name, "dmtcp");
}

static void a_bad_line_for_an_environment_gives_way_to_the_next(void)
{
    CHECK_STR(engine_in("engine[q*] = steam\nengine[qckpt] = native\n", "qckpt"),
              "native");
    CHECK_HAS(settings_problem(settings, 0), "site.conf:1: engine: there is no engine");
}

/* ---- the file itself ---- */

static struct settings *read_path(const char *path)
{
    setenv("QCKPT_CONFIG", path, 1);
    settings_free(settings);
    settings = settings_read();
    unsetenv("QCKPT_CONFIG");
    return settings;
}

static void a_mistyped_variable_is_told(void)
{
    setenv("QCKPT_INTERVALL", "10m", 1);
    setenv("QCKPT_OF_SOMEBODY_ELSE", "1", 1);
    CHECK_STR(settings_problem(read_path("/dev/null/nonexistent"), 1),
              "QCKPT_INTERVALL is no variable of qckpt; did you mean QCKPT_INTERVAL?");
    CHECK(!settings_problem(settings, 2));
    unsetenv("QCKPT_INTERVALL");
    unsetenv("QCKPT_OF_SOMEBODY_ELSE");
}

static void a_file_that_is_named_must_be_there(void)
{
    struct scratch s = scratch_make();
    char path[100], problem[200];

    snprintf(path, sizeof(path), "%s/site.conf", s.path);
    snprintf(problem, sizeof(problem),
             "%s is ignored: QCKPT_CONFIG names it, and there is no such file", path);
    CHECK_STR(settings_problem(read_path(path), 0), problem);
    CHECK(!settings_problem(settings, 1));
    CHECK_HAS(settings_problem(read_path("/dev/null/site.conf"), 0), "no such file");
    CHECK(!settings_problem(read_path(""), 0));
    scratch_put(s.fd, "site.conf", "", 0);
    CHECK(!settings_problem(read_path(path), 0));
    scratch_drop(&s);
}

static void only_a_file_nobody_else_may_write_is_trusted(void)
{
    struct scratch s = scratch_make();
    char path[100];

    snprintf(path, sizeof(path), "%s/site.conf", s.path);
    scratch_put(s.fd, "site.conf", "nothing = 1\n", 12);
    CHECK_HAS(settings_problem(read_path(path), 0), "site.conf:1: there is no setting");
    fchmodat(s.fd, "site.conf", 0646, 0);
    CHECK_HAS(settings_problem(read_path(path), 0),
              "is ignored: others than its owner may write it");
    fchmodat(s.fd, "site.conf", 0664, 0);
    CHECK_HAS(settings_problem(read_path(path), 0), "may write it");
    fchmodat(s.fd, "site.conf", 0644, 0);
    CHECK_HAS(settings_problem(read_path(path), 0), "there is no setting");
    CHECK_HAS(settings_problem(read_path(s.path), 0), "not a regular file");
    if (geteuid() == 0 && fchownat(s.fd, "site.conf", 4711, 0, 0) == 0)
        CHECK_HAS(settings_problem(read_path(path), 0),
                  "is ignored: it belongs to user 4711");
    scratch_drop(&s);
}

static void a_file_that_is_no_text_is_ignored(void)
{
    settings_free(settings);
    settings = settings_parse("site.conf", "keep = 3\n\0", 10);
    CHECK_STR(settings_problem(settings, 0), "site.conf is ignored: it is not a text");
}

int main(void)
{
    RUN(without_variables_the_defaults_stay);
    RUN(each_variable_is_read);
    RUN(an_empty_variable_is_none);
    RUN(a_mistake_names_the_variable_and_leaves_an_engine);
    RUN(each_plugin_must_be_there);
    RUN(arguments_that_are_ours_are_refused);
    RUN(the_file_sets_what_no_variable_does);
    RUN(a_wrong_variable_leaves_what_the_file_says);
    RUN(what_is_wrong_in_the_file_is_told_and_left_out);
    RUN(a_file_may_hold_anything);
    RUN(the_engine_is_the_most_exact_that_is_said);
    RUN(a_bad_line_for_an_environment_gives_way_to_the_next);
    RUN(a_mistyped_variable_is_told);
    RUN(a_file_that_is_named_must_be_there);
    RUN(only_a_file_nobody_else_may_write_is_trusted);
    RUN(a_file_that_is_no_text_is_ignored);
    settings_free(settings);
    return tap_done();
}
