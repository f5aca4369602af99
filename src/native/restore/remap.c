/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/remap.h"

#include "base/err.h"
#include "base/proc.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/restore/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    LOWEST = 1 << 20, /* below may be vm.mmap_min_addr */
    HOLE_SIZE = 4 << 20,
    VDSO_ROOM = HOLE_SIZE - SCRATCH_SIZE,
    RSEQ_UNREGISTER = 1, /* linux/rseq.h */
};

/* ---- attaching ---- */

static int find_syscall(struct restored *r, const struct proc_maps *maps, struct err *e)
{
    struct tracee *t = restored_leader(r);
    const struct vdso_part *code;
    auto_free uint8_t *image = NULL;
    ssize_t at;

    if (vdso_find(&r->vdso, maps, e) < 0)
        return -1;
    code = &r->vdso.part[r->vdso.code];
    image = malloc(code->size);
    if (!image)
        return err_sys(e, "read the vDSO");
    if (inject_read(t, code->start, image, code->size, e) < 0)
        return -1;
    at = arch_find_syscall(image, code->size);
    if (at < 0)
        return err_set(e, ERR_FAILED, "the vDSO here has no system call in it");
    t->syscall_ip = code->start + at;
    return 0;
}

/* The middle of the largest gap between what is mapped and what will be: there neither
 * the heap nor the stacks grow soon, as some of it may stay (vdso.h). */
static int find_hole(struct restored *r, const struct proc_maps *maps, struct err *e)
{
    uint64_t at = LOWEST, best = 0, best_size = 0;
    const struct image_process *p = r->p;
    size_t i = 0;
    uint32_t k = 0;

    for (;;) {
        uint64_t a = i < maps->n ? maps->map[i].start : arch_task_size();
        uint64_t b = k < p->n_vmas ? p->vmas[k].start : arch_task_size();
        uint64_t next = a < b ? a : b, end = next;

        if (next > arch_task_size())
            next = arch_task_size();
        if (next > at && next - at > best_size) {
            best = at;
            best_size = next - at;
        }
        if (next == arch_task_size())
            break;
        end = a <= b ? maps->map[i++].end : p->vmas[k++].end;
        if (end > at)
            at = end;
    }
    if (best_size < 4 * (uint64_t)HOLE_SIZE)
        return err_set(e, ERR_FAILED, "process %d has no address space left", p->pid);
    r->hole = (best + best_size / 2) & ~(uint64_t)(HOLE_SIZE - 1);

    return 0;
}

static int seize(pid_t pid, struct err *e)
{
    const long options =
        PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
    int status;

    if (ptrace(PTRACE_SEIZE, pid, 0, options) < 0)
        return err_sys(e, "trace process %d", pid);
    if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        return err_sys(e, "stop process %d", pid);
    if (inject_wait(pid, &status, e) < 0)
        return -1;
    if (!WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_STOP)
        return err_set(e, ERR_FAILED, "process %d did not stop (status %#x)", pid,
                       status);
    return 0;
}

int remap_attach(struct restored *r, pid_t pid, struct err *e)
{
    struct tracee *t = restored_leader(r);
    struct proc_maps maps = {0};
    int rc;

    if (seize(pid, e) < 0)
        return -1;
    t->pid = t->tid = pid;
    r->n_threads = 1;
    if (arch_get_regs(pid, &t->regs, e) < 0 || proc_maps_read(pid, &maps, e) < 0)
        return -1;
    rc = find_syscall(r, &maps, e);
    if (rc == 0)
        rc = find_hole(r, &maps, e);
    proc_maps_free(&maps);
    return rc;
}

/* ---- clearing ---- */

/* The kernel writes into a registered rseq area at every switch of the CPU, and kills
 * the process when that memory is gone. */
static int drop_rseq(struct restored *r, struct err *e)
{
#ifdef PTRACE_GET_RSEQ_CONFIGURATION
    struct __ptrace_rseq_configuration c = {0};
    struct tracee *t = restored_leader(r);

    if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, sizeof(c), &c) < 0)
        return errno == EIO ? 0 : err_sys(e, "ask for rseq of process %d", t->pid);
    if (!c.rseq_abi_pointer)
        return 0;
    return INJECT(t, NULL, e, "drop rseq", SYS_rseq, c.rseq_abi_pointer,
                  c.rseq_abi_size, RSEQ_UNREGISTER, c.signature);
#else
    return 0;
#endif
}

static int unmap(struct tracee *t, uint64_t start, uint64_t end, struct err *e)
{
    return INJECT(t, NULL, e, "unmap the memory", SYS_munmap, start, end - start);
}

static int clear(struct restored *r, struct err *e)
{
    struct tracee *t = restored_leader(r);

    if (drop_rseq(r, e) < 0)
        return -1;
    if (vdso_span(&r->vdso) > VDSO_ROOM)
        return err_set(e, ERR_FAILED, "the vDSO is too large");
    if (vdso_move(&r->vdso, t, r->hole + SCRATCH_SIZE, e) < 0)
        return -1;
    if (unmap(t, 0, r->hole, e) < 0 ||
        unmap(t, r->hole + HOLE_SIZE, arch_task_size(), e) < 0)
        return -1;
    r->scratch = r->hole;
    return INJECT(t, NULL, e, "map scratch memory", SYS_mmap, r->scratch, SCRATCH_SIZE,
                  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                  (uint64_t)-1, 0);
}

/* ---- mapping ---- */

static bool is_private(const struct image_vma *v)
{
    return v->kind == IMAGE_VMA_ANON || v->kind == IMAGE_VMA_FILE_PRIVATE ||
           v->kind == IMAGE_VMA_OBJECT_PRIVATE || v->kind == IMAGE_VMA_VDSO;
}

/* Private mappings that have contents of their own are written before they get their
 * protection; others would count against RLIMIT_DATA for nothing. Executable and
 * writable at once is never needed, and forbidden in places (SELinux execmem). */
static uint32_t first_prot(const struct restored *r, uint32_t i)
{
    const struct image_vma *v = &r->p->vmas[i];

    if (v->kind == IMAGE_VMA_VDSO)
        return PROT_READ | PROT_WRITE;
    if (!is_private(v) || (v->prot & PROT_WRITE) || !r->filled[i])
        return v->prot;
    return PROT_READ | PROT_WRITE;
}

static int map_flags(const struct image_vma *v)
{
    int flags = MAP_FIXED | (is_private(v) ? MAP_PRIVATE : MAP_SHARED);

    if (v->kind == IMAGE_VMA_ANON || v->kind == IMAGE_VMA_VDSO)
        flags |= MAP_ANONYMOUS;
    if (v->flags & IMAGE_VMA_GROWSDOWN)
        flags |= MAP_GROWSDOWN;
    if (v->flags & IMAGE_VMA_NORESERVE)
        flags |= MAP_NORESERVE;
    return flags;
}

static int source_fd(const struct setup *s, const struct image_process *p,
                     const struct image_vma *v)
{
    if (v->kind == IMAGE_VMA_FILE_PRIVATE || v->kind == IMAGE_VMA_FILE_SHARED)
        return backing_fd(&s->backing, s->img, p, v);
    if (v->kind == IMAGE_VMA_OBJECT || v->kind == IMAGE_VMA_OBJECT_PRIVATE)
        return s->object_fd[v->object];
    return -1;
}

static int map_one(struct restored *r, const struct setup *s, uint32_t i, struct err *e)
{
    const struct image_vma *v = &r->p->vmas[i];
    int flags = map_flags(v), fd = source_fd(s, r->p, v);

    if (v->kind == IMAGE_VMA_VVAR)
        return 0;
    if (fd < 0 && !(flags & MAP_ANONYMOUS))
        return err_set(e, ERR_FAILED, "process %d: nothing to map at %#lx (%s)",
                       r->p->pid, (unsigned long)v->start,
                       v->path ? v->path : "object");
    if (INJECT(restored_leader(r), NULL, e, "map memory", SYS_mmap, v->start,
               v->end - v->start, first_prot(r, i), flags, (uint64_t)(int64_t)fd,
               fd < 0 ? 0 : v->offset) < 0)
        return err_wrap(e, "%s at %#lx", v->path ? v->path : "memory",
                        (unsigned long)v->start);
    return 0;
}

static int open_mem(struct restored *r, struct err *e)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", restored_leader(r)->pid);
    r->mem_fd = open(path, O_RDWR | O_CLOEXEC);
    return r->mem_fd < 0 ? err_sys(e, "open %s", path) : 0;
}

int remap_switch(struct restored *r, const struct setup *s, struct err *e)
{
    if (clear(r, e) < 0)
        return -1;
    for (uint32_t i = 0; i < r->p->n_vmas; i++)
        if (map_one(r, s, i, e) < 0)
            return -1;
    return open_mem(r, e);
}

/* ---- finishing ---- */

static const struct {
    uint32_t flag;
    int advice;
} advices[] = {
    {IMAGE_VMA_DONTFORK, MADV_DONTFORK},     {IMAGE_VMA_WIPEONFORK, MADV_WIPEONFORK},
    {IMAGE_VMA_DONTDUMP, MADV_DONTDUMP},     {IMAGE_VMA_HUGEPAGE, MADV_HUGEPAGE},
    {IMAGE_VMA_NOHUGEPAGE, MADV_NOHUGEPAGE}, {IMAGE_VMA_MERGEABLE, MADV_MERGEABLE},
};

/* Advice that only makes things faster is allowed to fail: a kernel may be built
 * without it. */
static int advise(struct restored *r, const struct image_vma *v, struct err *e)
{
    static const uint32_t must = IMAGE_VMA_DONTFORK | IMAGE_VMA_WIPEONFORK;

    for (size_t i = 0; i < sizeof(advices) / sizeof(*advices); i++) {
        const uint64_t args[6] = {v->start, v->end - v->start, advices[i].advice};
        struct inject_result result;

        if (!(v->flags & advices[i].flag))
            continue;
        if (inject_call(restored_leader(r), SYS_madvise, args, &result, e) < 0)
            return -1;
        if (result.value < 0 && (advices[i].flag & must))
            return err_code(e, -result.value, "mark memory of process %d", r->p->pid);
    }
    return 0;
}

static int lock_memory(struct restored *r, const struct image_vma *v, struct err *e)
{
    const uint64_t args[6] = {v->start, v->end - v->start};
    struct inject_result result;

    /* The limit of locked memory may be lower here; that makes no result wrong. */
    if (!(v->flags & IMAGE_VMA_LOCKED))
        return 0;
    return inject_call(restored_leader(r), SYS_mlock, args, &result, e);
}

static int name_memory(struct restored *r, const struct image_vma *v, struct err *e)
{
    const uint64_t args[6] = {0x53564d41, 0, v->start, v->end - v->start, r->scratch};
    struct inject_result result;
    char name[80] = "";

    if (v->kind != IMAGE_VMA_ANON || !v->name)
        return 0;
    snprintf(name, sizeof(name), "%s", v->name);
    if (inject_write(restored_leader(r), r->scratch, name, sizeof(name), e) < 0)
        return -1;
    return inject_call(restored_leader(r), SYS_prctl, args, &result, e);
}

static int finish_one(struct restored *r, uint32_t i, struct err *e)
{
    const struct image_vma *v = &r->p->vmas[i];

    if (v->kind == IMAGE_VMA_VDSO || v->kind == IMAGE_VMA_VVAR)
        return 0;
    if (first_prot(r, i) != v->prot &&
        INJECT(restored_leader(r), NULL, e, "protect memory", SYS_mprotect, v->start,
               v->end - v->start, v->prot) < 0)
        return -1;
    if (v->flags && (advise(r, v, e) < 0 || lock_memory(r, v, e) < 0))
        return -1;
    return name_memory(r, v, e);
}

/* struct prctl_mm_map of linux/prctl.h */
struct mm_map {
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t auxv;
    uint32_t auxv_size, exe_fd;
};

static int set_mm(struct restored *r, const struct setup *s, struct err *e)
{
    enum { PR_SET_MM_ = 35, PR_SET_MM_MAP_ = 14, AUXV_AT = 4096 };
    const struct image_mm *mm = &r->p->mm;
    struct tracee *t = restored_leader(r);
    struct mm_map map = {
        mm->start_code,  mm->end_code,
        mm->start_data,  mm->end_data,
        mm->start_brk,   mm->brk,
        mm->start_stack, mm->arg_start,
        mm->arg_end,     mm->env_start,
        mm->env_end,     r->scratch + AUXV_AT,
        mm->auxv.size,   backing_exe_fd(&s->backing, r->p),
    };

    if (mm->auxv.size > SCRATCH_SIZE - AUXV_AT)
        return err_set(e, ERR_CORRUPT, "auxiliary vector of process %d is too long",
                       r->p->pid);
    if (inject_write(t, r->scratch, &map, sizeof(map), e) < 0 ||
        (mm->auxv.size &&
         inject_write(t, r->scratch + AUXV_AT, mm->auxv.data, mm->auxv.size, e) < 0))
        return -1;
    return INJECT(t, NULL, e, "set the memory layout (PR_SET_MM_MAP)", SYS_prctl,
                  PR_SET_MM_, PR_SET_MM_MAP_, r->scratch, sizeof(map));
}

static int close_one(struct restored *r, int fd, struct err *e)
{
    const uint64_t args[6] = {fd};
    struct inject_result result;

    return fd < 0 ? 0 : inject_call(restored_leader(r), SYS_close, args, &result, e);
}

static int close_sources(struct restored *r, const struct setup *s, struct err *e)
{
    const uint64_t args[6] = {s->files.first_fd, ~0u};
    struct inject_result result;

    if (inject_call(restored_leader(r), SYS_close_range, args, &result, e) < 0)
        return -1;
    if (result.value != -ENOSYS)
        return 0;
    for (uint32_t i = 0; i < s->img->n_objects; i++)
        if (close_one(r, s->object_fd[i], e) < 0)
            return -1;
    for (uint32_t i = 0; i < s->backing.n; i++)
        if (close_one(r, s->backing.fd[i], e) < 0)
            return -1;
    return 0;
}

int remap_finish(struct restored *r, const struct setup *s, struct err *e)
{

    if (vdso_settle(&r->vdso, restored_leader(r), s->img, r->p, e) < 0)
        return -1;
    for (uint32_t i = 0; i < r->p->n_vmas; i++)
        if (finish_one(r, i, e) < 0)
            return -1;
    if (set_mm(r, s, e) < 0)
        return -1;
    return close_sources(r, s, e);
}

int remap_clean(struct restored *r, struct err *e)
{
    return unmap(restored_leader(r), r->scratch, r->scratch + SCRATCH_SIZE, e);
}
