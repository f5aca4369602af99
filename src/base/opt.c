/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/opt.h"

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_last(const struct opt *o)
{
    return !o->value;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
    for (; !is_last(table); table++)
        if (table->letter == letter)
            return table;
    return NULL;
}

static const struct opt *find_name(const struct opt *table, const char *name,
                                   size_t length)
{
    for (; !is_last(table); table++)
        if (table->name && strlen(table->name) == length &&
            strncmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

static int list_add(struct opt_list *list, const char *value, struct err *e)
{
    const char **grown =
        realloc(list->values, (list->count + 1) * sizeof(list->values[0]));

    if (!grown)
        return err_set(e, ERR_FAILED, "out of memory");
    grown[list->count++] = value;
    list->values = grown;
    return 0;
}

static int store_value(const struct opt *o, const char *value, struct err *e)
{
    uint64_t number;

    switch (o->type) {
    case OPT_FLAG:
        *(bool *)o->value = true;
        return 0;
    case OPT_STRING:
        *(const char **)o->value = value;
        return 0;
    case OPT_NUMBER:
        if (str_to_u64(value, &number, e) < 0)
            return -1;
        if (number == 0)
            return err_set(e, ERR_USAGE, "must be at least 1");
        *(uint64_t *)o->value = number;
        return 0;
    case OPT_SECONDS:
        return str_to_seconds(value, o->value, e);
    case OPT_LIST:
        return list_add(o->value, value, e);
    }
    return err_set(e, ERR_FAILED, "option of an unknown type");
}

/* `shown` is the option as it was typed. */
static int set_option(const struct opt *o, const char *shown, const char *value,
                      struct err *e)
{
    if (store_value(o, value, e) == 0)
        return 0;
    e->kind = ERR_USAGE;
    return err_wrap(e, "%s %s", shown, value ? value : "");
}

static int unknown_option(const char *shown, struct err *e)
{
    if (strcmp(shown, "--help") == 0 || strcmp(shown, "-h") == 0)
        return err_set(e, ERR_USAGE, "%s is the only option then", shown);
    return err_set(e, ERR_USAGE, "unknown option %s (--help lists them)", shown);
}

static int take_long(const struct opt *table, int argc, char **argv, int *i,
                     struct err *e)
{
    const char *name = argv[*i] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct opt *o = find_name(table, name, length);
    char shown[64];

    snprintf(shown, sizeof(shown), "--%.*s", (int)length, name);
    if (!o)
        return unknown_option(shown, e);
    if (o->type == OPT_FLAG && value)
        return err_set(e, ERR_USAGE, "%s takes no value", shown);
    if (o->type != OPT_FLAG && !value) {
        if (*i + 1 >= argc)
            return err_set(e, ERR_USAGE, "%s needs a value: %s", shown, o->parameter);
        value = argv[++*i];
    }
    return set_option(o, shown, value, e);
}

static int take_letters(const struct opt *table, int argc, char **argv, int *i,
                        struct err *e)
{
    for (const char *c = argv[*i] + 1; *c; c++) {
        char shown[] = {'-', *c, '\0'};
        const struct opt *o = find_letter(table, *c);

        if (!o)
            return unknown_option(shown, e);
        if (o->type != OPT_FLAG) {
            if (c[1])
                return set_option(o, shown, c + 1, e);
            if (*i + 1 >= argc)
                return err_set(e, ERR_USAGE, "%s needs a value: %s", shown,
                               o->parameter);
            return set_option(o, shown, argv[++*i], e);
        }
        if (set_option(o, shown, NULL, e) < 0)
            return -1;
    }
    return 0;
}

int opt_parse(const struct opt *table, int argc, char **argv, int *rest, struct err *e)
{
    int i;

    for (i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            break;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (argv[i][1] == '-') {
            if (take_long(table, argc, argv, &i, e) < 0)
                return -1;
        } else if (take_letters(table, argc, argv, &i, e) < 0) {
            return -1;
        }
    }
    *rest = i;
    return 0;
}

void opt_print(const struct opt *table, FILE *out)
{
    for (const struct opt *o = table; !is_last(o); o++) {
        char left[64];
        char letter[] = {'-', o->letter, '\0'};

        snprintf(left, sizeof(left), "%s%s%s%s%s%s", o->letter ? letter : "  ",
                 o->letter && o->name ? ", " : "", !o->letter && o->name ? "  " : "",
                 o->name ? "--" : "", o->name ? o->name : "", o->parameter ? " " : "");
        fprintf(out, "  %s%-*s %s\n", left, (int)(26 - strlen(left)),
                o->parameter ? o->parameter : "", o->help);
    }
}
