/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/processes.h"

#include "base/err.h"
#include "base/proc.h"
#include "base/scope.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What DMTCP adds to a process and writes with it: its libraries' data, tables, and
 * the room in which a restart begins. Measured with 3.2 and 4.2: 17 to 24 MiB. */
static const uint64_t OWN_BYTES = UINT64_C(32) << 20;

void processes_free(struct processes *p)
{
    free(p->process);
    *p = (struct processes){0};
}

/* ---- the list ---- */

static bool is_in(pid_t pid, const pid_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == pid)
            return true;
    return false;
}

static void read_name(pid_t pid, char *out, size_t size)
{
    auto_free char *text = NULL;
    struct err ignored = {0};

    if (proc_file(pid, "comm", &text, NULL, &ignored) < 0)
        text = NULL;
    snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 1, text ? text : "?");
}

static int append(struct processes *p, pid_t pid, const struct proc_stat *st,
                  struct err *e)
{
    struct process *more = realloc(p->process, (p->n + 1) * sizeof(*p->process));
    struct process *added;

    if (!more)
        return err_sys(e, "list of processes");
    p->process = more;
    added = &p->process[p->n++];
    *added = (struct process){.pid = pid,
                              .threads = st->num_threads,
                              .stopped = st->state == 'T',
                              .file_limit_bytes = UINT64_MAX};
    read_name(pid, added->name, sizeof(added->name));
    return 0;
}

struct lister {
    const pid_t *ignored;
    size_t n_ignored;
    struct processes *out;
    struct err *e;
};

static int list_below(struct lister *l, pid_t parent);

static bool is_listed(const struct processes *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->process[i].pid == pid)
            return true;
    return false;
}

static int list_tree(struct lister *l, pid_t pid)
{
    struct proc_stat st;

    if (is_in(pid, l->ignored, l->n_ignored))
        return 0;
    if (proc_stat_read(pid, &st, l->e) < 0)
        return l->e->kind == ERR_GONE ? 0 : -1;
    if (st.state == 'Z' || st.state == 'X') {
        if (st.ppid != getpid() && !l->out->unwaited)
            l->out->unwaited = pid;
        return 0;
    }
    if (!is_listed(l->out, pid) && append(l->out, pid, &st, l->e) < 0)
        return -1;
    return list_below(l, pid);
}

static int list_below(struct lister *l, pid_t parent)
{
    struct proc_pids children = {0};
    int rc = 0;

    if (proc_children(parent, &children, l->e) < 0)
        return l->e->kind == ERR_GONE ? 0 : -1;
    for (size_t i = 0; i < children.n && rc == 0; i++)
        rc = list_tree(l, children.pid[i]);
    proc_pids_free(&children);
    return rc;
}

int processes_list(const pid_t *ignored, size_t n_ignored, struct processes *out,
                   struct err *e)
{
    auto_processes struct processes found = {0};
    struct lister l = {
        .ignored = ignored, .n_ignored = n_ignored, .out = &found, .e = e};

    if (list_below(&l, getpid()) < 0)
        return -1;
    err_clear(e);
    *out = found;
    found = (struct processes){0};
    return 0;
}

int processes_add_tree(pid_t pid, struct processes *all, struct err *e)
{
    struct lister l = {.out = all, .e = e};

    if (list_tree(&l, pid) < 0)
        return -1;
    err_clear(e);
    return 0;
}

static bool is_outside(pid_t pid)
{
    static const char mark[] = PROCESSES_OUTSIDE "=1";
    auto_free char *environment = NULL;
    struct err ignored = {0};
    size_t size = 0;

    if (proc_file(pid, "environ", &environment, &size, &ignored) < 0)
        return false;
    for (size_t at = 0; at < size; at += strlen(environment + at) + 1)
        if (strcmp(environment + at, mark) == 0)
            return true;
    return false;
}

void processes_drop_outside(struct processes *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++)
        if (!is_outside(p->process[i].pid))
            p->process[kept++] = p->process[i];
    p->n = kept;
}

/* ---- sizes ---- */

/* The kibibytes behind "Name:" at the start of a line. */
static uint64_t kib_of(const char *text, const char *name)
{
    size_t n = strlen(name);
    uint64_t kib = 0;

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            sscanf(line + n + 1, " %" SCNu64, &kib);
    }
    return kib;
}

/* Private mappings of files are written whole, touched or not. */
static uint64_t mapped_bytes(const struct proc_maps *maps)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < maps->n; i++) {
        const struct proc_map *m = &maps->map[i];

        if (m->inode != 0 && !m->shared && (m->prot & PROT_READ))
            bytes += m->end - m->start;
    }
    return bytes;
}

static bool has_library(const struct proc_maps *maps)
{
    static const char library[] = "/libdmtcp.so";

    for (size_t i = 0; i < maps->n; i++) {
        size_t n = strlen(maps->map[i].path);

        if (n >= sizeof(library) - 1 &&
            strcmp(maps->map[i].path + n - (sizeof(library) - 1), library) == 0)
            return true;
    }
    return false;
}

/* Only the soft limit counts: DMTCP does not raise it. */
static uint64_t file_limit(const char *limits)
{
    const char *line = strstr(limits, "Max file size");
    uint64_t bytes;

    if (line && sscanf(line + sizeof("Max file size") - 1, " %" SCNu64, &bytes) == 1)
        return bytes;
    return UINT64_MAX; /* "unlimited" */
}

static int measure(struct process *p, struct err *e)
{
    auto_free char *rollup = NULL, *limits = NULL;
    struct proc_maps maps = {0};

    if (proc_file(p->pid, "smaps_rollup", &rollup, NULL, e) < 0 ||
        proc_file(p->pid, "limits", &limits, NULL, e) < 0 ||
        proc_maps_read(p->pid, &maps, e) < 0)
        return -1;
    p->under_dmtcp = has_library(&maps);
    p->image_bytes = OWN_BYTES + mapped_bytes(&maps) +
                     1024 * (kib_of(rollup, "Rss") + kib_of(rollup, "Swap"));
    p->file_limit_bytes = file_limit(limits);
    proc_maps_free(&maps);
    return 0;
}

static int find_library(struct process *p, struct err *e)
{
    struct proc_maps maps = {0};

    if (proc_maps_read(p->pid, &maps, e) < 0)
        return -1;
    p->under_dmtcp = has_library(&maps);
    proc_maps_free(&maps);
    return 0;
}

/* Of each; those that have ended meanwhile are left out. */
static int look_at_each(struct processes *p,
                        int (*look)(struct process *, struct err *), struct err *e)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++) {
        if (look(&p->process[i], e) == 0)
            p->process[kept++] = p->process[i];
        else if (e->kind != ERR_GONE)
            return err_wrap(e, "process %d (%s)", p->process[i].pid,
                            p->process[i].name);
    }
    err_clear(e);
    p->n = kept;
    return 0;
}

int processes_find_library(struct processes *p, struct err *e)
{
    return look_at_each(p, find_library, e);
}

int processes_measure(struct processes *p, struct err *e)
{
    return look_at_each(p, measure, e);
}
