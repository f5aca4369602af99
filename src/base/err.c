/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum err_kind kind;
    const char *name;
    int status;
} kinds[] = {
    {ERR_NONE, "none", 0},       {ERR_SYS, "system", 1},
    {ERR_FAILED, "failed", 1},   {ERR_USAGE, "usage", 2},
    {ERR_REFUSED, "refused", 3}, {ERR_NOTHING, "nothing", 4},
    {ERR_CORRUPT, "corrupt", 1}, {ERR_UNSAFE, "unsafe", 1},
    {ERR_FENCED, "fenced", 1},   {ERR_TIMEOUT, "timeout", 1},
    {ERR_GONE, "gone", 1},       {ERR_WRONG_HOST, "wrong-host", 3},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

int err_vset(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
    /* The old text may be an argument of the new one. */
    char text[sizeof(e->text)];

    vsnprintf(text, sizeof(text), fmt, ap);
    memcpy(e->text, text, sizeof(text));
    e->kind = kind;
    e->sys = 0;
    e->momentary = false;
    return -1;
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(e, kind, fmt, ap);
    va_end(ap);
    return -1;
}

__attribute__((format(printf, 3, 0))) static int
set_with_errno(struct err *e, int code, const char *fmt, va_list ap)
{
    size_t used;

    err_vset(e, ERR_SYS, fmt, ap);
    e->sys = code;
    used = strlen(e->text);
    snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(code));
    return -1;
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int code = errno;
    va_list ap;

    va_start(ap, fmt);
    set_with_errno(e, code, fmt, ap);
    va_end(ap);
    return -1;
}

int err_code(struct err *e, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_with_errno(e, code < 0 ? -code : code, fmt, ap);
    va_end(ap);
    return -1;
}

int err_momentary(struct err *e)
{
    e->momentary = true;
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char inner[sizeof(e->text)];
    va_list ap;
    size_t used;

    memcpy(inner, e->text, sizeof(inner));
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof(e->text) - used, ": %s", inner);
    return -1;
}

void err_clear(struct err *e)
{
    memset(e, 0, sizeof(*e));
}

int err_exit_status(enum err_kind kind)
{
    for (int i = 0; i < N_KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].status;
    return 1;
}

const char *err_kind_name(enum err_kind kind)
{
    for (int i = 0; i < N_KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "failed";
}

enum err_kind err_kind_from_name(const char *name)
{
    for (int i = 0; name && i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].kind;
    return ERR_FAILED;
}
