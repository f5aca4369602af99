/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ge/complexes.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    N_COLUMNS = 8,
    /* name shortcut type relop requestable consumable default urgency */
    NAME = 0,
    SHORTCUT,
    TYPE,
    RELATION,
    REQUESTABLE,
    CONSUMABLE,
};

struct ge_complexes {
    char *text; /* what the entries point into */
    size_t count, room;
    struct ge_complex *entry;
};

void ge_complexes_free(struct ge_complexes *list)
{
    if (!list)
        return;
    free(list->entry);
    free(list->text);
    free(list);
}

static struct ge_complex *add(struct ge_complexes *list)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        void *more = reallocarray(list->entry, room, sizeof(*list->entry));

        if (!more)
            return NULL;
        list->entry = more;
        list->room = room;
    }
    return &list->entry[list->count++];
}

/* Splits `line`; how many words there are, of which the first ones are in `word`. */
static size_t split(char *line, char *word[N_COLUMNS])
{
    char *rest, *w = strtok_r(line, " \t\r", &rest);
    size_t count = 0;

    for (; w; w = strtok_r(NULL, " \t\r", &rest)) {
        if (count < N_COLUMNS)
            word[count] = w;
        count++;
    }
    return count;
}

static int parse_line(struct ge_complexes *list, char *line, unsigned number,
                      struct err *e)
{
    char *word[N_COLUMNS];
    struct ge_complex *entry;
    size_t count = line[0] == '#' ? 0 : split(line, word);

    if (count == 0)
        return 0;
    if (count != N_COLUMNS)
        return err_set(
            e, ERR_CORRUPT,
            "line %u of the complexes, \"%.40s\", has %zu words instead of %d", number,
            word[NAME], count, N_COLUMNS);
    entry = add(list);
    if (!entry)
        return err_sys(e, "list of complexes");
    *entry = (struct ge_complex){.name = word[NAME],
                                 .shortcut = word[SHORTCUT],
                                 .type = word[TYPE],
                                 .relation = word[RELATION],
                                 .requestable = strcmp(word[REQUESTABLE], "NO") != 0,
                                 .consumable = strcmp(word[CONSUMABLE], "NO") != 0};
    return 0;
}

struct ge_complexes *ge_complexes_parse(const char *text, struct err *e)
{
    auto_ge_complexes struct ge_complexes *list = calloc(1, sizeof(*list));
    char *line, *rest;
    unsigned number = 0;

    if (list)
        list->text = strdup(text);
    if (!list || !list->text) {
        err_sys(e, "list of complexes");
        return NULL;
    }
    for (rest = list->text; (line = strsep(&rest, "\n"));)
        if (parse_line(list, line, ++number, e) < 0)
            return NULL;
    if (list->count == 0) {
        err_set(e, ERR_CORRUPT,
                "there are no complexes; is it the output of qconf -sc?");
        return NULL;
    }
    return take_ptr(list);
}

const struct ge_complex *ge_complexes_find(const struct ge_complexes *list,
                                           const char *word)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entry[i].name, word) == 0 ||
            strcmp(list->entry[i].shortcut, word) == 0)
            return &list->entry[i];
    return NULL;
}
