/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/checkpoint.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "native/save/carry.h"
#include "native/save/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

struct checkpoint {
    struct save s;
    bool stop;
    uint64_t begun_ns;
    struct writer *writer;
    struct checkpoint_stats stats;
};

void checkpoint_memory_free(struct checkpoint_memory *m)
{
    interrupted_free(&m->interrupted);
    free(m->late.tid);
    free(m->ignored);
    *m = (struct checkpoint_memory){0};
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the image's head ---- */

static int copy_string(char **to, const char *from, struct err *e)
{
    if (!from)
        return 0;
    *to = strdup(from);
    return *to ? 0 : err_sys(e, "image");
}

static int describe_host(struct image *img, struct err *e)
{
    struct utsname host;

    if (uname(&host) < 0)
        return err_sys(e, "uname");
    snprintf(img->arch, sizeof(img->arch), "%s", arch_name());
    snprintf(img->release, sizeof(img->release), "%s", host.release);
    snprintf(img->hostname, sizeof(img->hostname), "%s", host.nodename);
    img->page_size = SAVE_PAGE_SIZE;
    return arch_xlayout(&img->xfeatures, &img->xlayout, e);
}

/* The time as the job reads it: after a restart its clocks have offsets of their own,
 * which the calling supervisor's do not have (time_namespaces(7)). */
static int64_t clock_offset_ns(pid_t pid, const char *clock)
{
    auto_free char *text = NULL;
    struct err ignored;
    long seconds, ns;
    char *at;

    if (proc_file(pid, "timens_offsets", &text, NULL, &ignored) < 0)
        return 0;
    at = strstr(text, clock);
    if (!at || sscanf(at + strlen(clock), "%ld %ld", &seconds, &ns) != 2)
        return 0;
    return (int64_t)seconds * 1000000000 + ns;
}

static void describe_time(struct save *s)
{
    struct image *img = s->img;
    pid_t pid = s->f->processes[0].pid;

    img->realtime_ns = clock_ns(CLOCK_REALTIME);
    img->monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    img->boottime_ns = clock_ns(CLOCK_BOOTTIME);
    if (s->root->init) {
        img->monotonic_ns += clock_offset_ns(pid, "monotonic");
        img->boottime_ns += clock_offset_ns(pid, "boottime");
    }
}

/* ---- while the job stands still ---- */

static int look_at_processes(struct save *s, struct err *e)
{
    for (uint32_t i = 0; i < s->f->n_processes; i++) {
        if (collect_process(s, i, e) < 0)
            return -1;
        if (s->f->processes[i].zombie)
            continue;
        if (collect_threads(s, i, e) < 0 || collect_memory(s, i, e) < 0)
            return -1;
    }
    return 0;
}

static int look_at_files(struct save *s, struct err *e)
{
    s->files = files_save_new(s->img, s->root->stdio, e);
    if (!s->files)
        return -1;
    for (uint32_t i = 0; i < s->f->n_processes; i++)
        if (!s->f->processes[i].zombie &&
            files_save_process(s->files, i, s->f->processes[i].pid, e) < 0)
            return -1;
    if (files_save_end(s->files, e) < 0)
        return -1;
    for (uint32_t i = 0; i < s->f->n_processes; i++)
        if (!s->f->processes[i].zombie && collect_objects(s, i, e) < 0)
            return -1;
    return 0;
}

/* Nothing of the job is changed up to here; a refusal leaves no trace. */
static int look(struct checkpoint *c, const struct checkpoint_request *r, struct err *e)
{
    struct save *s = &c->s;
    uint32_t n = s->f->n_processes;

    s->processes = calloc(n, sizeof(*s->processes));
    s->img->processes = calloc(n, sizeof(*s->img->processes));
    if (!s->processes || !s->img->processes)
        return err_sys(e, "image");
    s->img->n_processes = n;
    s->img->supervisor_pid = s->root->inner_parent_pid;
    if (describe_host(s->img, e) < 0 ||
        copy_string(&s->img->tmpdir, r->tmpdir, e) < 0 ||
        copy_string(&s->img->job_script, r->job_script, e) < 0)
        return -1;
    describe_time(s);
    if (look_at_processes(s, e) < 0 || collect_sysv(s, e) < 0 ||
        look_at_files(s, e) < 0)
        return -1;
    return carry_save(s, r->carry_tmpdir ? r->tmpdir : NULL, e);
}

static int ask(struct save *s, struct err *e)
{
    for (uint32_t i = 0; i < s->f->n_processes; i++)
        if (!s->f->processes[i].zombie && collect_calls(s, i, e) < 0)
            return -1;
    fault_point("native.asked");
    return 0;
}

static int make_snapshots(struct save *s, struct err *e)
{
    for (uint32_t i = 0; i < s->f->n_processes; i++)
        if (!s->f->processes[i].zombie &&
            (snapshot_make(s, i, e) < 0 || snapshot_complete(s, i, e) < 0))
            return -1;
    return 0;
}

static bool any_subreaper(const struct save *s)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++)
        if (s->img->processes[i].child_subreaper)
            return true;
    return false;
}

static int try_snapshots(struct save *s, struct err *e)
{
    /* A copy is given to the nearest subreaper: within the job, the job would meet it.
     */
    if (!s->snapshot || any_subreaper(s) || !snapshot_has_room(s)) {
        s->snapshot = false;
        return 0;
    }
    if (make_snapshots(s, e) == 0)
        return 0;
    snapshot_kill(s);
    s->snapshot = false;
    return e->sys == EAGAIN || e->sys == ENOMEM ? 0 : -1;
}

/* What is locked is not locked in a fork (mlock(2)): the job itself must be asked. */
static int read_locks(struct save *s, uint32_t i, struct err *e)
{
    if (!s->processes[i].status.locked_kib)
        return 0;
    return collect_vm_flags(s, i, s->f->processes[i].pid, e);
}

/* The last thing that the job must stand still for: with room for it, its memory is
 * copied on write and it can go on; else it stands still until all is written. */
static int copy(struct save *s, struct err *e)
{
    if (collect_object_copies(s, e) < 0 || try_snapshots(s, e) < 0)
        return -1;
    for (uint32_t i = 0; i < s->f->n_processes; i++) {
        pid_t snapshot = s->processes[i].snapshot;

        if (!s->f->processes[i].zombie)
            s->processes[i].source = snapshot ? snapshot : s->f->processes[i].pid;
        if (snapshot && read_locks(s, i, e) < 0)
            return -1;
    }
    fault_point("native.copied");
    return 0;
}

/* ---- the writer's sources ---- */

struct sources {
    struct writer_source *list; /* owned, with its descriptors */
    uint32_t n;
};

static void sources_free(struct sources *src)
{
    for (uint32_t k = 0; k < src->n; k++) {
        if (src->list[k].owner != IMAGE_OWNER_PROCESS)
            continue;
        if (src->list[k].mem_fd >= 0)
            close(src->list[k].mem_fd);
        if (src->list[k].pagemap_fd >= 0)
            close(src->list[k].pagemap_fd);
    }
    free(src->list);
}

static struct writer_source *add_source(struct sources *src, enum image_owner owner,
                                        uint32_t index, struct err *e)
{
    struct writer_source *w = image_append((void **)&src->list, &src->n, sizeof(*w));

    if (w)
        *w = (struct writer_source){
            .owner = owner, .index = index, .mem_fd = -1, .pagemap_fd = -1};
    else
        err_sys(e, "sources");
    return w;
}

static int open_proc(pid_t pid, const char *name, struct err *e)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open %s", path) : fd;
}

static int add_process_sources(struct save *s, uint32_t i, struct sources *src,
                               struct err *e)
{
    struct save_process *sp = &s->processes[i];
    struct writer_source *w = add_source(src, IMAGE_OWNER_PROCESS, i, e);

    if (!w)
        return -1;
    w->vmas = sp->from_mem;
    w->mem_fd = open_proc(sp->source, "mem", e);
    if (w->mem_fd < 0)
        return -1;
    w->pagemap_fd = open_proc(sp->source, "pagemap", e);
    if (w->pagemap_fd < 0)
        return -1;
    for (uint32_t k = 0; k < sp->n_copies; k++) {
        w = add_source(src, IMAGE_OWNER_PROCESS, i, e);
        if (!w)
            return -1;
        w->copy_start = sp->copies[k].start;
        w->copy_size = sp->copies[k].size;
        w->copy = sp->copies[k].data;
    }
    return 0;
}

static int add_sources(struct save *s, struct sources *src, struct err *e)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++)
        if (s->processes[i].source && add_process_sources(s, i, src, e) < 0)
            return -1;
    for (uint32_t o = 0; o < s->n_object_copies; o++) {
        struct writer_source *w = add_source(src, IMAGE_OWNER_OBJECT, o, e);

        if (!w)
            return -1;
        w->mem_fd = s->object_copies[o];
    }
    return 0;
}

static int start_writer(struct checkpoint *c, const struct checkpoint_request *r,
                        struct err *e)
{
    struct writer_options options = {.dirfd = r->dirfd, .compress = r->compress};
    struct sources src = {0};
    int rc = add_sources(&c->s, &src, e);

    if (rc == 0) {
        c->writer = writer_start(c->s.img, src.list, src.n, &options, e);
        rc = c->writer ? 0 : -1;
    }
    sources_free(&src);
    return rc;
}

static int read_vm_flags(struct save *s, struct err *e)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++)
        if (s->processes[i].source &&
            collect_vm_flags(s, i, s->processes[i].source, e) < 0)
            return -1;
    return 0;
}

/* ---- the order of it all ---- */

static void checkpoint_free(struct checkpoint *c)
{
    struct save *s = &c->s;

    writer_close(c->writer);
    if (s->img && s->processes)
        snapshot_kill(s);
    for (uint32_t i = 0; s->processes && i < s->img->n_processes; i++) {
        for (uint32_t k = 0; k < s->processes[i].n_copies; k++)
            munmap(s->processes[i].copies[k].data, s->processes[i].copies[k].size);
        free(s->processes[i].copies);
        free(s->processes[i].from_mem);
    }
    free(s->processes);
    for (uint32_t o = 0; o < s->n_object_copies; o++)
        if (s->object_copies[o] >= 0)
            close(s->object_copies[o]);
    free(s->object_copies);
    free(s->mapped);
    files_save_free(s->files);
    image_free(s->img);
    free(c);
}

static void thaw(struct save *s)
{
    struct err e = {0};

    if (!s->f)
        return;
    if (freeze_thaw(s->f, &e) < 0)
        log_error("a process of the job could not go on and was killed: %s", e.text);
    s->f = NULL;
}

static void count(struct checkpoint *c)
{
    for (uint32_t i = 0; i < c->s.img->n_processes; i++) {
        c->stats.processes += !c->s.img->processes[i].zombie;
        c->stats.threads += c->s.img->processes[i].n_threads;
    }
}

static int stand_still(struct checkpoint *c, struct checkpoint_memory *memory,
                       const struct checkpoint_request *r, struct err *e)
{
    struct freeze_target target = {
        .parent = c->s.root->parent,
        .root = c->s.root->root,
        .ignored = memory->ignored,
        .n_ignored = memory->n_ignored,
        .timeout_s = r->freeze_timeout_s ? r->freeze_timeout_s : 30,
        .late = &memory->late,
    };
    int rc = freeze_tree(&target, &c->s.f, e);

    if (c->s.f && c->s.f->root_ended) {
        memory->root_ended = true;
        memory->root_status = c->s.f->root_status;
        return err_set(e, ERR_GONE, "the job has ended");
    }
    return rc;
}

/* From the first stop on, up to where the job may go on. */
static int save_standing(struct checkpoint *c, struct checkpoint_memory *memory,
                         const struct checkpoint_request *r, struct err *e)
{
    if (stand_still(c, memory, r, e) < 0 || look(c, r, e) < 0 || ask(&c->s, e) < 0 ||
        copy(&c->s, e) < 0)
        return -1;
    /* The writer's threads may run wherever this one may. */
    near_leave(&c->s.f->self);
    count(c);
    return 0;
}

struct checkpoint *checkpoint_begin(const struct native_root *root,
                                    struct checkpoint_memory *memory,
                                    const struct checkpoint_request *r, struct err *e)
{
    struct checkpoint *c = calloc(1, sizeof(*c));
    int rc = -1;

    if (!c) {
        err_sys(e, "checkpoint");
        return NULL;
    }
    c->s = (struct save){
        .root = root, .interrupted = &memory->interrupted, .snapshot = !r->stop};
    c->stop = r->stop;
    freeze_late_release(&memory->late);
    c->s.img = image_new(e);
    c->begun_ns = clock_ns(CLOCK_MONOTONIC);
    if (c->s.img)
        rc = save_standing(c, memory, r, e);
    if (rc < 0 || c->s.snapshot)
        thaw(&c->s);
    c->stats.pause_us = (clock_ns(CLOCK_MONOTONIC) - c->begun_ns) / 1000;
    if (rc == 0)
        rc = read_vm_flags(&c->s, e);
    if (rc == 0)
        rc = carry_save_mapped(&c->s, e);
    if (rc == 0)
        rc = start_writer(c, r, e);
    if (rc == 0)
        return c;
    checkpoint_end(c, false);
    return NULL;
}

struct writer *checkpoint_writer(const struct checkpoint *c)
{
    return c->writer;
}

int checkpoint_finish(struct checkpoint *c, struct checkpoint_stats *stats,
                      struct err *e)
{
    int rc = writer_finish(c->writer, &c->stats.memory, e);

    snapshot_kill(&c->s);
    if (c->s.f && !c->stop) {
        thaw(&c->s);
        c->stats.pause_us = (clock_ns(CLOCK_MONOTONIC) - c->begun_ns) / 1000;
    }
    *stats = c->stats;
    return rc;
}

bool checkpoint_is_stopped(const struct checkpoint *c)
{
    return c->s.f != NULL;
}

void checkpoint_end(struct checkpoint *c, bool kill_job)
{
    if (!c)
        return;
    if (kill_job && c->s.f) {
        files_save_before_kill(c->s.files);
        freeze_kill(c->s.f);
        c->s.f = NULL;
    }
    thaw(&c->s);
    checkpoint_free(c);
}
