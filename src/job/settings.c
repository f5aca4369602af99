/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/settings.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 256 << 10, PROBLEMS_MAX = 20 };

/* The variables that have a line in the file. */
static const struct {
    const char *variable, *key;
    bool has_patterns;
} known[] = {{"QCKPT_ENGINE", "engine", true},
             {"QCKPT_INTERVAL", "interval", false},
             {"QCKPT_KEEP", "keep", false},
             {"QCKPT_COMPRESS", "compress", false},
             {"QCKPT_FREEZE_TIMEOUT", "freeze_timeout", false},
             {"QCKPT_CARRY_TMPDIR", "carry_tmpdir", false},
             {"QCKPT_CPU", "cpu", false},
             {"QCKPT_MIGRATE_CPU", "migrate_cpu", false},
             {"QCKPT_JSV_CKPT", "jsv_ckpt", false},
             {"QCKPT_JSV_REQUEST", "jsv_request", false},
             {"QCKPT_JSV_BASELINE", "jsv_baseline", false},
             {"QCKPT_HOOK_TIMEOUT", "hook_timeout", false},
             {"QCKPT_RETRY_DELAY", "retry_delay", false},
             {"QCKPT_SWEEP_AGE", "sweep_age", false},
             {"QCKPT_DMTCP_PREFIX", "dmtcp_prefix", false},
             {"QCKPT_DMTCP_PLUGINS", "dmtcp_plugins", false},
             {"QCKPT_DMTCP_ARGUMENTS", "dmtcp_arguments", false}};

static const char prefix[] = "QCKPT_";

enum { N_KNOWN = sizeof(known) / sizeof(known[0]), PREFIX_SIZE = sizeof(prefix) - 1 };

struct line {
    size_t number;
    int key;             /* index into known */
    const char *pattern; /* or NULL */
    const char *value;
};

struct settings {
    char *path, *text; /* the lines point into text */
    struct line *lines;
    size_t count;
    char *problems[PROBLEMS_MAX];
    size_t problem_count;
};

/* For want of memory: the environment alone. */
static struct settings without_file;

/* ---- problems ---- */

void settings_add_problem(struct settings *s, const char *fmt, ...)
{
    va_list ap;

    if (s == &without_file || s->problem_count == PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    if (vasprintf(&s->problems[s->problem_count], fmt, ap) >= 0)
        s->problem_count++;
    va_end(ap);
}

const char *settings_problem(const struct settings *s, size_t i)
{
    return i < s->problem_count ? s->problems[i] : NULL;
}

/* ---- the text ---- */

static char *trim(char *text)
{
    size_t length;

    while (isspace((unsigned char)*text))
        text++;
    length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* From a '#' that begins the line or has a blank before it. */
static void cut_comment(char *line)
{
    for (char *c = line; *c; c++)
        if (*c == '#' && (c == line || isspace((unsigned char)c[-1]))) {
            *c = '\0';
            return;
        }
}

static int find_key(const char *name)
{
    for (int i = 0; i < N_KNOWN; i++)
        if (strcmp(known[i].key, name) == 0)
            return i;
    return -1;
}

/* The setting that `name` may be mistyped for; NULL: none. */
static const char *near_key(const char *name)
{
    for (int i = 0; i < N_KNOWN; i++)
        if (str_is_near(name, known[i].key))
            return known[i].key;
    return NULL;
}

/* "name[PATTERN]": cuts the pattern off; NULL: there is none. False: not so. */
static bool split_pattern(char *name, char **pattern)
{
    char *bracket = strchr(name, '[');
    size_t length = strlen(name);

    *pattern = NULL;
    if (!bracket)
        return true;
    if (name[length - 1] != ']' || bracket + 2 >= name + length)
        return false;
    name[length - 1] = '\0';
    *bracket = '\0';
    *pattern = trim(bracket + 1);
    trim(name);
    return true;
}

static const struct line *find_line(const struct settings *s, int key)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->lines[i].key == key && !s->lines[i].pattern)
            return &s->lines[i];
    return NULL;
}

static void add_line(struct settings *s, const struct line *line)
{
    struct line *grown = realloc(s->lines, (s->count + 1) * sizeof(*grown));

    if (!grown)
        return;
    grown[s->count++] = *line;
    s->lines = grown;
}

static void add_unknown(struct settings *s, size_t number, const char *name,
                        const char *pattern)
{
    const char *near = near_key(name);

    if (pattern && find_key(name) >= 0)
        settings_add_problem(s, "%s:%zu: %s takes no [PATTERN]; it is ignored", s->path,
                             number, name);
    else
        settings_add_problem(s,
                             "%s:%zu: there is no setting '%.60s'%s%s%s; it is ignored",
                             s->path, number, name, near ? " (did you mean " : "",
                             near ? near : "", near ? "?)" : "");
}

static void parse_line(struct settings *s, size_t number, char *text)
{
    struct line line = {.number = number};
    char *equals, *name, *pattern;
    const struct line *earlier;

    cut_comment(text);
    name = trim(text);
    if (!*name)
        return;
    equals = strchr(name, '=');
    if (!equals) {
        settings_add_problem(
            s, "%s:%zu: '%.60s' is not of the form name = value; it is ignored",
            s->path, number, name);
        return;
    }
    *equals = '\0';
    line.value = trim(equals + 1);
    name = trim(name);
    if (!split_pattern(name, &pattern) || (line.key = find_key(name)) < 0 ||
        (pattern && !known[line.key].has_patterns)) {
        add_unknown(s, number, name, pattern);
        return;
    }
    line.pattern = pattern;
    earlier = pattern ? NULL : find_line(s, line.key);
    if (earlier)
        settings_add_problem(s,
                             "%s:%zu: %s has been set in line %zu; this one is ignored",
                             s->path, number, name, earlier->number);
    else if (*line.value)
        add_line(s, &line);
}

static void parse(struct settings *s)
{
    char *rest = s->text;
    char *line;

    for (size_t number = 1; rest && (line = strsep(&rest, "\n")); number++)
        parse_line(s, number, line);
}

static struct settings *settings_make(const char *path)
{
    struct settings *s = calloc(1, sizeof(*s));

    if (s)
        s->path = strdup(path);
    if (s && s->path)
        return s;
    free(s);
    return &without_file;
}

struct settings *settings_parse(const char *path, const char *text, size_t size)
{
    struct settings *s = settings_make(path);

    if (s == &without_file)
        return s;
    if (memchr(text, '\0', size)) {
        settings_add_problem(s, "%s is ignored: it is not a text", path);
        return s;
    }
    s->text = strndup(text, size);
    parse(s);
    return s;
}

void settings_free(struct settings *s)
{
    if (!s || s == &without_file)
        return;
    for (size_t i = 0; i < s->problem_count; i++)
        free(s->problems[i]);
    free(s->lines);
    free(s->text);
    free(s->path);
    free(s);
}

/* ---- the file ---- */

static bool is_given(void)
{
    const char *given = getenv("QCKPT_CONFIG");

    return given && *given;
}

/* PREFIX/etc for a program in PREFIX/bin, wherever that has been moved to; a copy in
 * some other directory takes what was built in. */
static int find_path(const char *exe, char path[PATH_MAX], struct err *e)
{
    static const char bin[] = "/bin";
    const char *slash = strrchr(exe, '/');
    size_t length = slash ? (size_t)(slash - exe) : 0;

    if (is_given())
        return str_format(path, PATH_MAX, e, "%s", getenv("QCKPT_CONFIG"));
    if (QCKPT_SYSCONFDIR_BELOW_PREFIX[0] && length >= sizeof(bin) - 1 &&
        strncmp(slash - (sizeof(bin) - 1), bin, sizeof(bin) - 1) == 0)
        return str_format(path, PATH_MAX, e, "%.*s/%s/qckpt.conf",
                          (int)(length - (sizeof(bin) - 1)), exe,
                          QCKPT_SYSCONFDIR_BELOW_PREFIX);
    return str_format(path, PATH_MAX, e, "%s/qckpt.conf", QCKPT_SYSCONFDIR);
}

/* Anybody who may write it may choose programs and plugins for all jobs. */
static int check_trust(int fd, const char *exe, struct err *e)
{
    struct stat file, program;

    if (fstat(fd, &file) < 0)
        return err_sys(e, "look at it");
    if (!S_ISREG(file.st_mode))
        return err_set(e, ERR_UNSAFE, "it is not a regular file");
    if (stat("/proc/self/exe", &program) < 0)
        program.st_uid = 0;
    if (file.st_uid != 0 && file.st_uid != program.st_uid)
        return err_set(e, ERR_UNSAFE,
                       "it belongs to user %u and not to root or to the owner of %s",
                       (unsigned)file.st_uid, exe);
    if (file.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(e, ERR_UNSAFE,
                       "others than its owner may write it (chmod go-w)");
    return 0;
}

/* 0 with *text NULL: there is none, where there need not be one. */
static int read_trusted(const char *path, const char *exe, char **text, size_t *size,
                        struct err *e)
{
    auto_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    *text = NULL;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return is_given() ? err_set(e, ERR_USAGE,
                                    "QCKPT_CONFIG names it, and there is no such file")
                          : 0;
    if (fd < 0)
        return err_sys(e, "open it");
    if (check_trust(fd, exe, e) < 0)
        return -1;
    return io_read_fd(fd, FILE_SIZE_MAX, text, size, e);
}

/* The variable that `name` may be mistyped for; NULL: none. */
static const char *near_variable(const char *name)
{
    const char *near = NULL;

    for (int i = 0; i < N_KNOWN; i++) {
        if (strcmp(name, known[i].variable) == 0)
            return NULL;
        if (str_is_near(name + PREFIX_SIZE, known[i].variable + PREFIX_SIZE))
            near = known[i].variable;
    }
    return near;
}

/* Others that begin with QCKPT_ may be anybody's. */
static void look_for_mistyped_variables(struct settings *s)
{
    for (char **variable = environ; *variable; variable++) {
        char name[64];
        size_t length = strcspn(*variable, "=");
        const char *near;

        if (strncmp(*variable, prefix, PREFIX_SIZE) != 0 || length >= sizeof(name))
            continue;
        memcpy(name, *variable, length);
        name[length] = '\0';
        near = near_variable(name);
        if (near)
            settings_add_problem(s, "%s is no variable of qckpt; did you mean %s?",
                                 name, near);
    }
}

static struct settings *read_file(void)
{
    char exe[PATH_MAX] = "", path[PATH_MAX] = "qckpt.conf";
    auto_free char *text = NULL;
    struct settings *s;
    struct err e = {0};
    size_t size = 0;

    if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
        exe[0] = '\0';
    if (find_path(exe, path, &e) == 0 && read_trusted(path, exe, &text, &size, &e) == 0)
        return settings_parse(path, text ? text : "", size);
    s = settings_make(path);
    settings_add_problem(s, "%s is ignored: %s", path, e.text);
    return s;
}

struct settings *settings_read(void)
{
    struct settings *s = read_file();

    look_for_mistyped_variables(s);
    return s;
}

/* ---- values ---- */

static int key_of(const char *variable)
{
    for (int i = 0; i < N_KNOWN; i++)
        if (strcmp(known[i].variable, variable) == 0)
            return i;
    return -1;
}

static bool take_line(struct settings *s, const struct line *line, settings_take *take,
                      void *arg)
{
    struct err e = {0};

    if (take(arg, line->value, &e) == 0)
        return true;
    settings_add_problem(s, "%s:%zu: %s: %s; it is ignored", s->path, line->number,
                         known[line->key].key, e.text);
    return false;
}

int settings_apply_variable(const char *variable, settings_take *take, void *arg,
                            struct err *e)
{
    const char *value = getenv(variable);

    if (!value || !*value || take(arg, value, e) == 0)
        return 0;
    e->kind = ERR_USAGE;
    return err_wrap(e, "%s", variable);
}

void settings_apply_file(struct settings *s, const char *variable, settings_take *take,
                         void *arg)
{
    const struct line *line = find_line(s, key_of(variable));

    if (line)
        take_line(s, line, take, arg);
}

int settings_apply(struct settings *s, const char *variable, settings_take *take,
                   void *arg, struct err *e)
{
    settings_apply_file(s, variable, take, arg);
    return settings_apply_variable(variable, take, arg, e);
}

void settings_apply_pattern(struct settings *s, const char *variable,
                            const char *subject, settings_take *take, void *arg)
{
    int key = key_of(variable);

    for (size_t i = 0; i < s->count; i++)
        if (s->lines[i].key == key && s->lines[i].pattern &&
            fnmatch(s->lines[i].pattern, subject, 0) == 0 &&
            take_line(s, &s->lines[i], take, arg))
            return;
}
