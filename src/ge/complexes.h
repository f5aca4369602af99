/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The complexes of a cluster: what jobs can ask for with -l, from `qconf -sc`
 * (complex(5)).
 */
#ifndef GE_COMPLEXES_H
#define GE_COMPLEXES_H

#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct ge_complexes;

struct ge_complex {
    const char *name, *shortcut; /* as long as the list lives */
    const char *type;            /* "BOOL", "INT"... */
    const char *relation;        /* "==": `request RELATION host's value` */
    bool requestable;
    bool consumable;
};

/* From what qconf printed. ERR_CORRUPT names the line that is no complex; a list
 * without any is one too, for Grid Engine always has some. */
struct ge_complexes *ge_complexes_parse(const char *text, struct err *e);
void ge_complexes_free(struct ge_complexes *list);
SCOPE_DEFINE(ge_complexes, struct ge_complexes *, ge_complexes_free);
#define auto_ge_complexes SCOPE_USE(ge_complexes)

/* By name or shortcut, which must differ from all others of both kinds; NULL: there is
 * none. */
const struct ge_complex *ge_complexes_find(const struct ge_complexes *list,
                                           const char *word);

#endif
