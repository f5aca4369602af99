/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample.h"

#include "base/err.h"
#include "base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <unistd.h>

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

static struct image_blob blob(size_t size, uint8_t first)
{
    struct image_blob b = {.data = need(malloc(size)), .size = size};

    for (size_t i = 0; i < size; i++)
        ((uint8_t *)b.data)[i] = first + i;
    return b;
}

static char *text(const char *s)
{
    return need(strdup(s));
}

static struct image_process *add_process(struct image *img, int32_t pid, int32_t ppid)
{
    struct image_process *p = need(IMAGE_APPEND(img, processes));

    p->pid = pid;
    p->ppid = ppid;
    p->pgid = p->sid = img->root_pid;
    p->tty_file = IMAGE_NONE;
    return p;
}

static struct image_thread *add_thread(struct image_process *p, int32_t tid)
{
    struct image_thread *t = need(IMAGE_APPEND(p, threads));

    t->tid = tid;
    snprintf(t->comm, sizeof(t->comm), "thread-%d", tid);
    t->regs = blob(sizeof(struct user_regs_struct), tid);
    return t;
}

struct image *sample_small(void)
{
    struct err e = {0};
    struct image *img = need(image_new(&e));
    struct image_process *p;

    snprintf(img->arch, sizeof(img->arch), "x86_64");
    snprintf(img->release, sizeof(img->release), "6.1.0");
    snprintf(img->hostname, sizeof(img->hostname), "node1");
    img->page_size = 4096;
    img->supervisor_pid = 100;
    img->root_pid = 101;
    p = add_process(img, 101, 100);
    p->cwd = text("/home/user");
    p->exe = text("/usr/bin/true");
    add_thread(p, 101);
    return img;
}

struct image_vma *sample_vma(struct image_process *p, uint64_t start, uint64_t end,
                             enum image_vma_kind kind)
{
    struct image_vma *v = need(IMAGE_APPEND(p, vmas));

    v->start = start;
    v->end = end;
    v->kind = kind;
    v->prot = PROT_READ | PROT_WRITE;
    v->object = IMAGE_NONE;
    return v;
}

static void fill_thread(struct image_thread *t)
{
    struct image_signal *s = need(IMAGE_APPEND(t, pending));

    memset(s->info, 7, sizeof(s->info));
    memcpy(s->info, &(int32_t){10}, 4);
    t->xstate = blob(832, 3);
    t->sigmask = 0x1122334455667788;
    t->robust_list = 0x7f0000001000;
    t->robust_list_size = 24;
    t->clear_child_tid = 0x7f0000001010;
    t->rseq_addr = 0x7f0000001020;
    t->rseq_size = 32;
    t->rseq_signature = 0x53053053;
    t->altstack_addr = 0x7f0000002000;
    t->altstack_size = 8192;
    t->altstack_flags = 2;
    t->sched_policy = 3;
    t->sched_priority = 0;
    t->nice = -5;
    t->timer_slack_ns = 50000;
}

static void fill_shared(struct image *img)
{
    struct image_object *o = need(IMAGE_APPEND(img, objects));
    struct image_file *f;
    struct image_carried *c;

    *o = (struct image_object){.kind = IMAGE_OBJECT_MEMFD,
                               .mode = 0777,
                               .seals = 1,
                               .flags = 2,
                               .size = 10000,
                               .path = text("buffer")};
    o = need(IMAGE_APPEND(img, objects));
    *o = (struct image_object){.kind = IMAGE_OBJECT_SHM,
                               .mode = 0600,
                               .size = 8192,
                               .path = text("/dev/shm/x")};
    f = need(IMAGE_APPEND(img, files));
    *f = (struct image_file){.kind = IMAGE_FILE_REGULAR,
                             .flags = O_RDWR | O_APPEND,
                             .pos = 1234,
                             .object = IMAGE_NONE,
                             .owner_pid = -101,
                             .owner_signal = 29,
                             .size = 5678,
                             .mode = S_IFREG | 0640,
                             .path = text("/home/user/out"),
                             .detail = blob(9, 1)};
    f = need(IMAGE_APPEND(img, files));
    *f = (struct image_file){.kind = IMAGE_FILE_OBJECT, .object = 1, .flags = O_RDWR};
    f = need(IMAGE_APPEND(img, files));
    *f = (struct image_file){.kind = IMAGE_FILE_PTY_SLAVE, .object = IMAGE_NONE};
    c = need(IMAGE_APPEND(img, carried));
    *c = (struct image_carried){.path = text("/var/spool/job_scripts/4711"),
                                .mode = S_IFREG | 0700,
                                .mtime_ns = 1700000000000000001,
                                .content = blob(50, 32)};
}

static void fill_ids(struct image_process *p)
{
    for (int i = 0; i < 4; i++) {
        p->uid[i] = 1000 + i;
        p->gid[i] = 2000 + i;
    }
    p->cap_effective = 1;
    p->cap_permitted = 2;
    p->cap_inheritable = 3;
    p->cap_bounding = 4;
    p->cap_ambient = 5;
    p->no_new_privs = true;
    p->stopped = true;
    p->thp_disabled = true;
    p->tty = true;
    p->tty_file = 2;
    p->tty_pgrp = 101;
    p->umask_bits = 027;
    p->personality = 0x0040000;
    p->dumpable = 1;
    p->pdeath_signal = 9;
    p->child_subreaper = true;
    p->oom_score_adj = -17;
    p->exe_id = (struct image_file_id){.size = 99, .mtime_ns = 98, .build_id_size = 20};
    memset(p->exe_id.build_id, 0xab, 20);
}

static void fill_mm(struct image_mm *m)
{
    *m = (struct image_mm){.start_code = 0x400000,
                           .end_code = 0x401000,
                           .start_data = 0x402000,
                           .end_data = 0x403000,
                           .start_brk = 0x404000,
                           .brk = 0x405000,
                           .start_stack = 0x7ffffffde000,
                           .arg_start = 0x7ffffffde100,
                           .arg_end = 0x7ffffffde200,
                           .env_start = 0x7ffffffde200,
                           .env_end = 0x7ffffffde300,
                           .auxv = blob(320, 5)};
}

static void fill_signals(struct image_process *p)
{
    struct image_posix_timer *t = need(IMAGE_APPEND(p, timers));
    struct image_signal *s = need(IMAGE_APPEND(p, pending));

    memcpy(s->info, &(int32_t){64}, 4);
    *t = (struct image_posix_timer){.id = 3,
                                    .clock = 1,
                                    .notify = 4,
                                    .signo = 34,
                                    .tid = 102,
                                    .sigval = 0xdeadbeef,
                                    .interval_ns = 1000,
                                    .value_ns = 999,
                                    .overrun = 2};
    for (int i = 0; i < IMAGE_N_SIGNALS; i++)
        p->actions[i] = (struct image_sigaction){i, i * 2, i * 3, i * 4};
    for (int i = 0; i < 3; i++)
        p->itimers[i] = (struct image_itimer){100 + i, 50 + i};
    for (int i = 0; i < IMAGE_N_RLIMITS; i++)
        p->rlimits[i] = (struct image_rlimit){i, i == 15 ? UINT64_MAX : i * 10};
}

static void fill_vmas(struct image_process *p)
{
    struct image_vma *v;

    v = sample_vma(p, 0x400000, 0x402000, IMAGE_VMA_FILE_PRIVATE);
    v->path = text("/usr/bin/true");
    v->prot = PROT_READ | PROT_EXEC;
    v->id = (struct image_file_id){.size = 8192, .mtime_ns = 12345};
    v = sample_vma(p, 0x404000, 0x408000, IMAGE_VMA_ANON);
    v->name = text("glibc: malloc");
    v->flags = IMAGE_VMA_DONTDUMP | IMAGE_VMA_MERGEABLE;
    v = sample_vma(p, 0x408000, 0x40a000, IMAGE_VMA_OBJECT);
    v->object = 1;
    v = sample_vma(p, 0x40a000, 0x40b000, IMAGE_VMA_FILE_SHARED);
    v->path = text("/home/user/data");
    v->offset = 4096;
    v->file_writable = true;
    sample_vma(p, 0x7ffff7fc0000, 0x7ffff7fc4000, IMAGE_VMA_VVAR);
    sample_vma(p, 0x7ffff7fc4000, 0x7ffff7fc6000, IMAGE_VMA_VDSO);
    v = sample_vma(p, 0x7ffffffdd000, 0x7fffffffe000, IMAGE_VMA_ANON);
    v->flags = IMAGE_VMA_GROWSDOWN;
}

static void add_run(struct image *img, enum image_owner owner, uint32_t index,
                    uint64_t start, uint64_t size)
{
    struct image_run *r = need(IMAGE_APPEND(img, runs));

    *r = (struct image_run){owner, index, start, size};
}

static void fill_index(struct image *img)
{
    struct image_chunk *c;

    add_run(img, IMAGE_OWNER_PROCESS, 0, 0x404000, 8192);
    add_run(img, IMAGE_OWNER_PROCESS, 0, 0x7ffff7fc4000, 8192);
    add_run(img, IMAGE_OWNER_OBJECT, 0, 8192, 10000 - 8192);
    c = need(IMAGE_APPEND(img, chunks));
    *c = (struct image_chunk){.stored_size = 1000,
                              .raw_size = 16384,
                              .codec = IMAGE_CODEC_ZSTD,
                              .first_run = 0,
                              .n_runs = 2};
    memset(c->digest, 0x5a, sizeof(c->digest));
    c = need(IMAGE_APPEND(img, chunks));
    *c = (struct image_chunk){.offset = 1000,
                              .stored_size = 1808,
                              .raw_size = 1808,
                              .first_run = 2,
                              .n_runs = 1};
}

static void fill_fds(struct image_process *p)
{
    for (int i = 0; i < 3; i++) {
        struct image_fd *f = need(IMAGE_APPEND(p, fds));

        *f = (struct image_fd){.fd = i * 5, .file = i, .cloexec = i == 1};
    }
}

struct image *sample_full(void)
{
    struct image *img = sample_small();
    struct image_process *p = &img->processes[0], *zombie;

    img->realtime_ns = 1;
    img->monotonic_ns = 2;
    img->boottime_ns = 3;
    img->last_pid = 200;
    img->tmpdir = text("/tmp/4711.1.all.q");
    img->job_script = text("/var/spool/job_scripts/4711");
    img->xfeatures = 0xe7;
    img->xlayout = blob(64, 9);
    fill_shared(img);
    fill_ids(p);
    fill_mm(&p->mm);
    fill_signals(p);
    fill_thread(&p->threads[0]);
    add_thread(p, 102);
    fill_vmas(p);
    fill_fds(p);
    zombie = add_process(img, 103, 101);
    zombie->zombie = true;
    zombie->status = 0x100;
    fill_index(img);
    return img;
}

int sample_mkdir(char path[64])
{
    const char *base = getenv("TMPDIR");

    if (!base || strlen(base) > 40)
        base = "/tmp";
    snprintf(path, 64, "%s/qckpt-test-XXXXXX", base);
    need(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void sample_rmdir(int dirfd, const char *path)
{
    struct err ignored = {0};

    if (dirfd >= 0)
        close(dirfd);
    io_remove_tree(AT_FDCWD, path, &ignored);
}
