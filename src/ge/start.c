/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * With a starter_method the shepherd hands over the words it would have used, and says
 * by variables what it would have done with them. Without one (Son of Grid Engine
 * 8.1.9, start_command in builtin_starter.c, in this order; the script stands for the
 * program with -b y):
 *
 *     -b y and not -shell n      SHELL -c "script args "      args are NOT quoted
 *     script_from_stdin          SHELL -s args                script on descriptor 0
 *     posix_compliant, not -b y  SHELL script args
 *     start_as_command           SHELL -c script
 *     unix_behavior, raw_exec    script args                  PATH, /bin/sh without #!
 *     qrsh                       LOGINSHELL -c "words"        words with -noshell
 *
 * argv[0] of SHELL has a leading '-' when login_shells of sge_conf(5) names it.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "ge/ge.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const char *not_empty(const char *text)
{
    return text && *text ? text : NULL;
}

/* A spooled script is <execd spool>/HOST/job_scripts/JOB. */
static bool is_spooled(const char *script, const struct ge_job *j)
{
    char tail[sizeof("/job_scripts/") + GE_ID_SIZE];
    size_t length = script ? strlen(script) : 0, tail_length;

    snprintf(tail, sizeof(tail), "/job_scripts/%s", j->job);
    tail_length = strlen(tail);
    return length > tail_length && strcmp(script + length - tail_length, tail) == 0;
}

/* `qrsh -noshell` is only told to qrsh_starter, our parent, as its second argument. */
static bool parent_is_noshell(void)
{
    char name[64];
    auto_free char *words = NULL;
    size_t size;
    const char *spool, *flag;
    struct err ignored = {0};

    snprintf(name, sizeof(name), "/proc/%d/cmdline", (int)getppid());
    if (io_read_file(AT_FDCWD, name, 1 << 20, &words, &size, &ignored) < 0)
        return false;
    if (strcmp(base_name(words), "qrsh_starter") != 0)
        return false;
    spool = words + strlen(words) + 1;
    if (spool >= words + size)
        return false;
    flag = spool + strlen(spool) + 1;
    return flag < words + size && strcmp(flag, "noshell") == 0;
}

static const char *password_shell(void)
{
    const struct passwd *pw = getpwuid(geteuid());

    return pw ? not_empty(pw->pw_shell) : NULL;
}

void ge_start_read(struct ge_start *start, const struct ge_job *j,
                   const struct ge_spool *s, int argc, char **argv)
{
    const char *shell = getenv("SGE_STARTER_SHELL_PATH");
    const char *login = getenv("SGE_STARTER_USE_LOGIN_SHELL");
    const char *mode = not_empty(getenv("SGE_STARTER_SHELL_START_MODE"));

    *start = (struct ge_start){
        .mode = mode ? mode : "unix_behavior",
        .shell = not_empty(shell),
        .login_shell = login && strcmp(login, "true") == 0,
        .binary = ge_spool_flag(s, "handle_as_binary"),
        .no_shell = ge_spool_flag(s, "no_shell"),
        /* qrsh_starter sets an empty shell, the shepherd never does. */
        .qrsh = shell && !*shell,
        .job_script = j->job_script,
    };
    if (!s) {
        const char *program = argc > 1 && strcmp(argv[1], "-s") != 0 ? argv[1] : NULL;

        start->binary = !is_spooled(program ? program : j->job_script, j);
        /* Nobody says whether a shell was wanted; its usual setting. */
        start->no_shell = !start->shell;
    }
    if (start->qrsh) {
        start->no_shell = parent_is_noshell();
        start->user_shell = password_shell();
    }
}

/* "[-]basename" of a shell. */
static int set_shell(struct ge_command *c, const char *shell, bool login, struct err *e)
{
    if (asprintf(&c->argv0, "%s%s", login ? "-" : "", base_name(shell)) < 0) {
        c->argv0 = NULL;
        return err_sys(e, "name of shell %s", shell);
    }
    c->path = shell;
    c->argv[0] = c->argv0;
    return 0;
}

/* The shepherd's way, and the one users have come to rely on (`qsub -b y 'a | b'`): the
 * words as they are, each followed by a space, except that an empty one becomes "". */
static int join_binary(struct ge_command *c, const char *program, char **words,
                       struct err *e)
{
    size_t size = strlen(program) + 2;
    char *end;

    for (char **w = words; *w; w++)
        size += strlen(*w) + 2;
    c->line = malloc(size);
    if (!c->line)
        return err_sys(e, "command line");
    end = stpcpy(stpcpy(c->line, program), " ");
    for (char **w = words; *w; w++)
        end = **w ? stpcpy(stpcpy(end, *w), " ") : stpcpy(end, "\"\"");
    return 0;
}

/* qrsh_starter's way: a single space between the words. */
static int join_qrsh(struct ge_command *c, char **words, struct err *e)
{
    size_t size = 1;
    char *end;

    for (char **w = words; *w; w++)
        size += strlen(*w) + 1;
    c->line = malloc(size);
    if (!c->line)
        return err_sys(e, "command line");
    end = stpcpy(c->line, words[0]);
    for (char **w = words + 1; *w; w++)
        end = stpcpy(stpcpy(end, " "), *w);
    return 0;
}

static int make_shell_line(struct ge_command *c, const char *shell, bool login,
                           char *line, struct err *e)
{
    c->argv[1] = (char *)"-c";
    c->argv[2] = line;
    c->argv[3] = NULL;
    return set_shell(c, shell, login, e);
}

static void copy_words(char **to, char **words)
{
    while (*words)
        *to++ = *words++;
    *to = NULL;
}

static int make_qrsh(const struct ge_start *s, char **words, struct ge_command *c,
                     struct err *e)
{
    if (s->no_shell || !s->user_shell) {
        copy_words(c->argv, words);
        c->path = words[0];
        return 0;
    }
    if (join_qrsh(c, words, e) < 0)
        return -1;
    return make_shell_line(c, s->user_shell, false, c->line, e);
}

static int make_batch(const struct ge_start *s, char *program, char **args,
                      struct ge_command *c, struct err *e)
{
    if (s->binary && !s->no_shell && s->shell) {
        if (join_binary(c, program, args, e) < 0)
            return -1;
        return make_shell_line(c, s->shell, s->login_shell, c->line, e);
    }
    c->script = !s->binary;
    if (strcasecmp(s->mode, "script_from_stdin") == 0 && s->shell) {
        c->argv[1] = (char *)"-s";
        copy_words(c->argv + 2, args);
        return set_shell(c, s->shell, s->login_shell, e);
    }
    if (strcasecmp(s->mode, "posix_compliant") == 0 && !s->binary && s->shell) {
        c->argv[1] = program;
        copy_words(c->argv + 2, args);
        return set_shell(c, s->shell, s->login_shell, e);
    }
    if (strcasecmp(s->mode, "start_as_command") == 0 && s->shell)
        return make_shell_line(c, s->shell, s->login_shell, program, e);
    c->path = program;
    c->argv[0] = program;
    copy_words(c->argv + 1, args);
    return 0;
}

int ge_command_make(const struct ge_start *start, int argc, char **argv,
                    struct ge_command *c, struct err *e)
{
    auto_ge_command struct ge_command made = {0};
    bool from_stdin = strcasecmp(start->mode, "script_from_stdin") == 0 && argc > 1 &&
                      strcmp(argv[1], "-s") == 0;
    char *program = from_stdin ? (char *)start->job_script : argv[1];
    int failed;

    if (argc < 2)
        return err_set(e, ERR_USAGE, "no command; is this called as a starter_method?");
    if (!program && (start->binary || !start->shell))
        return err_set(e, ERR_USAGE, "JOB_SCRIPT is not set: what shall be started?");
    made.argv = calloc(argc + 4, sizeof(*made.argv));
    if (!made.argv)
        return err_sys(e, "command line");
    failed = start->qrsh ? make_qrsh(start, argv + 1, &made, e)
                         : make_batch(start, program, argv + 2, &made, e);
    if (failed)
        return -1;
    *c = made;
    made = (struct ge_command){0};
    return 0;
}

void ge_command_free(struct ge_command *c)
{
    free(c->argv);
    free(c->argv0);
    free(c->line);
    *c = (struct ge_command){0};
}

void ge_start_clean_environment(void)
{
    unsetenv("SGE_STARTER_SHELL_PATH");
    unsetenv("SGE_STARTER_SHELL_START_MODE");
    unsetenv("SGE_STARTER_USE_LOGIN_SHELL");
}
