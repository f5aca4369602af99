/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/places.h"

#include "base/err.h"
#include "base/gate.h"
#include "base/scope.h"
#include "dmtcp/record.h"
#include "dmtcp/session.h"

#include <stdlib.h>
#include <string.h>

/* The hosts that the images are of, but for the root's. */
struct groups {
    const char **host;
    size_t n;
    size_t *of_image; /* 0: with the root; else one more than the number in `host` */
};

static void groups_free(struct groups *g)
{
    free(g->host);
    free(g->of_image);
}
#define auto_groups __attribute__((cleanup(groups_free)))

static const char *root_host(const struct record *r)
{
    const struct images *set = &r->images;
    size_t root = 0;

    while (root + 1 < set->n && strcmp(set->image[root].unique, r->root) != 0)
        root++;
    return set->image[root].host;
}

static int find_groups(const struct record *r, struct groups *g, struct err *e)
{
    const struct images *set = &r->images;
    const char *root = root_host(r);

    g->host = calloc(set->n, sizeof(*g->host));
    g->of_image = calloc(set->n, sizeof(*g->of_image));
    if (!g->host || !g->of_image)
        return err_sys(e, "places of images");
    for (size_t i = 0; i < set->n; i++) {
        size_t k = 0;

        if (strcmp(set->image[i].host, root) == 0)
            continue;
        while (k < g->n && strcmp(set->image[i].host, g->host[k]) != 0)
            k++;
        if (k == g->n)
            g->host[g->n++] = set->image[i].host;
        g->of_image[i] = k + 1;
    }
    return 0;
}

/* ---- which of the other hosts each group comes to ---- */

struct matching {
    const struct session *session;
    const struct record *record;
    const struct gate *gate;
    const struct groups *groups;
    size_t *host;  /* of each group: one more than the number of the link, 0: none */
    size_t *group; /* of each link: one more than the number of the group, 0: none */
    bool *is_seen; /* links, in one search */
};

static void matching_free(struct matching *m)
{
    free(m->host);
    free(m->group);
    free(m->is_seen);
}
#define auto_matching __attribute__((cleanup(matching_free)))

static bool would_do(const struct matching *m, size_t group, size_t link)
{
    const struct link *to = &m->session->links.link[link];
    const char *kept[] = {record_kept(m->record, m->groups->host[group])};
    const struct gate_host host = {
        .name = to->host, .cpu = to->cpu, .kept = kept, .n_kept = 1};

    return !m->gate || m->gate->would_do(m->gate->arg, &host);
}

/* As when there is no gate, if that will do: the first group to the first link and so
 * on, and round again. */
static size_t candidate(const struct matching *m, size_t group, size_t k)
{
    return (group + k) % m->session->links.n;
}

/* One group to a link each: whoever is in the way is moved to another one, if it can
 * be. */
static bool match(struct matching *m, size_t group)
{
    for (size_t k = 0; k < m->session->links.n; k++) {
        size_t link = candidate(m, group, k);

        if (m->is_seen[link] || !would_do(m, group, link))
            continue;
        m->is_seen[link] = true;
        if (m->group[link] && !match(m, m->group[link] - 1))
            continue;
        m->group[link] = group + 1;
        m->host[group] = link + 1;
        return true;
    }
    return false;
}

/* There are not enough of them for that. */
static void share(struct matching *m, size_t group)
{
    for (size_t k = 0; k < m->session->links.n && !m->host[group]; k++)
        if (would_do(m, group, candidate(m, group, k)))
            m->host[group] = candidate(m, group, k) + 1;
}

/* One for which there is no host gets one all the same, which will be named as the one
 * that it cannot use: where each has its own, one that nobody has. */
static size_t fallback(const struct matching *m, size_t group)
{
    size_t k = 0;

    while (m->groups->n <= m->session->links.n && m->group[candidate(m, group, k)])
        k++;
    return candidate(m, group, k);
}

static int match_all(struct matching *m, struct err *e)
{
    size_t links = m->session->links.n;

    m->host = calloc(m->groups->n + 1, sizeof(*m->host));
    m->group = calloc(links + 1, sizeof(*m->group));
    m->is_seen = calloc(links + 1, sizeof(*m->is_seen));
    if (!m->host || !m->group || !m->is_seen)
        return err_sys(e, "places of images");
    for (size_t i = 0; links > 0 && i < m->groups->n; i++) {
        memset(m->is_seen, 0, links * sizeof(*m->is_seen));
        if (m->groups->n > links)
            share(m, i);
        else
            match(m, i);
    }
    for (size_t i = 0; links > 0 && i < m->groups->n; i++)
        if (!m->host[i]) {
            m->host[i] = fallback(m, i) + 1;
            m->group[m->host[i] - 1] = i + 1;
        }
    return 0;
}

int places_choose(const struct session *s, const struct record *r,
                  const struct gate *gate, size_t **place, struct err *e)
{
    auto_groups struct groups groups = {0};
    auto_matching struct matching m = {
        .session = s, .record = r, .gate = gate, .groups = &groups};
    auto_free size_t *made = calloc(r->images.n, sizeof(*made));

    if (!made)
        return err_sys(e, "places of images");
    if (find_groups(r, &groups, e) < 0 || match_all(&m, e) < 0)
        return -1;
    for (size_t i = 0; i < r->images.n; i++)
        made[i] = groups.of_image[i] ? m.host[groups.of_image[i] - 1] : 0;
    *place = take_ptr(made);
    return 0;
}

/* ---- asking for good ---- */

/* What was kept of the hosts whose images come to one place. */
static size_t list_kept(const struct record *r, const struct groups *g,
                        const size_t *place, size_t at, const char **kept)
{
    size_t n = 0;

    for (size_t group = 0; group < g->n; group++)
        for (size_t i = 0; i < r->images.n; i++)
            if (g->of_image[i] == group + 1) {
                if (place[i] == at)
                    kept[n++] = record_kept(r, g->host[group]);
                break;
            }
    return n;
}

int places_use(struct session *s, const struct record *r, const size_t *place,
               const struct gate *gate, struct err *e)
{
    auto_groups struct groups groups = {0};
    auto_free const char **kept = calloc(r->images.n, sizeof(*kept));
    char unused[GATE_KEEP_SIZE];
    struct gate_host here = {.kept = kept};

    if (!kept)
        return err_sys(e, "hosts of the job");
    if (!gate || find_groups(r, &groups, e) < 0)
        return gate ? -1 : 0;
    here.n_kept = list_kept(r, &groups, place, 0, kept);
    if (here.n_kept > 0 && gate->use(gate->arg, &here, unused, e) < 0)
        return -1;
    for (size_t i = 0; i < s->links.n; i++) {
        size_t n = list_kept(r, &groups, place, i + 1, kept);

        if (session_use_host(s, i, kept, n, gate, e) < 0)
            return -1;
    }
    return 0;
}
