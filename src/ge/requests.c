/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ge/requests.h"

#include "base/err.h"
#include "ge/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void requests_free(struct requests *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->list[i].name);
        free(r->list[i].value);
    }
    free(r->list);
    *r = (struct requests){0};
}

struct request *requests_find(const struct requests *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, name) == 0)
            return &r->list[i];
    return NULL;
}

static int make_room(struct requests *r, struct err *e)
{
    size_t room = r->room ? r->room * 2 : 32;
    struct request *list;

    if (r->n < r->room)
        return 0;
    list = reallocarray(r->list, room, sizeof(*list));
    if (!list)
        return err_sys(e, "list of requests");
    r->list = list;
    r->room = room;
    return 0;
}

int requests_add(struct requests *r, const char *name, const char *value, struct err *e)
{
    struct request *request;

    if (make_room(r, e) < 0)
        return -1;
    request = &r->list[r->n];
    request->name = strdup(name);
    request->value = strdup(value);
    if (!request->name || !request->value) {
        free(request->name);
        free(request->value);
        return err_sys(e, "list of requests");
    }
    r->n++;
    return 0;
}

/* ---- qstat -j ---- */

#define LIST "JB_hard_resource_list"

/* A request is the one while the job is as it was submitted, and the other when the
 * queue master has read or changed it. */
static const struct {
    const char *open, *close;
} tags[] = {{"<qstat_l_requests>", "</qstat_l_requests>"}, {"<element>", "</element>"}};

static size_t count(const char *from, const char *to, const char *what)
{
    size_t n = 0, length = strlen(what);

    for (const char *p = from; (p = memmem(p, to - p, what, length)) != NULL;
         p += length)
        n++;
    return n;
}

/* One <qstat_l_requests>. Names are complexes' names: nothing to decode. */
static int parse_element(const char *from, const char *to, struct requests *r,
                         struct err *e)
{
    auto_free char *name = ge_xml_element(from, to, "CE_name");
    auto_free char *value = ge_xml_element(from, to, "CE_stringval");

    if (!name || !*name || strpbrk(name, "&%=, \t\n"))
        return err_set(e, ERR_CORRUPT, "qstat lists a request without a name");
    if (!value || !*value)
        return err_set(e, ERR_CORRUPT, "qstat lists the request %s without a value",
                       name);
    if (ge_xml_decode(value, e) < 0)
        return err_wrap(e, "request %s", name);
    if (requests_find(r, name))
        return err_set(e, ERR_CORRUPT, "qstat lists the request %s twice", name);
    return requests_add(r, name, value, e);
}

/* The end tag of the request that begins at `p`; NULL: none does. *tag is its kind. */
static const char *find_end(const char *p, const char *to, size_t *tag)
{
    for (*tag = 0; *tag < sizeof(tags) / sizeof(tags[0]); ++*tag)
        if (strncmp(p, tags[*tag].open, strlen(tags[*tag].open)) == 0)
            return memmem(p, to - p, tags[*tag].close, strlen(tags[*tag].close));
    return NULL;
}

static int parse_list(const char *p, const char *to, struct requests *r, struct err *e)
{
    for (;;) {
        const char *end;
        size_t tag;

        p += strspn(p, " \t\r\n");
        if (p >= to)
            return 0;
        end = find_end(p, to, &tag);
        if (!end)
            return err_set(e, ERR_CORRUPT, "qstat's list of requests has '%.40s' in it",
                           p);
        if (parse_element(p, end, r, e) < 0)
            return -1;
        p = end + strlen(tags[tag].close);
    }
}

/* The text between <NAME> and </NAME>; both are NULL when there is no such element. */
static int find_list(const char *xml, const char *name, const char **from,
                     const char **to, struct err *e)
{
    char open[40], close[40], empty[40];
    const char *end = xml + strlen(xml);
    int length = snprintf(open, sizeof(open), "<%s>", name);

    snprintf(close, sizeof(close), "</%s>", name);
    snprintf(empty, sizeof(empty), "<%s/>", name);
    *from = strstr(xml, open);
    *to = strstr(xml, close);
    if (!*from && !*to)
        return 0;
    if (!*from || !*to || *to < *from || count(xml, end, open) != 1 ||
        count(xml, end, close) != 1 || count(xml, end, empty) != 0)
        return err_set(e, ERR_CORRUPT, "qstat's answer has no whole %s", name);
    *from += length;
    return 0;
}

/* Requests in places that are not known here would be lost: another version's. */
static int check_places(const char *xml, const char *hard, const char *hard_end,
                        struct err *e)
{
    const char *soft, *soft_end, *end = xml + strlen(xml);
    size_t known = hard ? count(hard, hard_end, "<CE_name>") : 0;

    if (find_list(xml, "JB_soft_resource_list", &soft, &soft_end, e) < 0)
        return -1;
    if (soft)
        known += count(soft, soft_end, "<CE_name>");
    if (count(xml, end, "<CE_name>") != known)
        return err_set(e, ERR_CORRUPT,
                       "qstat lists requests in a form that is not known here");
    return 0;
}

int requests_parse(const char *xml, const char *job, struct requests *r, struct err *e)
{
    auto_requests struct requests result = {0};
    const char *from, *to;
    bool known;

    if (ge_job_known_parse(xml, job, &known, e) < 0)
        return -1;
    if (!known)
        return err_set(e, ERR_GONE, "job %s is not known to Grid Engine", job);
    if (!ge_xml_is_whole(xml, "detailed_job_info"))
        return err_set(e, ERR_CORRUPT, "what qstat says of job %s is cut off", job);
    if (find_list(xml, LIST, &from, &to, e) < 0 || check_places(xml, from, to, e) < 0)
        return -1;
    if (from && parse_list(from, to, &result, e) < 0)
        return -1;
    *r = result;
    result = (struct requests){0};
    return 0;
}

/* ---- qalter -l ---- */

static bool can_be_written(const char *value)
{
    for (const char *c = value; *c; c++)
        if (*c == ',' || *c == ' ' || (unsigned char)*c < ' ')
            return false;
    return *value != '\0';
}

char *requests_format(const struct requests *r, struct err *e)
{
    size_t size = 1, at = 0;
    char *text;

    for (size_t i = 0; i < r->n; i++) {
        if (!can_be_written(r->list[i].value)) {
            err_set(e, ERR_CORRUPT,
                    "the request %s=%.100s cannot be given to qalter as it is",
                    r->list[i].name, r->list[i].value);
            return NULL;
        }
        size += strlen(r->list[i].name) + strlen(r->list[i].value) + 2;
    }
    text = malloc(size);
    if (!text) {
        err_sys(e, "list of requests");
        return NULL;
    }
    text[0] = '\0';
    for (size_t i = 0; i < r->n; i++)
        at += snprintf(text + at, size - at, "%s%s=%s", i ? "," : "", r->list[i].name,
                       r->list[i].value);
    return text;
}
