/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The expected command lines are what the shepherd of Son of Grid Engine 8.1.9 executes
 * without a starter_method. */
#include "base/err.h"
#include "ge/ge.h"
#include "tap.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* "path|argv0|argv1|..." */
static const char *made(const struct ge_start *start, char *const *words)
{
    static char text[1000];
    char *argv[20] = {(char *)"-qckpt-starter"};
    auto_ge_command struct ge_command c = {0};
    struct err e = {0};
    int argc = 1;

    while (*words)
        argv[argc++] = *words++;
    if (ge_command_make(start, argc, argv, &c, &e) < 0)
        return strcpy(text, e.text);
    strcpy(text, c.path);
    for (char **w = c.argv; *w; w++)
        strcat(strcat(text, "|"), *w);
    return text;
}

#define WORDS(...)        \
    (char *[])            \
    {                     \
        __VA_ARGS__, NULL \
    }

static const struct ge_start script = {.mode = "unix_behavior",
                                       .shell = "/bin/bash",
                                       .login_shell = true,
                                       .job_script = "/spool/job_scripts/1"};

static void unix_behavior_executes_the_script_itself(void)
{
    CHECK_STR(made(&script, WORDS("/spool/job_scripts/1", "a b", "", "$c")),
              "/spool/job_scripts/1|/spool/job_scripts/1|a b||$c");
}

static void posix_compliant_starts_the_shell_with_the_script(void)
{
    struct ge_start s = script;

    s.mode = "posix_compliant";
    CHECK_STR(made(&s, WORDS("/spool/job_scripts/1", "a b", "")),
              "/bin/bash|-bash|/spool/job_scripts/1|a b|");
    s.login_shell = false;
    CHECK_STR(made(&s, WORDS("/spool/job_scripts/1")),
              "/bin/bash|bash|/spool/job_scripts/1");
}

static void script_from_stdin_starts_the_shell_with_s(void)
{
    struct ge_start s = script;

    s.mode = "script_from_stdin";
    CHECK_STR(made(&s, WORDS("-s", "a b", "-s")), "/bin/bash|-bash|-s|a b|-s");
}

static void start_as_command_drops_the_arguments(void)
{
    struct ge_start s = script;

    s.mode = "start_as_command";
    CHECK_STR(made(&s, WORDS("/spool/job_scripts/1", "a")),
              "/bin/bash|-bash|-c|/spool/job_scripts/1");
}

static void a_binary_is_a_line_for_the_shell(void)
{
    struct ge_start s = script;

    s.binary = true;
    s.job_script = "prog";
    CHECK_STR(made(&s, WORDS("prog", "a b", "$c")), "/bin/bash|-bash|-c|prog a b $c ");
    CHECK_STR(made(&s, WORDS("prog")), "/bin/bash|-bash|-c|prog ");
    CHECK_STR(made(&s, WORDS("prog", "a", "", "b")),
              "/bin/bash|-bash|-c|prog a \"\"b ");
    s.mode = "posix_compliant";
    CHECK_STR(made(&s, WORDS("a | b")), "/bin/bash|-bash|-c|a | b ");
}

static void a_binary_without_shell_is_executed(void)
{
    struct ge_start s = script;

    s.binary = s.no_shell = true;
    CHECK_STR(made(&s, WORDS("prog", "a b", "")), "prog|prog|a b|");
    s.mode = "posix_compliant";
    CHECK_STR(made(&s, WORDS("prog", "a")), "prog|prog|a");
}

static void the_name_of_a_binary_from_stdin_is_recovered(void)
{
    struct ge_start s = script;

    s.mode = "script_from_stdin";
    s.binary = true;
    s.job_script = "bin/prog";
    CHECK_STR(made(&s, WORDS("-s", "a b", "c")), "/bin/bash|-bash|-c|bin/prog a b c ");
    s.job_script = NULL;
    CHECK_HAS(made(&s, WORDS("-s", "a")), "JOB_SCRIPT is not set");
}

static void qrsh_uses_the_users_shell(void)
{
    struct ge_start s = {
        .mode = "unix_behavior", .qrsh = true, .user_shell = "/bin/zsh"};

    CHECK_STR(made(&s, WORDS("echo", "a b", "$X;", "", "c")),
              "/bin/zsh|zsh|-c|echo a b $X;  c");
    s.no_shell = true;
    CHECK_STR(made(&s, WORDS("echo", "a b")), "echo|echo|a b");
}

static void modes_are_compared_as_grid_engine_does(void)
{
    struct ge_start s = script;

    s.mode = "POSIX_COMPLIANT";
    CHECK_STR(made(&s, WORDS("x")), "/bin/bash|-bash|x");
    s.mode = "raw_exec";
    CHECK_STR(made(&s, WORDS("x", "y")), "x|x|y");
    s.mode = "something new";
    CHECK_STR(made(&s, WORDS("x", "y")), "x|x|y");
}

static void no_words_are_an_error(void)
{
    CHECK_HAS(made(&script, (char *[]){NULL}), "is this called as a starter_method?");
}

static void a_script_is_marked_as_one(void)
{
    auto_ge_command struct ge_command c = {0};
    struct ge_start s = script;
    struct err e = {0};
    char *argv[] = {(char *)"qckpt-starter", (char *)"x", NULL};

    CHECK_INT(ge_command_make(&s, 2, argv, &c, &e), 0);
    CHECK(c.script);
    ge_command_free(&c);
    s.binary = true;
    CHECK_INT(ge_command_make(&s, 2, argv, &c, &e), 0);
    CHECK(!c.script);
}

static void read_start(struct ge_start *start, const char *config, int argc,
                       char **argv)
{
    struct ge_job j = {.job = "7", .job_script = getenv("JOB_SCRIPT")};
    struct err e = {0};
    struct ge_spool *s = config ? ge_spool_parse(config, strlen(config), &e) : NULL;

    ge_start_read(start, &j, s, argc, argv);
    ge_spool_free(s);
}

static void the_variables_and_the_spool_decide(void)
{
    char *argv[] = {(char *)"s", (char *)"x", NULL};
    struct ge_start s;

    clearenv();
    setenv("SGE_STARTER_SHELL_PATH", "/bin/csh", 1);
    setenv("SGE_STARTER_SHELL_START_MODE", "posix_compliant", 1);
    setenv("SGE_STARTER_USE_LOGIN_SHELL", "true", 1);
    read_start(&s, "handle_as_binary=1\nno_shell=1\n", 2, argv);
    CHECK_STR(s.mode, "posix_compliant");
    CHECK_STR(s.shell, "/bin/csh");
    CHECK(s.login_shell && s.binary && s.no_shell && !s.qrsh);
    setenv("SGE_STARTER_USE_LOGIN_SHELL", "false", 1);
    read_start(&s, "handle_as_binary=0\nno_shell=0\n", 2, argv);
    CHECK(!s.login_shell && !s.binary && !s.no_shell);
}

static void an_empty_shell_is_qrsh(void)
{
    char *argv[] = {(char *)"s", (char *)"x", NULL};
    struct ge_start s;

    clearenv();
    setenv("SGE_STARTER_SHELL_PATH", "", 1);
    read_start(&s, "handle_as_binary=1\n", 2, argv);
    CHECK(s.qrsh && !s.no_shell);
    CHECK_STR(s.user_shell, getpwuid(geteuid())->pw_shell);
}

static void without_a_spool_the_path_tells_a_script(void)
{
    char *script_argv[] = {(char *)"s", (char *)"/d/spool/n1/job_scripts/7", NULL};
    char *other_argv[] = {(char *)"s", (char *)"/d/spool/n1/job_scripts/17", NULL};
    char *stdin_argv[] = {(char *)"s", (char *)"-s", NULL};
    struct ge_start s;

    clearenv();
    setenv("SGE_STARTER_SHELL_PATH", "/bin/sh", 1);
    read_start(&s, NULL, 2, script_argv);
    CHECK(!s.binary);
    read_start(&s, NULL, 2, other_argv);
    CHECK(s.binary && !s.no_shell);
    setenv("JOB_SCRIPT", "/d/spool/n1/job_scripts/7", 1);
    read_start(&s, NULL, 2, stdin_argv);
    CHECK(!s.binary);
}

static void a_starters_variables_do_not_reach_the_job(void)
{
    setenv("SGE_STARTER_SHELL_PATH", "x", 1);
    setenv("SGE_STARTER_SHELL_START_MODE", "x", 1);
    setenv("SGE_STARTER_USE_LOGIN_SHELL", "x", 1);
    setenv("SGE_STARTER_MINE", "x", 1);
    ge_start_clean_environment();
    CHECK(!getenv("SGE_STARTER_SHELL_PATH") &&
          !getenv("SGE_STARTER_SHELL_START_MODE") &&
          !getenv("SGE_STARTER_USE_LOGIN_SHELL"));
    CHECK_STR(getenv("SGE_STARTER_MINE"), "x");
}

int main(void)
{
    RUN(unix_behavior_executes_the_script_itself);
    RUN(posix_compliant_starts_the_shell_with_the_script);
    RUN(script_from_stdin_starts_the_shell_with_s);
    RUN(start_as_command_drops_the_arguments);
    RUN(a_binary_is_a_line_for_the_shell);
    RUN(a_binary_without_shell_is_executed);
    RUN(the_name_of_a_binary_from_stdin_is_recovered);
    RUN(qrsh_uses_the_users_shell);
    RUN(modes_are_compared_as_grid_engine_does);
    RUN(no_words_are_an_error);
    RUN(a_script_is_marked_as_one);
    RUN(the_variables_and_the_spool_decide);
    RUN(an_empty_shell_is_qrsh);
    RUN(without_a_spool_the_path_tells_a_script);
    RUN(a_starters_variables_do_not_reach_the_job);
    return tap_done();
}
