/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which processes come to which host. A host has what it needs when what is kept of its
 * processes is in what it says of its CPU, letter by letter. */
#include "dmtcp/places.h"

#include "base/err.h"
#include "base/gate.h"
#include "base/scope.h"
#include "dmtcp/record.h"
#include "dmtcp/session.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS_MAX = 8 };

struct run {
    struct link link[HOSTS_MAX];
    struct image image[HOSTS_MAX];
    struct session session;
    struct record record;
    char used[256]; /* "HOST=KEPT+KEPT " for each */
};

static bool has_all(const struct gate_host *host)
{
    for (size_t i = 0; i < host->n_kept; i++)
        for (const char *letter = host->kept[i]; *letter; letter++)
            if (host->cpu && !strchr(host->cpu, *letter))
                return false;
    return true;
}

static bool would_do(void *arg, const struct gate_host *host)
{
    return arg && has_all(host);
}

static int use(void *arg, const struct gate_host *host, char keep[GATE_KEEP_SIZE],
               struct err *e)
{
    struct run *run = arg;
    char *out = run->used;
    size_t n = strlen(out);

    n += snprintf(out + n, sizeof(run->used) - n, "%s=", host->name ? host->name : "-");
    for (size_t i = 0; i < host->n_kept; i++)
        n += snprintf(out + n, sizeof(run->used) - n, "%s%s", i ? "+" : "",
                      host->kept[i]);
    snprintf(out + n, sizeof(run->used) - n, " ");
    snprintf(keep, GATE_KEEP_SIZE, "%s", host->cpu ? host->cpu : "");
    return has_all(host) ? 0 : err_set(e, ERR_WRONG_HOST, "host %s", host->name);
}

/* One image of each of the hosts "0" (the root's), "1"...; `needs` and `cpus`, ended by
 * NULL, are those of the others. */
static struct run *run_make(const char *const *needs, const char *const *cpus)
{
    struct run *run = calloc(1, sizeof(*run));
    struct err e = {0};

    run->record.images.image = run->image;
    snprintf(run->record.root, sizeof(run->record.root), "root");
    for (size_t i = 0; i == 0 || needs[i - 1]; i++) {
        struct image *image = &run->image[run->record.images.n++];

        snprintf(image->host, sizeof(image->host), "%zu", i);
        snprintf(image->unique, sizeof(image->unique), "%s", i ? "part" : "root");
        if (i)
            CHECK_INT(record_add_host(&run->record, image->host, needs[i - 1], &e), 0);
    }
    run->session.links.link = run->link;
    for (; cpus[run->session.links.n]; run->session.links.n++) {
        struct link *link = &run->link[run->session.links.n];

        link->host = cpus[run->session.links.n];
        link->cpu = (char *)link->host;
    }
    return run;
}

static void run_drop(struct run *run)
{
    for (size_t i = 0; i < run->record.n_hosts; i++)
        free(run->record.hosts[i].keep);
    for (size_t i = 0; i < run->session.links.n; i++)
        free(run->link[i].keep);
    free(run->record.hosts);
    free(run);
}

/* "013": where the images come; then what the hosts are asked for. */
static void check(const char *const *needs, const char *const *cpus, const char *want,
                  const char *used, int result)
{
    struct run *run = run_make(needs, cpus);
    struct gate gate = {.would_do = would_do, .use = use, .arg = run};
    auto_free size_t *place = NULL;
    char got[HOSTS_MAX + 1] = "";
    struct err e = {0};

    CHECK_INT(places_choose(&run->session, &run->record, &gate, &place, &e), 0);
    for (size_t i = 0; place && i < run->record.images.n; i++)
        got[i] = (char)('0' + place[i]);
    CHECK_STR(got, want);
    CHECK_INT(places_use(&run->session, &run->record, place, &gate, &e), result);
    CHECK_STR(run->used, used);
    run_drop(run);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NONE ((const char *const[]){NULL})

static void each_comes_to_a_host_of_its_own(void)
{
    check(LIST("a", "a"), LIST("a", "ab"), "012", "a=a ab=a ", 0);
    check(LIST("", ""), LIST("a", "ab", "b"), "012", "a= ab= b= ", 0);
}

static void each_comes_to_a_host_that_will_do(void)
{
    check(LIST("b", "a"), LIST("a", "b"), "021", "a=a b=b ", 0);
    /* The first could have either, the second only that; and so on, round. */
    check(LIST("a", "b", "c"), LIST("cab", "a", "b"), "0231", "cab=c a=a b=b ", 0);
}

static void a_host_that_will_not_do_is_named(void)
{
    check(LIST("b"), LIST("a"), "01", "a=b ", -1);
    check(LIST("b", "b"), LIST("a", "b"), "021", "a=b ", -1);
}

static void fewer_hosts_are_shared(void)
{
    check(LIST("a", "b", "a"), LIST("a", "ab"), "0121", "a=a+a ab=b ", 0);
    check(LIST("b", "b", "b"), LIST("a", "ab"), "0222", "a= ab=b+b+b ", 0);
}

static void with_one_host_all_come_there(void)
{
    check(LIST("a", "b"), NONE, "000", "-=a+b ", 0);
}

static void without_a_gate_any_host_will_do(void)
{
    struct run *run = run_make(LIST("b", "a"), LIST("a", "b"));
    auto_free size_t *place = NULL;
    struct err e = {0};

    CHECK_INT(places_choose(&run->session, &run->record, NULL, &place, &e), 0);
    CHECK(place && place[0] == 0 && place[1] == 1 && place[2] == 2);
    CHECK_INT(places_use(&run->session, &run->record, place, NULL, &e), 0);
    run_drop(run);
}

int main(void)
{
    RUN(each_comes_to_a_host_of_its_own);
    RUN(each_comes_to_a_host_that_will_do);
    RUN(a_host_that_will_not_do_is_named);
    RUN(fewer_hosts_are_shared);
    RUN(with_one_host_all_come_there);
    RUN(without_a_gate_any_host_will_do);
    return tap_done();
}
