/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job submission verifier, jsv(1): adds requests to jobs of our checkpoint
 * environments when they are submitted. For the tasks of an array job it is the only
 * time at which a request can be made for each of them.
 *
 * What the site has chosen wrongly, and what is said to us in a form that is not known,
 * costs no submission: the job is accepted as it is, with a warning.
 */
#include "base/err.h"
#include "base/opt.h"
#include "base/scope.h"
#include "cmd/hook.h"
#include "cpu/cpu.h"
#include "ge/ge.h"
#include "job/settings.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the site has chosen ---- */

struct choice {
    const char *pattern;  /* of names of checkpoint environments; NULL: any of ours */
    const char *requests; /* "cpu_level=3,name=value"; NULL: none */
    bool no_baseline;     /* do not look at the jobs' QCKPT_CPU */
    bool help;
    struct settings *settings; /* the strings may be its */
    char problem[1024];        /* nothing is changed because of it; empty: none */
};

static struct choice choice;

static const struct opt options[] = {
    {0, "ckpt", "PATTERN", OPT_STRING, &choice.pattern,
     "jobs of the checkpoint environments with such names"},
    {0, "request", "LIST", OPT_STRING, &choice.requests,
     "NAME=VALUE,...: what these jobs ask for at least"},
    {0, "no-baseline", NULL, OPT_FLAG, &choice.no_baseline,
     "do not look at QCKPT_CPU in the jobs' environment"},
    {'h', "help", NULL, OPT_FLAG, &choice.help, "explain the options"},
    {0}};

/* The level has its own rule: of two requests the higher one counts. */
static const char level_name[] = "cpu_level";

/* Whether both words are the same complex: qsub gives them to a JSV of its own as they
 * were typed, also as shortcuts; the queue master gives full names. */
static bool is_same(const char *a, const char *b)
{
    static const char *const archs[] = {"x86_64", "aarch64"};
    struct cpu_complex c;

    if (strcmp(a, b) == 0)
        return true;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; cpu_complex(archs[k], i, &c); i++)
            if ((strcmp(a, c.name) == 0 && strcmp(b, c.shortcut) == 0) ||
                (strcmp(b, c.name) == 0 && strcmp(a, c.shortcut) == 0))
                return true;
    return false;
}

static bool is_level(const char *name)
{
    return is_same(name, level_name);
}

/* No host has a higher one: jobs that ask for it would wait for ever. */
static bool is_a_level(const char *value)
{
    return value && value[0] >= '0' && value[0] <= '0' + CPU_LEVELS && !value[1];
}

/* Splits the next "NAME=VALUE" off *list, in place; a BOOL needs no value. NULL at the
 * end. */
static char *next_request(char **list, char **value)
{
    char *name;

    do {
        name = strsep(list, ",");
    } while (name && !*name);
    *value = name ? strchr(name, '=') : NULL;
    if (*value)
        *(*value)++ = '\0';
    return name;
}

static int check_requests(const char *list, struct err *e)
{
    auto_free char *copy = strdup(list);
    char *rest = copy, *name, *value;

    if (!copy)
        return err_sys(e, "list of requests");
    while ((name = next_request(&rest, &value))) {
        if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789_.-")])
            return err_set(e, ERR_USAGE, "\"%.40s\" is no name of a complex", name);
        if (value && (!*value || strpbrk(value, " \t\n")))
            return err_set(e, ERR_USAGE, "%s: \"%.40s\" is no value of a request", name,
                           value);
        if (is_level(name) && !is_a_level(value))
            return err_set(e, ERR_USAGE, "%s needs a number from 0 to %d", name,
                           CPU_LEVELS);
    }
    return 0;
}

static int take_text(void *arg, const char *value, struct err *e)
{
    *(const char **)arg = value;
    return 0;
}

static int take_baseline(void *arg, const char *value, struct err *e)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return err_set(e, ERR_USAGE, "\"%.40s\" is neither 0 nor 1", value);
    *(bool *)arg = value[0] == '0';
    return 0;
}

/* The file comes first, then the variables, then the command line. */
static int choose(int argc, char **argv, struct err *e)
{
    int rest;

    choice.settings = settings_read();
    if (settings_apply(choice.settings, "QCKPT_JSV_CKPT", take_text, &choice.pattern,
                       e) < 0 ||
        settings_apply(choice.settings, "QCKPT_JSV_REQUEST", take_text,
                       &choice.requests, e) < 0 ||
        settings_apply(choice.settings, "QCKPT_JSV_BASELINE", take_baseline,
                       &choice.no_baseline, e) < 0 ||
        opt_parse(options, argc, argv, &rest, e) < 0)
        return -1;
    if (rest < argc)
        return err_set(e, ERR_USAGE, "\"%.40s\" is one word too many", argv[rest]);
    if (settings_problem(choice.settings, 0))
        return err_set(e, ERR_USAGE, "%s", settings_problem(choice.settings, 0));
    return choice.requests ? check_requests(choice.requests, e) : 0;
}

/* ---- the job that is being submitted ---- */

struct submission {
    bool is_begun; /* between START and BEGIN */
    bool is_ours;
    char *hard;     /* its -l, or NULL */
    unsigned level; /* of its baseline; 0: none */
    char warning[512];
};

static void submission_clear(struct submission *s)
{
    free(s->hard);
    *s = (struct submission){0};
}

__attribute__((format(printf, 2, 3))) static void warn(struct submission *s,
                                                       const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->warning, sizeof(s->warning), fmt, ap);
    va_end(ap);
}

static bool is_ours(const char *environment)
{
    if (choice.pattern)
        return fnmatch(choice.pattern, environment, 0) == 0;
    return strstr(environment, "qckpt") || strstr(environment, "dmtcp");
}

static void take_param(struct submission *s, const char *name, const char *value)
{
    if (strcmp(name, "ckpt") == 0) {
        s->is_ours = is_ours(value);
    } else if (strcmp(name, "l_hard") == 0) {
        free(s->hard);
        s->hard = strdup(value);
        if (!s->hard)
            warn(s, "out of memory");
    }
}

/* Other policies depend on the host that the job gets. */
static void take_cpu(struct submission *s, const char *value)
{
    struct cpu_policy policy;
    struct err e = {0};

    if (cpu_policy_parse(value, &policy, &e) < 0)
        warn(s, "QCKPT_CPU: %s", e.text);
    else if (policy.kind == CPU_POLICY_BASELINE)
        s->level = policy.level;
}

/* ---- what it shall ask for ---- */

/* A list that is being written: nothing is lost when memory is. */
struct list {
    char *text;
    size_t size;
    FILE *f;
    const char *comma;
};

static void put(struct list *l, const char *name, const char *value)
{
    fprintf(l->f, "%s%s%s%s", l->comma, name, value ? "=" : "", value ? value : "");
    l->comma = ",";
}

/* Whether `hard` asks for the complex. */
static bool asks_for(const char *hard, const char *wanted)
{
    auto_free char *copy = strdup(hard);
    char *rest = copy, *name, *value;

    while (copy && (name = next_request(&rest, &value)))
        if (is_same(name, wanted))
            return true;
    return false;
}

/* The level that these jobs are to ask for: the site's, or their own baseline's. */
static unsigned wanted_level(const struct submission *s)
{
    auto_free char *copy = strdup(choice.requests ? choice.requests : "");
    char *rest = copy, *name, *value;
    unsigned level = s->level;

    while (copy && (name = next_request(&rest, &value)))
        if (is_level(name) && strtoul(value, NULL, 10) > level)
            level = strtoul(value, NULL, 10);
    return level;
}

/* A request without a value is for 1. What is no number is for Grid Engine to refuse.
 */
static bool asks_for_less(const char *value, unsigned level)
{
    double number;

    return ge_request_number(value ? value : "1", &number) && number < level;
}

static bool put_old(struct list *l, const char *hard, unsigned level)
{
    auto_free char *copy = strdup(hard);
    char *rest = copy, *name, *value;
    bool changes = false;
    char text[16];

    snprintf(text, sizeof(text), "%u", level);
    while (copy && (name = next_request(&rest, &value))) {
        bool is_less = is_level(name) && asks_for_less(value, level);

        put(l, name, is_less ? text : value);
        changes = changes || is_less;
    }
    return changes;
}

static bool put_new(struct list *l, const char *hard, unsigned level)
{
    auto_free char *copy = strdup(choice.requests ? choice.requests : "");
    char *rest = copy, *name, *value;
    bool changes = false;
    char text[16];

    snprintf(text, sizeof(text), "%u", level);
    if (level > 0 && !asks_for(hard, level_name)) {
        put(l, level_name, text);
        changes = true;
    }
    while (copy && (name = next_request(&rest, &value)))
        if (!is_level(name) && !asks_for(hard, name)) {
            put(l, name, value ? value : "TRUE");
            changes = true;
        }
    return changes;
}

/* The whole list, to be freed; NULL: the job asks for all of it. */
static char *new_list(const struct submission *s, struct err *e)
{
    const char *hard = s->hard ? s->hard : "";
    unsigned level = wanted_level(s);
    struct list l = {.comma = ""};
    bool changes;

    l.f = open_memstream(&l.text, &l.size);
    if (!l.f) {
        err_sys(e, "list of requests");
        return NULL;
    }
    changes = put_old(&l, hard, level);
    changes = put_new(&l, hard, level) || changes;
    if (fclose(l.f) != 0) {
        err_sys(e, "list of requests");
        changes = false;
    }
    if (!changes) {
        free(l.text);
        return NULL;
    }
    return l.text;
}

/* ---- the protocol ---- */

/* Messages go to the user's terminal, or into the queue master's log: a line each. */
static void log_warning_line(const char *text)
{
    fputs("LOG WARNING qckpt-jsv: ", stdout);
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    fputs("; the job is submitted as it is\n", stdout);
}

static void verify(struct submission *s)
{
    auto_free char *list = NULL;
    struct err e = {0};

    if (s->is_ours && choice.problem[0])
        warn(s, "%s", choice.problem);
    if (s->is_ours && !s->warning[0]) {
        list = new_list(s, &e);
        if (e.kind != ERR_NONE)
            warn(s, "%s", e.text);
    }
    if (list) {
        printf("PARAM l_hard %s\n", list);
        puts("RESULT STATE CORRECT qckpt-jsv has raised the job's requests");
        return;
    }
    if (s->is_ours && s->warning[0])
        log_warning_line(s->warning);
    puts("RESULT STATE ACCEPT");
}

static void start(struct submission *s)
{
    submission_clear(s);
    s->is_begun = true;
    if (!choice.no_baseline)
        puts("SEND ENV");
    puts("STARTED");
}

/* "ENV ADD NAME VALUE" */
static void take_env(struct submission *s, char *rest)
{
    char *verb = strsep(&rest, " "), *name = strsep(&rest, " ");

    if (strcmp(verb, "ADD") == 0 && name && rest && !choice.no_baseline &&
        strcmp(name, "QCKPT_CPU") == 0)
        take_cpu(s, rest);
}

/* False: this is the end. */
static bool take_line(struct submission *s, char *line)
{
    char *rest = line, *verb = strsep(&rest, " "), *name;

    if (strcmp(verb, "QUIT") == 0)
        return false;
    if (strcmp(verb, "START") == 0) {
        start(s);
    } else if (strcmp(verb, "BEGIN") == 0) {
        if (!s->is_begun)
            warn(s, "nothing was said of the job");
        verify(s);
        submission_clear(s);
    } else if (strcmp(verb, "PARAM") == 0 && rest) {
        name = strsep(&rest, " ");
        if (rest)
            take_param(s, name, rest);
    } else if (strcmp(verb, "ENV") == 0 && rest) {
        take_env(s, rest);
    } else if (*verb && strcmp(verb, "SHOW") != 0) {
        warn(s, "\"%.40s\" is not known here", verb);
    }
    return true;
}

static int serve(struct err *e)
{
    __attribute__((cleanup(submission_clear))) struct submission s = {0};
    auto_free char *line = NULL;
    size_t room = 0;
    ssize_t size;

    while ((size = getline(&line, &room, stdin)) > 0) {
        while (size > 0 && isspace((unsigned char)line[size - 1]))
            line[--size] = '\0';
        if (!take_line(&s, line))
            break;
        if (fflush(stdout) != 0)
            return err_sys(e, "write to the standard output");
    }
    return 0;
}

static void print_help(void)
{
    puts(
        "Usage: qckpt-jsv [OPTION]...\n\n"
        "A job submission verifier of Grid Engine: raises the requests of jobs with a\n"
        "checkpoint environment.\n");
    opt_print(options, stdout);
}

int cmd_hook_jsv(int argc, char **argv, struct err *e)
{
    struct err wrong = {0};
    int result = 0;

    if (choose(argc, argv, &wrong) < 0)
        snprintf(choice.problem, sizeof(choice.problem), "%s", wrong.text);
    if (choice.help)
        print_help();
    else
        result = serve(e);
    settings_free(choice.settings);
    return result;
}
