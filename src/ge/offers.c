/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "ge/requests.h"
#include "ge/tool.h"
#include "ge/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char open_tag[] = "<Queue-List>", close_tag[] = "</Queue-List>";

/* <resource name="cpu_level" type="hl">2</resource>; a BOOL is 1.000000. */
static bool has(const char *from, const char *to, const struct request *wanted)
{
    char tag[256];
    const char *p;
    size_t length = snprintf(tag, sizeof(tag), "<resource name=\"%s\" ", wanted->name);

    if (length >= sizeof(tag))
        return false;
    p = memmem(from, to - from, tag, length);
    p = p ? memchr(p, '>', to - p) : NULL;
    if (!p)
        return false;
    if (strncasecmp(p + 1, "TRUE<", 5) == 0)
        return true;
    return strtod(p + 1, NULL) >= strtod(wanted->value, NULL);
}

/* A host may have several queues. */
struct names {
    char **name;
    size_t n;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->name[i]);
    free(names->name);
}
#define auto_names __attribute__((cleanup(names_free)))

static int names_add(struct names *names, const char *name, struct err *e)
{
    char **more = realloc(names->name, (names->n + 1) * sizeof(*more));

    if (!more)
        return err_sys(e, "list of hosts");
    names->name = more;
    more[names->n] = strdup(name);
    if (!more[names->n])
        return err_sys(e, "list of hosts");
    names->n++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static unsigned count_different(struct names *names)
{
    unsigned count = names->n > 0;

    if (names->n > 1)
        qsort(names->name, names->n, sizeof(*names->name), compare);
    for (size_t i = 1; i < names->n; i++)
        count += strcasecmp(names->name[i - 1], names->name[i]) != 0;
    return count;
}

static int count_queue(const struct ge_raise *r, const char *from, const char *to,
                       const char *host, struct ge_offers *offers, struct names *hosts,
                       struct err *e)
{
    auto_free char *name = ge_xml_element(from, to, "name");
    const char *at = name ? strrchr(name, '@') : NULL;

    if (!at)
        return err_set(e, ERR_CORRUPT, "qstat -F lists a queue without a name");
    offers->queues++;
    for (size_t i = 0; i < r->required.n; i++)
        if (!has(from, to, &r->required.list[i]))
            return 0;
    offers->enough++;
    if (!host || strcasecmp(at + 1, host) != 0)
        offers->elsewhere++;
    return names_add(hosts, at + 1, e);
}

int ge_offers_parse(const struct ge_raise *r, const char *xml, const char *host,
                    struct ge_offers *offers, struct err *e)
{
    auto_names struct names hosts = {0};
    struct ge_offers result = {0};
    const char *from, *to;

    if (!ge_xml_is_whole(xml, "job_info"))
        return err_set(e, ERR_CORRUPT, "qstat -F prints no list of queues: '%.60s'",
                       xml);
    for (from = strstr(xml, open_tag); from; from = strstr(to, open_tag)) {
        to = strstr(from, close_tag);
        if (!to || memmem(from + 1, to - from - 1, open_tag, sizeof(open_tag) - 1))
            return err_set(e, ERR_CORRUPT, "qstat's list of queues is cut off");
        if (count_queue(r, from, to, host, &result, &hosts, e) < 0)
            return -1;
    }
    result.hosts = count_different(&hosts);
    *offers = result;
    return 0;
}

/* "cpu_level,cpuflag_fma": the names only. */
static char *names(const struct ge_raise *r)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return NULL;
    for (size_t i = 0; i < r->required.n; i++)
        fprintf(f, "%s%s", i ? "," : "", r->required.list[i].name);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Of the queue instances on `only`, or of all when it is NULL. No job is listed, which
 * could be thousands: ':' is in no user's name (passwd(5)). */
static int ask(const struct ge_raise *r, const char *only, unsigned timeout_ms,
               struct spawn_output *output, struct err *e)
{
    auto_free char *list = names(r), *queues = NULL;
    char *argv[] = {(char *)"qstat", (char *)"-F", list, (char *)"-u", (char *)":",
                    (char *)"-xml",  NULL,         NULL, NULL};

    if (!list || (only && asprintf(&queues, "*@%s", only) < 0))
        return err_sys(e, "names of complexes");
    /* An empty list of names is one of all. */
    if (!list[0])
        return err_set(e, ERR_NOTHING, "there is nothing to ask the cluster for");
    if (only) {
        argv[6] = (char *)"-q";
        argv[7] = queues;
    }
    return ge_tool_run(argv, timeout_ms, output, e);
}

int ge_raise_offers(const struct ge_raise *r, const char *host, bool only_there,
                    unsigned timeout_ms, struct ge_offers *offers, struct err *e)
{
    auto_spawn_output struct spawn_output output = {0};

    if (ask(r, only_there ? host : NULL, timeout_ms, &output, e) < 0)
        return -1;
    return ge_offers_parse(r, output.out, host, offers, e);
}
