/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growing list of strings, ended by NULL: an argument vector or an environment.
 */
#ifndef DMTCP_WORDS_H
#define DMTCP_WORDS_H

#include <stddef.h>

struct err;

struct words {
    char **word; /* owned, as are the strings; NULL when empty */
    size_t n;
};

/* Appends one, formatted. */
int words_add(struct words *w, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends all of a NULL-terminated list. */
int words_add_all(struct words *w, char *const *list, struct err *e);

/* Appends the parts of `text` between blanks; NULL is allowed. */
int words_split(struct words *w, const char *text, struct err *e);

void words_free(struct words *w);
#define auto_words __attribute__((cleanup(words_free)))

#endif
