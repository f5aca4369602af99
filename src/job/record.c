/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/record.h"

#include "base/err.h"
#include "base/scope.h"
#include "job/job.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *escaped(const char *text)
{
    auto_free char *out = malloc(strlen(text) * 4 + 1);
    char *o = out;

    if (!out)
        return NULL;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= ' ' && c <= '~')
            *o++ = (char)c;
        else
            o += snprintf(o, 5, "\\x%02x", c);
    }
    *o = '\0';
    return json_string(out);
}

static json_t *word(const char *text)
{
    json_t *string = json_string(text);

    return string ? string : escaped(text);
}

static json_t *words(const char *const *argv)
{
    json_t *list = json_array();

    for (; list && argv && *argv; argv++)
        if (json_array_append_new(list, word(*argv)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static int add(json_t *record, const char *name, const char *text)
{
    return text ? json_object_set_new(record, name, word(text)) : 0;
}

json_t *record_make(const struct job_config *config, struct err *e)
{
    auto_free char *cwd = getcwd(NULL, 0);
    json_t *record = json_object();

    if (record &&
        json_object_set_new(record, "argv", words((const char *const *)config->argv)) ==
            0 &&
        add(record, "path", config->path) == 0 && add(record, "cwd", cwd) == 0 &&
        add(record, "engine", config->no_checkpoints ? "none" : config->engine->name) ==
            0 &&
        add(record, "no_checkpoints", config->no_checkpoints) == 0 &&
        add(record, "host", config->host) == 0 &&
        add(record, "user", config->user) == 0 &&
        add(record, "job", config->job) == 0 &&
        add(record, "task", config->task) == 0 &&
        (!config->names ||
         json_object_set_new(record, "names", words(config->names)) == 0))
        return record;
    json_decref(record);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}
