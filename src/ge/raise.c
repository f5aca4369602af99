/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "ge/complexes.h"
#include "ge/requests.h"
#include "ge/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

SCOPE_DEFINE(raise, struct ge_raise *, ge_raise_free);
#define auto_raise SCOPE_USE(raise)

void ge_raise_free(struct ge_raise *r)
{
    if (!r)
        return;
    requests_free(&r->after);
    requests_free(&r->required);
    free(r->list);
    free(r);
}

const struct ge_raise_report *ge_raise_report(const struct ge_raise *r)
{
    return &r->report;
}

const char *ge_raise_list(const struct ge_raise *r)
{
    return r->list;
}

const char *ge_raise_required(const struct ge_raise *r)
{
    return r->required_text;
}

/* Appends a word; what does not fit is left out, which " ..." says. */
static void note(char out[512], const char *name, const char *value)
{
    size_t used = strlen(out), left = 512 - used;
    const char *gap = used ? " " : "";
    int n = snprintf(out + used, left, value ? "%s%s=%s" : "%s%s", gap, name, value);

    if (n < (int)left - 4)
        return;
    out[used] = '\0';
    if (left > 4 && (used < 4 || strcmp(out + used - 4, " ...") != 0))
        memcpy(out + used, " ...", 5);
}

/* ---- merging ---- */

/* What Grid Engine takes for a number, also in an INT: whatever strtod(3) does, with a
 * multiplier (sge_types(5)), and TRUE, which a request without a value has. */
bool ge_request_number(const char *value, double *number)
{
    static const struct {
        const char *letter;
        double factor;
    } multipliers[] = {{"", 1},
                       {"k", 1e3},
                       {"K", 1024},
                       {"m", 1e6},
                       {"M", 1024.0 * 1024},
                       {"g", 1e9},
                       {"G", 1024.0 * 1024 * 1024},
                       {"t", 1e12},
                       {"T", 1024.0 * 1024 * 1024 * 1024}};
    double n;
    char *end;

    if (strcasecmp(value, "TRUE") == 0 || strcasecmp(value, "FALSE") == 0) {
        *number = strcasecmp(value, "TRUE") == 0;
        return true;
    }
    n = strtod(value, &end);
    if (end == value)
        return false;
    for (size_t i = 0; i < sizeof(multipliers) / sizeof(multipliers[0]); i++)
        if (strcmp(end, multipliers[i].letter) == 0) {
            *number = n * multipliers[i].factor;
            return true;
        }
    return false;
}

/* What Grid Engine takes for false in a BOOL; the values of qstat are 0.000000. */
static bool is_false(const char *value)
{
    double number;

    return strcasecmp(value, "FALSE") == 0 || strcasecmp(value, "F") == 0 ||
           strcasecmp(value, "NO") == 0 || strcasecmp(value, "N") == 0 ||
           (ge_request_number(value, &number) && number == 0);
}

static bool asks_for_less(const char *value, const char *wanted)
{
    double has, needs;

    return ge_request_number(value, &has) && ge_request_number(wanted, &needs) &&
           has < needs;
}

static int replace(struct request *request, const char *value, struct err *e)
{
    char *copy = strdup(value);

    if (!copy)
        return err_sys(e, "list of requests");
    free(request->value);
    request->value = copy;
    return 0;
}

static int merge(struct ge_raise *r, const struct ge_request *wanted, struct err *e)
{
    struct request *has = requests_find(&r->after, wanted->name);

    note(r->required_text, wanted->name, wanted->value);
    if (has && !wanted->at_least && is_false(has->value)) {
        note(r->report.contrary, has->name, has->value);
        return 0;
    }
    r->report.asks++;
    if (has && (!wanted->at_least || !asks_for_less(has->value, wanted->value)))
        return 0;
    note(r->report.added, wanted->name, wanted->value);
    r->report.changes = true;
    return has ? replace(has, wanted->value, e)
               : requests_add(&r->after, wanted->name, wanted->value, e);
}

/* A request for what is consumed would take from the host what others may have. */
static bool has_kind(const struct ge_complex *c, const char *type, const char *relation)
{
    return c->requestable && !c->consumable && strcmp(c->type, type) == 0 &&
           strcmp(c->relation, relation) == 0;
}

static bool is_level(const struct ge_complex *c)
{
    return c && has_kind(c, "INT", "<=");
}

/* By its full name: qalter takes shortcuts too, but qstat does not show them. */
static const struct ge_complex *find(const struct ge_complexes *complexes,
                                     const char *name)
{
    const struct ge_complex *c = ge_complexes_find(complexes, name);

    return c && strcmp(c->name, name) == 0 ? c : NULL;
}

static int merge_all(struct ge_raise *r, const struct ge_complexes *complexes,
                     const struct ge_request *wanted, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct ge_request *w = &wanted[i];
        const struct ge_complex *c = find(complexes, w->name);

        if (w->unless && is_level(find(complexes, w->unless)))
            continue;
        if (!c)
            note(r->report.unknown, w->name, NULL);
        else if (w->at_least ? !is_level(c) : !has_kind(c, "BOOL", "=="))
            note(r->report.unusable, w->name, NULL);
        else if (requests_add(&r->required, w->name, w->value, e) < 0 ||
                 merge(r, w, e) < 0)
            return -1;
    }
    return 0;
}

struct ge_raise *ge_raise_parse(const char *job, const char *xml, const char *complexes,
                                const struct ge_request *wanted, size_t n,
                                struct err *e)
{
    auto_raise struct ge_raise *r = calloc(1, sizeof(*r));
    auto_ge_complexes struct ge_complexes *known = ge_complexes_parse(complexes, e);

    if (!known)
        return NULL;
    if (!r) {
        err_sys(e, "requests of job %s", job);
        return NULL;
    }
    strncpy(r->job, job, sizeof(r->job) - 1);
    if (requests_parse(xml, job, &r->after, e) < 0 ||
        merge_all(r, known, wanted, n, e) < 0)
        return NULL;
    r->list = r->report.changes ? requests_format(&r->after, e) : strdup("");
    return r->list ? take_ptr(r) : NULL;
}

/* ---- Grid Engine ---- */

static int ask_job(const char *job, unsigned timeout_ms, struct spawn_output *output,
                   struct err *e)
{
    char *argv[] = {(char *)"qstat", (char *)"-j", (char *)job, (char *)"-xml", NULL};

    return ge_tool_run(argv, timeout_ms, output, e);
}

struct ge_raise *ge_raise_plan(const char *job, const struct ge_request *wanted,
                               size_t n, unsigned timeout_ms, struct err *e)
{
    char *argv[] = {(char *)"qconf", (char *)"-sc", NULL};
    auto_spawn_output struct spawn_output complexes = {0}, xml = {0};

    if (ge_tool_run(argv, timeout_ms, &complexes, e) < 0 ||
        ask_job(job, timeout_ms, &xml, e) < 0)
        return NULL;
    return ge_raise_parse(job, xml.out, complexes.out, wanted, n, e);
}

/* Whether what `qstat -j` printed has the list that was to be written. */
static int verify(const struct ge_raise *r, const char *xml, struct err *e)
{
    auto_requests struct requests now = {0};

    if (requests_parse(xml, r->job, &now, e) < 0)
        return -1;
    for (size_t i = 0; i < r->after.n; i++) {
        const struct request *wanted = &r->after.list[i];
        const struct request *has = requests_find(&now, wanted->name);

        if (!has)
            return err_set(e, ERR_FAILED,
                           "after qalter job %s does not ask for %s=%.100s", r->job,
                           wanted->name, wanted->value);
        if (strcmp(has->value, wanted->value) != 0)
            return err_set(e, ERR_FAILED,
                           "after qalter job %s asks for %s=%.100s instead of %.100s",
                           r->job, wanted->name, has->value, wanted->value);
    }
    return 0;
}

int ge_raise_write(const struct ge_raise *r, unsigned timeout_ms, struct err *e)
{
    char *argv[] = {(char *)"qalter", (char *)"-l", r->list, (char *)r->job, NULL};
    auto_spawn_output struct spawn_output said = {0}, xml = {0};

    if (!r->report.changes)
        return 0;
    if (ge_tool_run(argv, timeout_ms, &said, e) < 0 ||
        ask_job(r->job, timeout_ms, &xml, e) < 0)
        return -1;
    return verify(r, xml.out, e);
}
