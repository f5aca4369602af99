/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/births.h"

#include "base/err.h"
#include "image/image.h"

#include <stdlib.h>

enum { FIRST_HELPER_PID = 300 };

void births_free(struct births *births)
{
    free(births->node);
    *births = (struct births){0};
}

static uint32_t find(const struct births *births, int32_t pid)
{
    for (uint32_t i = 0; i < births->n; i++)
        if (births->node[i].pid == pid)
            return i;
    return BIRTHS_TOP;
}

static void add(struct births *births, int32_t pid, int32_t sid, int32_t pgid,
                uint32_t process)
{
    births->node[births->n++] = (struct birth){
        .pid = pid, .sid = sid, .pgid = pgid, .process = process, .parent = BIRTHS_TOP};
}

static int add_processes(struct births *births, const struct image *img, struct err *e)
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];

        if (p->sid <= 0 || p->pgid <= 0)
            return err_set(e, ERR_FAILED,
                           "process %d was in a session or process group outside the "
                           "job",
                           p->pid);
        add(births, p->pid, p->sid, p->pgid, i);
        births->node[i].zombie = p->zombie;
        births->n_alive += !p->zombie;
    }
    return 0;
}

/* A temporary leader of a session is made where the processes it leaves behind will be
 * adopted: below the parent of one of them that is outside the session. */
static uint32_t reaper_of_session(const struct births *births, const struct image *img,
                                  int32_t sid)
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        uint32_t parent = find(births, img->processes[i].ppid);

        if (img->processes[i].sid == sid &&
            (parent == BIRTHS_TOP || births->node[parent].sid != sid))
            return parent;
    }
    return BIRTHS_TOP;
}

static void add_leaders(struct births *births, const struct image *img)
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        int32_t sid = img->processes[i].sid;

        if (find(births, sid) == BIRTHS_TOP) {
            uint32_t reaper = reaper_of_session(births, img, sid);

            add(births, sid, sid, sid, IMAGE_NONE);
            births->node[births->n - 1].parent = reaper;
        }
    }
    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];

        if (find(births, p->pgid) == BIRTHS_TOP) {
            add(births, p->pgid, p->sid, p->pgid, IMAGE_NONE);
            births->node[births->n - 1].parent = find(births, p->sid);
        }
    }
}

static bool id_is_used(const struct births *births, const struct image *img, int32_t id)
{
    if (id == img->supervisor_pid || find(births, id) != BIRTHS_TOP)
        return true;
    for (uint32_t i = 0; i < births->n; i++)
        if (births->node[i].helper_pid == id)
            return true;
    for (uint32_t i = 0; i < img->n_processes; i++)
        for (uint32_t k = 0; k < img->processes[i].n_threads; k++)
            if (img->processes[i].threads[k].tid == id)
                return true;
    return false;
}

static int32_t unused_id(const struct births *births, const struct image *img)
{
    int32_t id = FIRST_HELPER_PID;

    while (id_is_used(births, img, id))
        id++;
    return id;
}

/* Finds the parent at birth of a process that did not make its own session. */
static int place_member(struct births *births, const struct image *img, uint32_t i,
                        struct err *e)
{
    struct birth *n = &births->node[i];
    uint32_t parent = find(births, img->processes[i].ppid);
    const struct birth *p = parent == BIRTHS_TOP ? NULL : &births->node[parent];

    if (p && p->sid == n->sid) {
        n->parent = parent;
        return 0;
    }
    if (!p || img->processes[parent].child_subreaper) {
        n->parent = find(births, n->sid);
        /* A leader that ends anyway leaves it behind without help. */
        if (!birth_ends(&births->node[n->parent]))
            n->helper_pid = unused_id(births, img);
        return 0;
    }
    if (p->sid == p->pid) {
        n->parent = parent;
        n->early = true;
        return 0;
    }
    return err_set(e, ERR_FAILED,
                   "process %d is in session %d, in which its parent %d never was",
                   n->pid, n->sid, p->pid);
}

/* The session a node is in when it is born. */
static int32_t birth_session(const struct births *births, const struct birth *n)
{
    while (n->parent != BIRTHS_TOP && n->early)
        n = &births->node[n->parent];
    return n->parent == BIRTHS_TOP ? 0 : births->node[n->parent].sid;
}

/* A child that was forked before its parent made a session says in which session that
 * one was born; the parent may itself be older than the session of its own parent. */
static void make_early(struct births *births, const struct birth *n)
{
    uint32_t at = n->parent;

    while (birth_session(births, &births->node[n->parent]) != n->sid) {
        struct birth *p = &births->node[at];

        if (p->sid != p->pid || p->parent == BIRTHS_TOP)
            return;
        p->early = true;
        at = p->parent;
    }
}

static bool is_early_member(const struct birth *n)
{
    return n->early && n->sid != n->pid;
}

/* What one child asked for may contradict another. */
static int check_early(const struct births *births, struct err *e)
{
    for (uint32_t i = 0; i < births->n; i++) {
        const struct birth *n = &births->node[i];

        if (is_early_member(n) &&
            birth_session(births, &births->node[n->parent]) != n->sid)
            return err_set(e, ERR_FAILED,
                           "process %d is in session %d, in which its parent %d never "
                           "was",
                           n->pid, n->sid, births->node[n->parent].pid);
    }
    return 0;
}

/* Every node is reached from the top: the births have an order. */
static int check_order(const struct births *births, struct err *e)
{
    for (uint32_t i = 0; i < births->n; i++) {
        uint32_t at = i, steps = 0;

        while (at != BIRTHS_TOP && steps++ <= births->n)
            at = births->node[at].parent;
        if (at != BIRTHS_TOP)
            return err_set(e, ERR_CORRUPT, "process %d is its own ancestor",
                           births->node[i].pid);
    }
    return 0;
}

static int place(struct births *births, const struct image *img, struct err *e)
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        struct birth *n = &births->node[i];

        if (n->sid == n->pid)
            n->parent = find(births, img->processes[i].ppid);
        else if (place_member(births, img, i, e) < 0)
            return -1;
    }
    if (check_order(births, e) < 0)
        return -1;
    for (uint32_t i = img->n_processes; i-- > 0;)
        if (is_early_member(&births->node[i]))
            make_early(births, &births->node[i]);
    return check_early(births, e);
}

int births_plan(struct births *births, const struct image *img, struct err *e)
{
    /* At most a leader of a session and one of a group for each process. */
    *births = (struct births){
        .node = calloc(3 * (size_t)img->n_processes + 1, sizeof(*births->node))};
    if (!births->node)
        return err_sys(e, "plan the processes");
    if (add_processes(births, img, e) == 0) {
        add_leaders(births, img);
        if (place(births, img, e) == 0)
            return 0;
    }
    births_free(births);
    return -1;
}
