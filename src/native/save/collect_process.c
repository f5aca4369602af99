/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/save.h"

#include "base/err.h"
#include "base/scope.h"

#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char deleted_suffix[] = " (deleted)";

static bool strip_deleted(char *path)
{
    size_t length = strlen(path), suffix = sizeof(deleted_suffix) - 1;

    if (length <= suffix || strcmp(path + length - suffix, deleted_suffix) != 0)
        return false;
    path[length - suffix] = '\0';
    return true;
}

/* ---- refusals ---- */

static int refuse_by_status(const struct proc_status *st, struct err *e)
{
    if (st->seccomp)
        return err_set(e, ERR_REFUSED,
                       "process %d runs in a seccomp sandbox, whose filter cannot be "
                       "read: run it without the sandbox, or exclude it from the job",
                       st->inner_pid);
    if (st->shadow_stack)
        return err_set(e, ERR_REFUSED,
                       "process %d uses a shadow stack (CET): run it with "
                       "GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK",
                       st->inner_pid);
    return 0;
}

/* A restart has no other ids to give than those of the one who restarts. */
static int refuse_by_user(const struct proc_status *st, struct err *e)
{
    for (int i = 0; i < 4; i++) {
        if (st->uid[i] != geteuid())
            return err_set(
                e, ERR_REFUSED,
                "process %d runs as user %u, not %u as the job does: start it "
                "outside of the job",
                st->inner_pid, st->uid[i], geteuid());
        if (st->gid[i] != getegid())
            return err_set(
                e, ERR_REFUSED,
                "process %d runs with group %u, not %u as the job does: start "
                "the job with that group (newgrp)",
                st->inner_pid, st->gid[i], getegid());
    }
    return 0;
}

/* Namespaces, and what goes by the same rule: the job's processes share those of the
 * process that the job was started from. */
static int refuse_by_namespaces(pid_t pid, pid_t reference, int inner_pid,
                                struct err *e)
{
    static const char *const spaces[] = {
        "user", "mnt", "pid_for_children", "net", "ipc", "uts", "cgroup"};
    struct stat own, other;
    char path[64];

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, spaces[i]);
        if (stat(path, &own) < 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", reference, spaces[i]);
        if (stat(path, &other) < 0 || own.st_ino == other.st_ino)
            continue;
        return err_set(
            e, ERR_REFUSED,
            "process %d is in another %s namespace than the job (a container "
            "or sandbox inside the job): it cannot be saved",
            inner_pid, spaces[i]);
    }
    snprintf(path, sizeof(path), "/proc/%d/root", pid);
    if (stat(path, &own) < 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/root", reference);
    if (stat(path, &other) == 0 &&
        (own.st_dev != other.st_dev || own.st_ino != other.st_ino))
        return err_set(e, ERR_REFUSED,
                       "process %d has another root directory (chroot): it cannot be "
                       "saved",
                       inner_pid);
    return 0;
}

static bool same(pid_t a, pid_t b, int type)
{
    return syscall(SYS_kcmp, a, b, type, 0, 0) == 0;
}

/* Processes made by clone(2) with parts in common that only threads normally share. */
static int refuse_by_sharing(const struct save *s, uint32_t i, struct err *e)
{
    static const struct {
        int type;
        const char *what;
    } parts[] = {{KCMP_VM, "memory"},
                 {KCMP_FILES, "table of descriptors"},
                 {KCMP_FS, "working directory"}};
    const struct frozen_process *p = &s->f->processes[i];

    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
        if (p->parent != s->root->parent && same(p->pid, p->parent, parts[k].type))
            return err_set(e, ERR_REFUSED,
                           "process %d shares its %s with its parent (clone(2) without "
                           "CLONE_THREAD): it cannot be saved",
                           save_pid(s, i), parts[k].what);
        for (uint32_t t = 1; t < p->n_threads; t++)
            if (!same(p->pid, p->threads[t].tid, parts[k].type))
                return err_set(e, ERR_REFUSED,
                               "process %d: thread %d does not share its %s with the "
                               "others (unshare(2)): it cannot be saved",
                               save_pid(s, i), p->threads[t].tid, parts[k].what);
    }
    return 0;
}

/* ---- what it is ---- */

static int32_t inner_parent(const struct save *s, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (s->f->processes[k].pid == s->f->processes[i].parent)
            return s->img->processes[k].pid;
    return s->root->inner_parent_pid;
}

static void fill_ids(struct image_process *p, const struct proc_status *st)
{
    p->pid = st->inner_pid;
    p->pgid = st->inner_pgid;
    p->sid = st->inner_sid;
    memcpy(p->uid, st->uid, sizeof(p->uid));
    memcpy(p->gid, st->gid, sizeof(p->gid));
    p->cap_effective = st->cap_effective;
    p->cap_permitted = st->cap_permitted;
    p->cap_inheritable = st->cap_inheritable;
    p->cap_bounding = st->cap_bounding;
    p->cap_ambient = st->cap_ambient;
    p->no_new_privs = st->no_new_privs;
    p->thp_disabled = st->thp_disabled;
    p->umask_bits = st->umask_bits;
}

static void fill_stat(struct image_process *p, const struct proc_stat *st)
{
    p->tty = st->tty != 0;
    p->tty_file = IMAGE_NONE;
    p->tty_pgrp = p->tty && p->sid == p->pid && st->tty_pgrp > 0 ? st->tty_pgrp : 0;
    p->mm.start_code = st->start_code;
    p->mm.end_code = st->end_code;
    p->mm.start_data = st->start_data;
    p->mm.end_data = st->end_data;
    p->mm.start_brk = st->start_brk;
    p->mm.start_stack = st->start_stack;
    p->mm.arg_start = st->arg_start;
    p->mm.arg_end = st->arg_end;
    p->mm.env_start = st->env_start;
    p->mm.env_end = st->env_end;
}

static int fill_paths(struct image_process *p, pid_t pid, struct err *e)
{
    if (proc_link(pid, "cwd", &p->cwd, e) < 0 || proc_link(pid, "exe", &p->exe, e) < 0)
        return -1;
    if (strip_deleted(p->cwd))
        return err_set(e, ERR_REFUSED,
                       "process %d: its working directory %s has been removed: make it "
                       "again or leave it (cd)",
                       p->pid, p->cwd);
    /* A program that was replaced meanwhile: its text is saved with the memory. */
    strip_deleted(p->exe);
    return 0;
}

static int fill_numbers(struct image_process *p, pid_t pid, struct err *e)
{
    auto_free char *text = NULL;

    if (proc_file(pid, "personality", &text, NULL, e) < 0)
        return -1;
    p->personality = strtoull(text, NULL, 16);
    free(take_ptr(text));
    if (proc_file(pid, "oom_score_adj", &text, NULL, e) < 0)
        return -1;
    p->oom_score_adj = atoi(text);
    for (int r = 0; r < IMAGE_N_RLIMITS; r++) {
        struct rlimit limit;

        if (prlimit(pid, r, NULL, &limit) < 0)
            return err_sys(e, "read limit %d of process %d", r, p->pid);
        p->rlimits[r] = (struct image_rlimit){limit.rlim_cur, limit.rlim_max};
    }
    return 0;
}

static int fill_auxv(struct image_process *p, pid_t pid, struct err *e)
{
    char *data = NULL;
    size_t size;

    if (proc_file(pid, "auxv", &data, &size, e) < 0)
        return -1;
    p->mm.auxv = (struct image_blob){data, size};
    return 0;
}

int collect_process(struct save *s, uint32_t i, struct err *e)
{
    const struct frozen_process *f = &s->f->processes[i];
    struct image_process *p = &s->img->processes[i];
    struct proc_status *status = &s->processes[i].status;
    struct proc_stat stat;

    if (proc_status_read(f->pid, status, e) < 0 || proc_stat_read(f->pid, &stat, e) < 0)
        return -1;
    fill_ids(p, status);
    p->ppid = inner_parent(s, i);
    p->zombie = f->zombie;
    p->status = f->status;
    p->tty_file = IMAGE_NONE;
    if (f->pid == s->root->root)
        s->img->root_pid = p->pid;
    if (p->pid > s->img->last_pid)
        s->img->last_pid = p->pid;
    if (p->zombie)
        return 0;
    /* A child that is a setuid program, or has locked itself in (file(1)), soon ends,
     * as a rule. */
    if (refuse_by_user(status, e) < 0 || refuse_by_status(status, e) < 0)
        return f->pid == s->root->root ? -1 : err_momentary(e);
    if (refuse_by_namespaces(f->pid, s->root->parent, p->pid, e) < 0 ||
        refuse_by_sharing(s, i, e) < 0)
        return -1;
    fill_stat(p, &stat);
    p->stopped = f->stopped;
    /* Of a stopped process this is the signal until its parent has waited for it. */
    p->status = f->stopped ? stat.exit_code : 0;
    if (fill_paths(p, f->pid, e) < 0 || fill_numbers(p, f->pid, e) < 0 ||
        fill_auxv(p, f->pid, e) < 0)
        return -1;
    return 0;
}
