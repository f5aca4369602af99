/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ge/xml.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

char *ge_xml_element(const char *from, const char *to, const char *name)
{
    char open[40], close[40];
    const char *start, *end;

    snprintf(open, sizeof(open), "<%s>", name);
    snprintf(close, sizeof(close), "</%s>", name);
    start = memmem(from, to - from, open, strlen(open));
    if (!start)
        return NULL;
    start += strlen(open);
    end = memmem(start, to - start, close, strlen(close));
    if (!end || memchr(start, '<', end - start) ||
        memmem(end, to - end, open, strlen(open)))
        return NULL;
    return strndup(start, end - start);
}

bool ge_xml_is_whole(const char *xml, const char *name)
{
    size_t size = strlen(xml);
    char tail[40];
    size_t length = snprintf(tail, sizeof(tail), "</%s>", name);

    while (size > 0 && strchr(" \t\r\n", xml[size - 1]))
        size--;
    return strncmp(xml, "<?xml", 5) == 0 && size >= length &&
           strncmp(xml + size - length, tail, length) == 0;
}

static const struct {
    const char *reference;
    char character;
} references[] = {
    {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};

/* The length of the reference at `text`; 0: none of those known. */
static size_t reference_at(const char *text, char *character)
{
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
        size_t length = strlen(references[i].reference);

        if (strncmp(text, references[i].reference, length) == 0) {
            *character = references[i].character;
            return length;
        }
    }
    return 0;
}

int ge_xml_decode(char *text, struct err *e)
{
    char *out = text;

    for (const char *in = text; *in;) {
        size_t length = 1;

        *out = *in;
        if (strncmp(in, "%lt;", 4) == 0)
            return err_set(e, ERR_CORRUPT, "'%.60s' may stand for a '<' or for itself",
                           in);
        if (*in == '&') {
            length = reference_at(in, out);
            if (length == 0)
                return err_set(e, ERR_CORRUPT, "'%.60s' is no text of XML", in);
        }
        out++;
        in += length;
    }
    *out = '\0';
    return 0;
}
