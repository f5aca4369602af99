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

/* Between execve and the loading of libraries a process looks as if it were not under
 * DMTCP; none does for so long. */
enum { PATIENCE_MS = 1500, LOOK_MS = 50, LOOKS_MAX = 200, COUNT_TIMEOUT_S = 20 };

/* DMTCP would wait for it. */
static bool hinders(const struct process *p)
{
    return !p->under_dmtcp || p->stopped;
}

static const struct process *find_hindrance(const struct processes *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (hinders(&all->process[i]))
            return &all->process[i];
    return NULL;
}

static bool hinders_still(const struct processes *all, pid_t pid)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->process[i].pid == pid)
            return hinders(&all->process[i]);
    return false;
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
    processes_free(all);
    return session_own_processes(s, all, e) < 0 ? -1 : processes_measure(all, e);
}

int ready_refuse_unwaited(pid_t pid, struct err *e)
{
    err_set(e, ERR_REFUSED,
            "process %d has ended, and its parent has not asked for its status yet "
            "(wait(2)): DMTCP would not carry it",
            pid);
    return err_momentary(e);
}

/* As a rule a parent asks at once. */
static int check_unwaited(const struct session *s, struct err *e)
{
    unsigned same = 0;
    pid_t suspect = 0;

    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        pid_t found = session_unwaited(s);

        if (!found)
            return 0;
        same = found == suspect ? same + 1 : 0;
        suspect = found;
        if (same >= PATIENCE_MS / LOOK_MS)
            return ready_refuse_unwaited(found, e);
        poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

/* Nothing hinders DMTCP for longer than a moment. */
static int check_processes(const struct session *s, struct processes *all,
                           struct err *e)
{
    unsigned same = 0;
    pid_t suspect = 0;

    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        const struct process *found;

        if (list(s, all, e) < 0)
            return -1;
        found = find_hindrance(all);
        if (!found)
            return 0;
        if (suspect == 0 || !hinders_still(all, suspect)) {
            suspect = found->pid;
            same = 0;
        } else if (++same >= PATIENCE_MS / LOOK_MS) {
            return refuse(found, e);
        }
        poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

void ready_name_hindrance(const struct session *s, char *out, size_t size)
{
    auto_processes struct processes all = {0};
    const struct process *found = NULL;
    struct err ignored = {0};

    if (list(s, &all, &ignored) == 0)
        found = find_hindrance(&all);
    out[0] = '\0';
    if (found)
        snprintf(out, size, "process %d (%s) %s", found->pid, found->name,
                 found->under_dmtcp ? "is stopped" : "is not under DMTCP");
}

int ready_wait_running(struct session *s, unsigned timeout_s, struct err *e)
{
    struct command_status status = {0};

    for (unsigned ms = 0; ms < timeout_s * 1000; ms += LOOK_MS) {
        /* Or the coordinator would be held, and not answer. */
        session_release_foreign(s);
        if (command_status(&s->in, door_port(s->door), &status, e) == 0) {
            if (status.running)
                return 0;
        } else if (e->kind != ERR_TIMEOUT) {
            return -1;
        }
        poll(NULL, 0, LOOK_MS);
    }
    err_clear(e);
    if (status.peers == 0)
        return err_set(e, ERR_REFUSED, "no process of the job is under DMTCP");
    return err_set(e, ERR_REFUSED,
                   "DMTCP says for %u s that the job's %u processes do not all run",
                   timeout_s, status.peers);
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

int ready_for_checkpoint(struct session *s, unsigned timeout_s, struct ready *ready,
                         struct err *e)
{
    auto_processes struct processes all = {0};

    *ready = (struct ready){0};
    if (check_processes(s, &all, e) == 0 && check_unwaited(s, e) == 0 &&
        ready_wait_running(s, timeout_s, e) == 0 && find_root(s, ready, e) == 0 &&
        check_parts(s, ready, e) == 0 && check_room(s, &all, ready, e) == 0)
        return 0;
    command_list_free(&ready->workers);
    return -1;
}
