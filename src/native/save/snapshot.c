/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copy-on-write copies of the job's processes, so that the job goes on while its memory
 * is written.
 *
 * A copy is a fork(2) that the process itself is made to call. It is to hold none of
 * the job's descriptors (a pipe must see its end, a lock must not live on, NFS must not
 * flush) and to send no SIGCHLD. So the process clones a helper that shares everything
 * with it and reports its end to nobody; the helper unshares the table of descriptors
 * while closing it (close_range(2), Linux 5.9), forks the copy, and ends. The copy
 * stays stopped, executes nothing, and is given to the nearest subreaper.
 */
#include "native/save/save.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int await_birth(pid_t pid, struct err *e)
{
    int status;

    if (inject_wait(pid, &status, e) < 0)
        return -1;
    return WIFSTOPPED(status) ? 0 : err_set(e, ERR_GONE, "process %d was killed", pid);
}

static void discard(pid_t pid)
{
    struct err ignored;
    int status;

    kill(pid, SIGKILL);
    inject_wait(pid, &status, &ignored);
}

/* In the helper: lets go of the descriptors and forks the copy. */
static int fork_copy(const struct tracee *leader, pid_t helper, pid_t *copy,
                     struct err *e)
{
    /* It is bound as the leader is. */
    struct tracee t = {.pid = helper,
                       .tid = helper,
                       .syscall_ip = leader->syscall_ip,
                       .near = leader->near,
                       .cpu = leader->cpu};
    struct inject_result r;

    if (await_birth(helper, e) < 0 || arch_get_regs(helper, &t.regs, e) < 0)
        return -1;
    if (INJECT(&t, NULL, e, "close descriptors", SYS_close_range, 0, ~0U,
               CLOSE_RANGE_UNSHARE) < 0)
        return -1;
    if (inject_call(&t, SYS_clone, (const uint64_t[6]){0}, &r, e) < 0)
        return -1;
    if (r.value < 0)
        return err_code(e, -r.value, "copy process %d", leader->pid);
    *copy = r.child;
    return await_birth(r.child, e);
}

int snapshot_make(struct save *s, uint32_t i, struct err *e)
{
    struct tracee t = freeze_tracee(&s->f->processes[i], 0);
    struct inject_result r;
    pid_t helper, copy = 0;
    int rc;

    if (inject_call(&t, SYS_clone,
                    (const uint64_t[6]){CLONE_VM | CLONE_FILES | CLONE_FS}, &r, e) < 0)
        return -1;
    if (r.value < 0)
        return err_code(e, -r.value, "copy process %d", save_pid(s, i));
    helper = r.child;
    rc = fork_copy(&t, helper, &copy, e);
    if (rc == 0)
        s->processes[i].snapshot = copy;
    else if (copy)
        discard(copy);
    discard(helper);
    /* Its parent collects it, too: it was that process's child. */
    if (INJECT(&t, NULL, rc == 0 ? e : &(struct err){0}, "wait for a helper", SYS_wait4,
               r.value, 0, __WALL, 0) < 0 &&
        rc == 0)
        return -1;
    return rc;
}

void snapshot_kill(struct save *s)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++) {
        if (s->processes[i].snapshot)
            discard(s->processes[i].snapshot);
        s->processes[i].snapshot = 0;
    }
}

/* ---- what a fork does not copy ---- */

static bool has_mapping(const struct proc_maps *maps, const struct image_vma *v)
{
    for (size_t i = 0; i < maps->n; i++)
        if (maps->map[i].start <= v->start && maps->map[i].end >= v->end)
            return true;
    return false;
}

int snapshot_complete(struct save *s, uint32_t i, struct err *e)
{
    struct image_process *p = &s->img->processes[i];
    struct proc_maps maps = {0};
    int rc = proc_maps_read(s->processes[i].snapshot, &maps, e);
    bool complete = true;

    for (uint32_t k = 0; rc == 0 && k < p->n_vmas; k++) {
        struct image_vma *v = &p->vmas[k];

        if (v->kind != IMAGE_VMA_ANON && v->kind != IMAGE_VMA_FILE_PRIVATE &&
            v->kind != IMAGE_VMA_OBJECT && v->kind != IMAGE_VMA_FILE_SHARED)
            continue;
        if (has_mapping(&maps, v))
            continue;
        complete = false;
        v->flags |= IMAGE_VMA_DONTFORK;
        if (v->kind == IMAGE_VMA_ANON || v->kind == IMAGE_VMA_FILE_PRIVATE)
            rc = save_copy_vma(s, i, k, true, e);
    }
    proc_maps_free(&maps);
    /* The snapshot cannot tell the flags of what it does not have. */
    if (rc == 0 && !complete)
        rc = collect_vm_flags(s, i, s->f->processes[i].pid, e);
    return rc;
}

/* ---- room ---- */

/* NAME of /proc/meminfo in bytes; UINT64_MAX when it cannot be told. */
static uint64_t meminfo(const char *name)
{
    auto_free char *text = NULL;
    struct err ignored;
    char *at;

    if (io_read_file(AT_FDCWD, "/proc/meminfo", 1 << 20, &text, NULL, &ignored) < 0)
        return UINT64_MAX;
    at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : UINT64_MAX;
}

static void add_sizes(pid_t pid, uint64_t *virtual_bytes, uint64_t *private_bytes)
{
    auto_free char *text = NULL;
    unsigned long size, resident, shared;
    struct err ignored;

    if (proc_file(pid, "statm", &text, NULL, &ignored) < 0 ||
        sscanf(text, "%lu %lu %lu", &size, &resident, &shared) != 3)
        return;
    *virtual_bytes += size * SAVE_PAGE_SIZE;
    *private_bytes += (resident > shared ? resident - shared : 0) * SAVE_PAGE_SIZE;
}

/* A job that writes to all of its memory while it is being saved needs it twice. And
 * where Grid Engine limits h_vmem, it adds up the address spaces of all processes of
 * the job; the limit arrives as RLIMIT_AS (sge_shepherd). */
bool snapshot_has_room(const struct save *s)
{
    uint64_t virtual_bytes = 0, private_bytes = 0;
    struct rlimit limit;

    for (uint32_t i = 0; i < s->f->n_processes; i++)
        add_sizes(s->f->processes[i].pid, &virtual_bytes, &private_bytes);
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        virtual_bytes > limit.rlim_cur / 2)
        return false;
    return private_bytes < meminfo("MemAvailable:");
}
