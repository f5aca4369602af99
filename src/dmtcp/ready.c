/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/ready.h"

#include "base/err.h"
#include "base/str.h"
#include "dmtcp/command.h"
#include "dmtcp/room.h"
#include "dmtcp/session.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Between execve and the loading of libraries a process looks as if it were not under
 * DMTCP: none does for so long. Nor does one that has ended remain while its parent
 * waits for it: DMTCP's wait(2) asks again and again, at first every microsecond, after
 * a second or more every second.
 */
enum { PATIENCE_MS = 2000 };

/* Not the same: a job that starts programs all the time is asked at some moment. */
enum { PATIENCE_ALL_MS = 5000 };

enum { LOOK_MS = 50, COUNT_TIMEOUT_S = 20 };

/* DMTCP would wait for it. */
static bool hinders(const struct process *p)
{
    return !p->under_dmtcp || p->stopped;
}

/* The one with that pid, if it is one, or any. */
static const struct process *find_hindrance(const struct processes *all, pid_t pid)
{
    const struct process *found = NULL;

    for (size_t i = 0; i < all->n; i++)
        if (hinders(&all->process[i]) && (!found || all->process[i].pid == pid))
            found = &all->process[i];
    return found;
}

static int refuse(const struct process *p, struct err *e)
{
    if (p->under_dmtcp)
        return err_set(e, ERR_REFUSED,
                       "process %d (%s) is stopped, and DMTCP would wait until it is "
                       "continued (SIGCONT)",
                       p->pid, p->name);
    return err_set(e, ERR_REFUSED,
                   "process %d (%s) is not under DMTCP: a statically linked or Go "
                   "program, or one with other privileges, cannot be saved by it",
                   p->pid, p->name);
}

static int list(const struct session *s, struct processes *all, struct err *e)
{
    return session_own_processes(s, all, e) < 0 ? -1 : processes_find_library(all, e);
}

int ready_refuse_unwaited(pid_t pid, struct err *e)
{
    err_set(e, ERR_REFUSED,
            "process %d has ended, and its parent has not asked for its status yet "
            "(wait(2)): DMTCP would not carry it",
            pid);
    return err_momentary(e);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000) + t.tv_nsec / 1000;
}

/* Whether what is seen now has been in the way for too long. */
static bool is_durable(struct ready_watch *w, pid_t pid, uint64_t now)
{
    if (w->suspect != pid) {
        w->suspect = pid;
        w->suspect_us = now;
    }
    return now - w->suspect_us >= PATIENCE_MS * UINT64_C(1000);
}

int ready_look(struct session *s, struct ready_watch *w, bool *is_ready, struct err *e)
{
    auto_processes struct processes all = {0};
    const struct process *found;
    uint64_t now = now_us();

    if (list(s, &all, e) < 0)
        return -1;
    if (!w->since_us)
        w->since_us = now;
    *is_ready = true;
    /* The one that was seen last: with two, none would be looked at for long. */
    found = find_hindrance(&all, w->suspect);
    if (!found && !all.unwaited)
        return 0;
    if (is_durable(w, found ? found->pid : all.unwaited, now))
        return found ? refuse(found, e) : ready_refuse_unwaited(all.unwaited, e);
    *is_ready = now - w->since_us >= PATIENCE_ALL_MS * UINT64_C(1000);
    return 0;
}

void ready_name_hindrance(const struct session *s, char *out, size_t size)
{
    auto_processes struct processes all = {0};
    const struct process *found = NULL;
    struct err ignored = {0};

    if (list(s, &all, &ignored) == 0)
        found = find_hindrance(&all, 0);
    out[0] = '\0';
    if (found)
        snprintf(out, size, "process %d (%s) %s", found->pid, found->name,
                 found->under_dmtcp ? "is stopped" : "is not under DMTCP");
}

static int refuse_still(unsigned peers, unsigned timeout_s, struct err *e)
{
    if (peers == 0)
        return err_set(e, ERR_REFUSED, "no process of the job is under DMTCP");
    return err_set(e, ERR_REFUSED,
                   "DMTCP says for %u s that the job's %u processes do not all run",
                   timeout_s, peers);
}

int ready_runs(struct session *s, struct ready_watch *w, unsigned timeout_s, bool *runs,
               struct err *e)
{
    struct command_status status = {0};
    uint64_t now = now_us();

    if (!w->since_us)
        w->since_us = now;
    /* Or the coordinator would be held, and not answer. */
    session_release_foreign(s);
    if (command_status(&s->in, door_port(s->door), &status, e) < 0) {
        if (e->kind != ERR_TIMEOUT)
            return -1;
        err_clear(e);
    }
    *runs = status.running;
    if (*runs || now - w->since_us < timeout_s * UINT64_C(1000000))
        return 0;
    return refuse_still(status.peers, timeout_s, e);
}

int ready_wait_running(struct session *s, unsigned timeout_s, struct err *e)
{
    struct ready_watch watch = {0};

    for (;;) {
        bool runs = false;

        if (ready_runs(s, &watch, timeout_s, &runs, e) < 0)
            return -1;
        if (runs)
            return 0;
        poll(NULL, 0, LOOK_MS);
    }
}

/* On another host there may be a process with the same pid. */
static bool is_here(const struct session *s, const struct command_worker *w)
{
    for (size_t i = 0; i < s->links.n; i++)
        if (strcmp(w->host, s->links.link[i].name) == 0)
            return false;
    return true;
}

static int find_root(const struct session *s, struct ready *ready, struct err *e)
{
    if (command_list(&s->in, door_port(s->door), &ready->workers, e) < 0)
        return -1;
    for (size_t i = 0; i < ready->workers.n; i++)
        if (ready->workers.worker[i].pid == s->root &&
            is_here(s, &ready->workers.worker[i]))
            return str_format(ready->root, sizeof(ready->root), e, "%s",
                              ready->workers.worker[i].unique);
    return err_set(e, ERR_REFUSED, "the job's first process, %d, is not under DMTCP",
                   s->root);
}

static int check_room(const struct session *s, const struct processes *all,
                      struct ready *ready, struct err *e)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct process *p = &all->process[i];
        char size[32], limit[32];

        ready->image_bytes += p->image_bytes;
        if (p->image_bytes > p->file_limit_bytes)
            return err_set(e, ERR_REFUSED,
                           "process %d (%s) may only write files of %s (ulimit -f), "
                           "but its image may take %s: DMTCP would end the job",
                           p->pid, p->name, str_bytes(p->file_limit_bytes, limit),
                           str_bytes(p->image_bytes, size));
    }
    return room_prove(s->images_fd, ready->image_bytes, e);
}

/* What runs on the other hosts of the job. */
static int check_parts(struct session *s, struct ready *ready, struct err *e)
{
    const char *broken = links_broken(&s->links);

    if (broken)
        return err_set(e, ERR_REFUSED, "the connection to host %s of the job is broken",
                       broken);
    for (size_t i = 0; i < s->links.n; i++) {
        struct links_count count;

        if (ready_count_part(&s->links.link[i], &count, e) < 0)
            return -1;
        ready->image_bytes += count.image_bytes;
    }
    return 0;
}

int ready_count_part(struct link *link, struct links_count *count, struct err *e)
{
    if (links_count(link, COUNT_TIMEOUT_S, count, e) < 0)
        return -1;
    if (count->foreign > 0)
        return err_set(e, ERR_REFUSED,
                       "process %s on host %s is not under DMTCP: a statically linked "
                       "or Go program, or one with other privileges, cannot be saved "
                       "by it",
                       count->foreign_name, link->host);
    return 0;
}

static int check_any(const struct processes *all, struct err *e)
{
    return all->n > 0 ? 0 : err_set(e, ERR_GONE, "the job has ended");
}

int ready_prepare(struct session *s, struct ready *ready, struct err *e)
{
    auto_processes struct processes all = {0};

    *ready = (struct ready){0};
    if (session_own_processes(s, &all, e) == 0 && processes_measure(&all, e) == 0 &&
        check_any(&all, e) == 0 && find_root(s, ready, e) == 0 &&
        check_parts(s, ready, e) == 0 && check_room(s, &all, ready, e) == 0)
        return 0;
    command_list_free(&ready->workers);
    return -1;
}
