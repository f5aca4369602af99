/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/words.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int words_add(struct words *w, struct err *e, const char *fmt, ...)
{
    char **more = realloc(w->word, (w->n + 2) * sizeof(*more));
    va_list ap;
    int n;

    if (!more)
        return err_sys(e, "list of words");
    w->word = more;
    va_start(ap, fmt);
    n = vasprintf(&w->word[w->n], fmt, ap);
    va_end(ap);
    if (n < 0) {
        w->word[w->n] = NULL;
        return err_sys(e, "list of words");
    }
    w->word[++w->n] = NULL;
    return 0;
}

int words_add_all(struct words *w, char *const *list, struct err *e)
{
    for (; *list; list++)
        if (words_add(w, e, "%s", *list) < 0)
            return -1;
    return 0;
}

int words_split(struct words *w, const char *text, struct err *e)
{
    static const char blanks[] = " \t\n";

    while (text && *(text += strspn(text, blanks))) {
        size_t n = strcspn(text, blanks);

        if (words_add(w, e, "%.*s", (int)n, text) < 0)
            return -1;
        text += n;
    }
    return 0;
}

void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->word[i]);
    free(w->word);
    *w = (struct words){0};
}
