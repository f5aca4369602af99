/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/set.h"

#include "base/err.h"
#include "base/str.h"
#include "dmtcp/command.h"
#include "dmtcp/images.h"
#include "dmtcp/ready.h"
#include "dmtcp/session.h"

#include <stdio.h>
#include <string.h>

/* The first part of a process's id is its host's. */
static bool is_of_same_host(const char *a, const char *b)
{
    size_t n = strcspn(a, "-");

    return strncmp(a, b, n + 1) == 0;
}

/* Not every process was there when the job was asked, but its host was. */
static int find_host(const struct set_of *o, struct image *image, struct err *e)
{
    const char *host = NULL;

    for (size_t i = 0; i < o->workers->n; i++) {
        const struct command_worker *w = &o->workers->worker[i];

        if (!is_of_same_host(w->unique, image->unique))
            continue;
        if (host && strcmp(host, w->host) != 0)
            return err_set(e, ERR_REFUSED,
                           "hosts %s and %s have the same host id (gethostid(3)), by "
                           "which DMTCP tells processes apart: give each its own "
                           "/etc/hostid",
                           host, w->host);
        host = w->host;
    }
    if (!host)
        return err_set(e, ERR_REFUSED,
                       "%s is of a host on which nothing ran when the job was asked",
                       image->name);
    return str_format(image->host, sizeof(image->host), e, "%s", host);
}

static size_t count_images(const struct images *set, const char *host)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++)
        n += strcmp(set->image[i].host, host) == 0;
    return n;
}

/* A process that is about to end tells DMTCP so before it has. */
static int differs(size_t processes, size_t images, const char *where, struct err *e)
{
    err_set(e, ERR_REFUSED,
            "the job has %zu processes%s, but DMTCP has written %zu images: one "
            "has ended meanwhile, or is not under DMTCP",
            processes, where, images);
    return err_momentary(e);
}

/* The same for each host of a job that has several. */
static int check_hosts(const struct set_of *o, struct images *set, size_t live,
                       struct err *e)
{
    const char *here = NULL;
    size_t total = live;

    for (size_t i = 0; i < set->n; i++) {
        if (find_host(o, &set->image[i], e) < 0)
            return -1;
        if (strcmp(set->image[i].unique, o->root) == 0)
            here = set->image[i].host;
    }
    if (!here)
        return err_set(e, ERR_REFUSED, "the job's first process has not been written");
    if (count_images(set, here) != live)
        return differs(live, count_images(set, here), " on this host", e);
    for (size_t i = 0; i < o->session->links.n; i++) {
        struct link *link = &o->session->links.link[i];
        struct links_count count;
        char where[300];

        if (ready_count_part(link, &count, e) < 0)
            return -1;
        snprintf(where, sizeof(where), " on host %s", link->host);
        if (count.under_dmtcp != count_images(set, link->name))
            return differs(count.under_dmtcp, count_images(set, link->name), where, e);
        total += count.under_dmtcp;
    }
    return total == set->n ? 0 : differs(total, set->n, " on its hosts", e);
}

static struct set_size measure(const struct processes *live, const struct images *set)
{
    /* DMTCP has a thread of its own in each process. Those elsewhere are taken to have
     * one besides. */
    struct set_size size = {.processes = set->n, .threads = set->n - live->n};

    for (size_t i = 0; i < live->n; i++)
        size.threads += live->process[i].threads - (live->process[i].threads > 1);
    for (size_t i = 0; i < set->n; i++)
        size.bytes += set->image[i].size_bytes;
    return size;
}

int set_check(const struct set_of *o, struct images *images, struct set_size *size,
              struct err *e)
{
    auto_processes struct processes live = {0};

    if (session_reap(o->session))
        return err_set(e, ERR_GONE, "the job ended while it was being saved");
    if (session_own_processes(o->session, &live, e) < 0)
        return -1;
    if (live.unwaited)
        return ready_refuse_unwaited(live.unwaited, e);
    if (images_list(o->session->images_fd, images, e) < 0)
        return -1;
    if (o->session->links.n > 0) {
        if (check_hosts(o, images, live.n, e) < 0)
            return -1;
    } else if (live.n != images->n) {
        return differs(live.n, images->n, "", e);
    }
    *size = measure(&live, images);
    return 0;
}
