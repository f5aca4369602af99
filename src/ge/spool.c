/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "ge/ge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A job's arguments and the names of its files are in there: far more than a kernel
 * accepts for a command line is not a job. */
enum { SPOOL_SIZE_MAX = 16 << 20 };

struct ge_spool {
    char
        *text; /* lines, each ended by a NUL; "key\0value" after the first use of '=' */
    size_t size;
};

SCOPE_DEFINE(spool, struct ge_spool *, ge_spool_free);

static struct ge_spool *spool_adopt(char *text, size_t size, struct err *e)
{
    struct ge_spool *s = calloc(1, sizeof(*s));

    if (!s) {
        free(text);
        err_sys(e, "the job's configuration");
        return NULL;
    }
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n')
            text[i] = '\0';
    s->text = text;
    s->size = size;
    return s;
}

struct ge_spool *ge_spool_parse(const char *text, size_t size, struct err *e)
{
    char *copy = malloc(size + 1);

    if (!copy) {
        err_sys(e, "the job's configuration");
        return NULL;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    return spool_adopt(copy, size, e);
}

struct ge_spool *ge_spool_read(const char *spool_dir, struct err *e)
{
    auto_fd int dir = open(spool_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *text;
    size_t size;

    if (dir < 0) {
        err_sys(e, "job spool directory %s", spool_dir);
        return NULL;
    }
    if (io_read_file(dir, "config", SPOOL_SIZE_MAX, &text, &size, e) < 0) {
        err_wrap(e, "job spool directory %s", spool_dir);
        return NULL;
    }
    return spool_adopt(text, size, e);
}

void ge_spool_free(struct ge_spool *s)
{
    if (!s)
        return;
    free(s->text);
    free(s);
}

const char *ge_spool_get(const struct ge_spool *s, const char *key)
{
    size_t length = strlen(key);
    const char *line, *end;

    if (!s)
        return NULL;
    end = s->text + s->size;
    for (line = s->text; line < end; line += strlen(line) + 1)
        if (strncmp(line, key, length) == 0 && line[length] == '=')
            return line[length + 1] ? line + length + 1 : NULL;
    return NULL;
}

bool ge_spool_flag(const struct ge_spool *s, const char *key)
{
    const char *value = ge_spool_get(s, key);

    return value && strcmp(value, "1") == 0;
}

bool ge_spool_is_pe_task(const struct ge_spool *s)
{
    const char *id = ge_spool_get(s, "pe_task_id");

    return id && strcasecmp(id, "none") != 0 && strcmp(id, "(null)") != 0;
}

/* The last part of the first word's path. */
static size_t program_name(const char *command, const char **name)
{
    size_t length = strcspn(command, " \t");

    *name = command;
    for (size_t i = 0; i < length; i++)
        if (command[i] == '/')
            *name = command + i + 1;
    return (size_t)(command + length - *name);
}

/* Whether one of the words is a program whose name begins with "qckpt-". A site may
 * have put a wrapper before it. */
static bool names_qckpt(const char *command)
{
    while (*command) {
        const char *name;
        size_t length = program_name(command, &name);

        if (length > 6 && strncmp(name, "qckpt-", 6) == 0)
            return true;
        command = name + length;
        command += strspn(command, " \t");
    }
    return false;
}

/* Whether the program has exactly one of the names that gridengine_dmtcp gave to its
 * commands. As an argument they say nothing: DMTCP had a dmtcp_checkpoint of its own.
 */
static bool is_dmtcp_name(const char *command)
{
    static const char *const names[] = {"dmtcp_checkpoint", "dmtcp_migrate",
                                        "dmtcp_migrate_cpu", "dmtcp_cleanup"};
    const char *name;
    size_t length = program_name(command, &name);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == length && strncmp(name, names[i], length) == 0)
            return true;
    return false;
}

static bool calls_us(const char *command)
{
    return command && (names_qckpt(command) || is_dmtcp_name(command));
}

bool ge_is_ours(const struct ge_job *j, const struct ge_spool *s)
{
    if (!j->ckpt_env)
        return false;
    if (!s)
        return strstr(j->ckpt_env, "qckpt") || strstr(j->ckpt_env, "dmtcp");
    return calls_us(ge_spool_get(s, "ckpt_command")) ||
           calls_us(ge_spool_get(s, "ckpt_migr_command")) ||
           calls_us(ge_spool_get(s, "ckpt_clean_command"));
}
