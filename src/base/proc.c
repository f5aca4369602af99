/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/proc.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PROC_FILE_MAX = 256 << 20 };

static int gone_or(struct err *e, pid_t pid, const char *name)
{
    if (errno == ENOENT || errno == ESRCH)
        return err_set(e, ERR_GONE, "process %d has ended", pid);
    return err_sys(e, "/proc/%d/%s", pid, name);
}

int proc_file(pid_t pid, const char *name, char **data, size_t *size, struct err *e)
{
    char path[128];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return gone_or(e, pid, name);
    if (io_read_fd(fd, PROC_FILE_MAX, data, size, e) == 0)
        return 0;
    if (e->sys == ESRCH)
        return err_set(e, ERR_GONE, "process %d has ended", pid);
    return err_wrap(e, "%s", path);
}

int proc_link(pid_t pid, const char *name, char **target, struct err *e)
{
    char path[128], buf[PATH_MAX];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    n = readlink(path, buf, sizeof(buf) - 1);
    if (n < 0)
        return gone_or(e, pid, name);
    buf[n] = '\0';
    *target = strdup(buf);
    return *target ? 0 : err_sys(e, "%s", path);
}

/* ---- lists of pids ---- */

void proc_pids_free(struct proc_pids *p)
{
    free(p->pid);
    *p = (struct proc_pids){0};
}

static int pids_add(struct proc_pids *p, pid_t pid, struct err *e)
{
    pid_t *more = p->pid;

    if ((p->n & (p->n - 1)) == 0)
        more = realloc(p->pid, (p->n ? 2 * p->n : 1) * sizeof(*more));
    if (!more)
        return err_sys(e, "list of processes");
    p->pid = more;
    p->pid[p->n++] = pid;
    return 0;
}

int proc_threads(pid_t pid, struct proc_pids *out, struct err *e)
{
    char path[64];
    auto_dir DIR *dir = NULL;
    struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    if (!dir)
        return gone_or(e, pid, "task");
    while ((entry = readdir(dir))) {
        int tid = atoi(entry->d_name);

        if (tid > 0 && pids_add(out, tid, e) < 0)
            return -1;
    }
    return 0;
}

static int children_of_thread(pid_t pid, pid_t tid, struct proc_pids *out,
                              struct err *e)
{
    char name[64], *next;
    auto_free char *list = NULL;

    snprintf(name, sizeof(name), "task/%d/children", tid);
    if (proc_file(pid, name, &list, NULL, e) < 0)
        return e->kind == ERR_GONE ? 0 : -1;
    for (char *p = list;; p = next) {
        long child = strtol(p, &next, 10);

        if (next == p)
            return 0;
        if (pids_add(out, child, e) < 0)
            return -1;
    }
}

int proc_children(pid_t pid, struct proc_pids *out, struct err *e)
{
    struct proc_pids threads = {0};
    int rc = proc_threads(pid, &threads, e);

    for (size_t i = 0; rc == 0 && i < threads.n; i++)
        rc = children_of_thread(pid, threads.pid[i], out, e);
    proc_pids_free(&threads);
    return rc;
}

/* ---- stat ---- */

enum { STAT_FIRST = 3, STAT_CPU = 39, STAT_LAST = 52 };

int proc_stat_read(pid_t pid, struct proc_stat *out, struct err *e)
{
    auto_free char *text = NULL;
    uint64_t f[STAT_LAST + 1] = {0};
    char *p, *end;

    if (proc_file(pid, "stat", &text, NULL, e) < 0)
        return -1;
    /* The name may hold anything, also ") "; what follows it does not. */
    p = strrchr(text, ')');
    if (!p || p[1] != ' ' || !p[2])
        return err_set(e, ERR_FAILED, "/proc/%d/stat is not as expected", pid);
    out->state = p[2];
    p += 3;
    for (int i = STAT_FIRST + 1; i <= STAT_LAST; i++, p = end) {
        f[i] = strtoull(p, &end, 10);
        if (end == p)
            return err_set(e, ERR_FAILED, "/proc/%d/stat has too few fields", pid);
    }
    out->ppid = f[4];
    out->tty = f[7];
    out->tty_pgrp = f[8];
    out->nice = (int)(int64_t)f[19];
    out->num_threads = f[20];
    out->start_code = f[26];
    out->end_code = f[27];
    out->start_stack = f[28];
    out->start_data = f[45];
    out->end_data = f[46];
    out->start_brk = f[47];
    out->arg_start = f[48];
    out->arg_end = f[49];
    out->env_start = f[50];
    out->env_end = f[51];
    out->exit_code = f[52];
    return 0;
}

int proc_last_cpu(pid_t pid, pid_t tid, int *cpu, struct err *e)
{
    auto_free char *text = NULL;
    char name[64], *p;

    snprintf(name, sizeof(name), "task/%d/stat", tid);
    if (proc_file(pid, name, &text, NULL, e) < 0)
        return -1;
    p = strrchr(text, ')');
    for (int i = STAT_FIRST - 1; p && i < STAT_CPU; i++)
        p = strchr(p + 1, ' ');
    if (!p)
        return err_set(e, ERR_FAILED, "/proc/%d/%s has too few fields", pid, name);
    *cpu = atoi(p);
    return 0;
}

/* ---- status ---- */

/* What follows "NAME:" at the beginning of a line, or NULL. */
static const char *status_field(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1;
    }
    return NULL;
}

static uint64_t status_number(const char *text, const char *name, int base)
{
    const char *value = status_field(text, name);

    return value ? strtoull(value, NULL, base) : 0;
}

/* The last of several numbers on the line: the innermost pid namespace's. */
static pid_t status_last(const char *text, const char *name)
{
    const char *p = status_field(text, name);
    long last = 0;

    while (p && *p != '\n' && *p) {
        char *end;
        long n = strtol(p, &end, 10);

        if (end == p)
            break;
        last = n;
        p = end + strspn(end, " \t");
    }
    return last;
}

static void status_four(const char *text, const char *name, uint32_t out[4])
{
    const char *p = status_field(text, name);

    for (int i = 0; i < 4; i++) {
        char *end = (char *)p;

        out[i] = p ? strtoul(p, &end, 10) : 0;
        p = end;
    }
}

static bool status_has_word(const char *text, const char *name, const char *word)
{
    const char *value = status_field(text, name);
    const char *found = value ? strstr(value, word) : NULL;
    const char *end = value ? strchr(value, '\n') : NULL;

    return found && (!end || found < end);
}

int proc_status_read(pid_t pid, struct proc_status *out, struct err *e)
{
    auto_free char *text = NULL;

    if (proc_file(pid, "status", &text, NULL, e) < 0)
        return -1;
    *out = (struct proc_status){
        .inner_pid = status_last(text, "NSpid"),
        .inner_pgid = status_last(text, "NSpgid"),
        .inner_sid = status_last(text, "NSsid"),
        .tracer = status_number(text, "TracerPid", 10),
        .umask_bits = status_number(text, "Umask", 8),
        .cap_inheritable = status_number(text, "CapInh", 16),
        .cap_permitted = status_number(text, "CapPrm", 16),
        .cap_effective = status_number(text, "CapEff", 16),
        .cap_bounding = status_number(text, "CapBnd", 16),
        .cap_ambient = status_number(text, "CapAmb", 16),
        .sig_ignored = status_number(text, "SigIgn", 16),
        .sig_caught = status_number(text, "SigCgt", 16),
        .locked_kib = status_number(text, "VmLck", 10),
        .no_new_privs = status_number(text, "NoNewPrivs", 10),
        .thp_disabled = status_has_word(text, "THP_enabled", "0"),
        .seccomp = status_number(text, "Seccomp", 10),
        .shadow_stack = status_has_word(text, "x86_Thread_features", "shstk"),
    };
    status_four(text, "Uid", out->uid);
    status_four(text, "Gid", out->gid);
    if (!out->inner_pid)
        return err_set(e, ERR_FAILED, "/proc/%d/status has no NSpid (Linux 4.1)", pid);
    return 0;
}

int proc_inner_tid(pid_t pid, pid_t tid, pid_t *inner, struct err *e)
{
    auto_free char *text = NULL;
    char name[64];

    snprintf(name, sizeof(name), "task/%d/status", tid);
    if (proc_file(pid, name, &text, NULL, e) < 0)
        return -1;
    *inner = status_last(text, "NSpid");
    return *inner ? 0 : err_set(e, ERR_FAILED, "/proc/%d/%s has no NSpid", pid, name);
}

/* ---- maps ---- */

void proc_maps_free(struct proc_maps *m)
{
    for (size_t i = 0; i < m->n; i++)
        free(m->map[i].path);
    free(m->map);
    *m = (struct proc_maps){0};
}

/* Undoes the "\012" that the kernel writes for a newline in a path. */
static char *unescape(const char *text, size_t length)
{
    char *out = malloc(length + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < length; i++) {
        if (strncmp(text + i, "\\012", 4) == 0) {
            out[n++] = '\n';
            i += 3;
        } else {
            out[n++] = text[i];
        }
    }
    if (out)
        out[n] = '\0';
    return out;
}

static bool parse_map(const char *line, size_t length, struct proc_map *m)
{
    static const char suffix[] = " (deleted)";
    const size_t suffix_length = sizeof(suffix) - 1;
    const char *perm;
    size_t path;
    char *at;

    /* "START-END PERM OFFSET MAJOR:MINOR INODE PATH"; not sscanf(3), for a job has
     * thousands of these, and stands still. */
    m->start = strtoull(line, &at, 16);
    if (*at != '-')
        return false;
    m->end = strtoull(at + 1, &at, 16);
    if (*at != ' ' || strlen(at) < sizeof(" rwxp "))
        return false;
    perm = at + 1;
    m->offset = strtoull(perm + 4, &at, 16);
    m->major = strtoul(at, &at, 16);
    if (*at != ':')
        return false;
    m->minor = strtoul(at + 1, &at, 16);
    m->inode = strtoull(at, &at, 10);
    if (*at != ' ' && *at != '\0')
        return false;
    path = at - line;
    m->prot = (perm[0] == 'r' ? PROT_READ : 0) | (perm[1] == 'w' ? PROT_WRITE : 0) |
              (perm[2] == 'x' ? PROT_EXEC : 0);
    m->shared = perm[3] == 's';
    while (path < length && line[path] == ' ')
        path++;
    m->deleted = length - path > suffix_length &&
                 memcmp(line + length - suffix_length, suffix, suffix_length) == 0;
    m->path = unescape(line + path, length - path - (m->deleted ? suffix_length : 0));
    return m->path != NULL;
}

int proc_maps_read(pid_t pid, struct proc_maps *out, struct err *e)
{
    auto_free char *text = NULL;
    size_t room = 0;

    if (proc_file(pid, "maps", &text, NULL, e) < 0)
        return -1;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        struct proc_map map = {0}, *more;

        if (out->n == room) {
            room = room ? 2 * room : 64;
            more = realloc(out->map, room * sizeof(*more));
            if (!more)
                return err_sys(e, "mappings of process %d", pid);
            out->map = more;
        }
        *end = '\0';
        if (!parse_map(line, end - line, &map))
            return err_set(e, ERR_FAILED, "/proc/%d/maps: cannot read '%s'", pid, line);
        out->map[out->n++] = map;
    }
    return 0;
}

int proc_vm_parse(char *text, proc_vm_each *each, void *arg, struct err *e)
{
    struct proc_vm vm = {0};
    unsigned long start, end;

    for (char *line = text, *stop; (stop = strchr(line, '\n')); line = stop + 1) {
        *stop = '\0';
        if (strncmp(line, "VmFlags:", 8) == 0) {
            int rc;

            vm.flags = line + 8;
            rc = each(arg, &vm, e);
            if (rc != 0)
                return rc;
        } else if (strncmp(line, "ProtectionKey:", 14) == 0) {
            vm.key = (unsigned)strtoul(line + 14, NULL, 10);
        } else if ((line[0] < 'A' || line[0] > 'Z') &&
                   sscanf(line, "%lx-%lx", &start, &end) == 2) {
            vm = (struct proc_vm){.start = start, .end = end};
        }
    }
    return 0;
}

int proc_vm_read(pid_t pid, proc_vm_each *each, void *arg, struct err *e)
{
    auto_free char *text = NULL;

    if (proc_file(pid, "smaps", &text, NULL, e) < 0)
        return -1;
    return proc_vm_parse(text, each, arg, e);
}
