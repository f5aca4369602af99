/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/save.h"

#include "base/err.h"
#include "base/scope.h"
#include "native/file_id.h"
#include "native/memory/pagemap.h"
#include "native/save/features.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- refusals ---- */

/* Mappings whose contents are not memory, or are not the job's alone. */
static int refuse_mapping(const struct proc_map *m, int pid, struct err *e)
{
    static const struct {
        const char *prefix, *why;
    } refused[] = {
        {"anon_inode:[io_uring]",
         "an io_uring, whose requests in flight cannot be saved"},
        {"anon_inode:", "a kernel object whose state cannot be saved"},
        {"/[aio]", "the ring of asynchronous I/O (io_setup(2))"},
        {"/anon_hugepage", "huge pages (MAP_HUGETLB): use transparent ones"},
        {"/dev/hugepages/", "huge pages (hugetlbfs): use transparent ones"},
        {"[uprobes]", "set by a kernel tracer (uprobes): end the tracer"},
        {"/SYSV",
         "System V shared memory (shmget(2)), which would come back without its "
         "id: use the POSIX kind (shm_open(3))"},
        {"socket:", "a socket's buffer (packet_mmap)"},
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (starts_with(m->path, refused[i].prefix))
            return err_set(e, ERR_REFUSED, "process %d has mapped %s at %#lx: %s", pid,
                           m->path, (unsigned long)m->start, refused[i].why);
    if (starts_with(m->path, "/dev/") && !starts_with(m->path, "/dev/zero") &&
        !starts_with(m->path, "/dev/shm/"))
        return err_set(e, ERR_REFUSED,
                       "process %d has mapped the device %s at %#lx, whose state is "
                       "outside the job",
                       pid, m->path, (unsigned long)m->start);
    return 0;
}

/* ---- kinds ---- */

static bool is_skipped(const struct proc_map *m)
{
    return strcmp(m->path, "[vsyscall]") == 0;
}

/* Shared memory that no file keeps, or that another host does not have. */
static bool is_object(const struct proc_map *m)
{
    return m->shared &&
           (m->deleted || m->inode == 0 || starts_with(m->path, "/dev/zero") ||
            starts_with(m->path, "/memfd:") || starts_with(m->path, "/dev/shm/"));
}

static enum image_vma_kind kind_of(const struct proc_map *m)
{
    if (strcmp(m->path, "[vdso]") == 0)
        return IMAGE_VMA_VDSO;
    if (starts_with(m->path, "[vvar"))
        return IMAGE_VMA_VVAR;
    if (is_object(m))
        return IMAGE_VMA_OBJECT;
    if (m->shared)
        return IMAGE_VMA_FILE_SHARED;
    if (m->path[0] == '/' && m->inode && !m->deleted &&
        !starts_with(m->path, "/dev/zero"))
        return IMAGE_VMA_FILE_PRIVATE;
    return IMAGE_VMA_ANON;
}

/* A private mapping of a file that is no longer there: all of it must be saved, also
 * the pages that are still the file's. */
static bool is_orphan(const struct proc_map *m)
{
    return !m->shared && m->deleted && m->inode;
}

/* ---- copies made while the job stands still ---- */

struct copying {
    struct save *s;
    uint32_t process, vma;
    struct tracee t;
    struct save_copy *copy; /* the one that grows; NULL: none yet */
};

/* One copy reaches over a gap of this size; a larger one is left out. */
enum { COPY_GAP = 1 << 20 };

static int add_copy(struct copying *c, uint64_t start, uint64_t size, struct err *e)
{
    struct save_process *sp = &c->s->processes[c->process];
    struct save_copy *copy =
        image_append((void **)&sp->copies, &sp->n_copies, sizeof(*copy));

    if (!copy)
        return err_sys(e, "copies of process %d", save_pid(c->s, c->process));
    *copy = (struct save_copy){.vma = c->vma, .start = start, .size = size};
    copy->data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (copy->data == MAP_FAILED) {
        sp->n_copies--;
        return err_sys(e, "copy %lu bytes of process %d", (unsigned long)size,
                       save_pid(c->s, c->process));
    }
    c->copy = copy;
    return 0;
}

static int grow_copy(struct copying *c, uint64_t end, struct err *e)
{
    uint64_t size = end - c->copy->start;
    void *data = mremap(c->copy->data, c->copy->size, size, MREMAP_MAYMOVE);

    if (data == MAP_FAILED)
        return err_sys(e, "copy %lu bytes of process %d", (unsigned long)size,
                       save_pid(c->s, c->process));
    c->copy->data = data;
    c->copy->size = size;
    return 0;
}

static int copy_range(void *arg, uint64_t start, uint64_t end, struct err *e)
{
    struct copying *c = arg;
    bool near = c->copy && start - (c->copy->start + c->copy->size) <= COPY_GAP;

    if (near ? grow_copy(c, end, e) < 0 : add_copy(c, start, end - start, e) < 0)
        return -1;
    for (uint64_t at = start; at < end; at += SAVE_PAGE_SIZE) {
        struct err behind_the_end;

        /* A page behind the end of its file cannot be read, by anybody: it stays zero.
         */
        inject_read(&c->t, at, (char *)c->copy->data + (at - c->copy->start),
                    SAVE_PAGE_SIZE, &behind_the_end);
    }
    return 0;
}

/* Only what the process has of its own: what is reserved may be larger than any memory
 * (V8 sets terabytes aside, with MADV_DONTFORK). */
static int copy_own_pages(struct copying *c, const struct image_vma *v, struct err *e)
{
    char path[64];
    auto_fd int fd = -1;
    struct pagemap_search search = {
        .page_size = SAVE_PAGE_SIZE, .found = copy_range, .arg = c};

    snprintf(path, sizeof(path), "/proc/%d/pagemap", c->t.pid);
    fd = search.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "open %s", path);
    return pagemap_search(&search, v->start, v->end, e);
}

int save_copy_vma(struct save *s, uint32_t i, uint32_t vma, bool own, struct err *e)
{
    const struct image_vma *v = &s->img->processes[i].vmas[vma];
    struct copying copying = {
        .s = s, .process = i, .vma = vma, .t = freeze_tracee(&s->f->processes[i], 0)};

    s->processes[i].from_mem[vma] = false;
    return own ? copy_own_pages(&copying, v, e)
               : copy_range(&copying, v->start, v->end, e);
}

/* ---- mappings ---- */

static int read_identity(struct image_vma *v, pid_t pid, const struct proc_map *m,
                         struct err *e)
{
    char path[128];
    auto_fd int fd = -1;
    struct stat st;

    /* Through the process's own root: after a restart it has mounts of its own. */
    snprintf(path, sizeof(path), "/proc/%d/root", pid);
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        int file =
            openat(fd, m->path + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        close(fd);
        fd = file;
    }
    if (fd < 0)
        return err_sys(e, "process %d has mapped %s, which cannot be opened", pid,
                       m->path);
    if (fstat(fd, &st) < 0)
        return err_sys(e, "%s", m->path);
    if (st.st_ino != m->inode)
        return err_set(e, ERR_REFUSED,
                       "process %d has mapped %s, which has been replaced meanwhile",
                       pid, m->path);
    return file_id_read(fd, &v->id, e);
}

/* All processes of a job have the same root: a path leads all of them to the same. */
static const struct save_mapped *find_mapped(const struct save *s,
                                             const struct proc_map *m)
{
    for (uint32_t k = 0; k < s->n_mapped; k++) {
        const struct save_mapped *known = &s->mapped[k];

        if (known->inode == m->inode && known->minor == m->minor &&
            known->major == m->major && strcmp(known->path, m->path) == 0)
            return known;
    }
    return NULL;
}

static int identify(struct save *s, uint32_t i, struct image_vma *v,
                    const struct proc_map *m, struct err *e)
{
    const struct save_mapped *known = find_mapped(s, m);
    struct save_mapped *added;

    if (known) {
        v->id = known->id;
        return 0;
    }
    if (read_identity(v, s->f->processes[i].pid, m, e) < 0)
        return -1;
    added = image_append((void **)&s->mapped, &s->n_mapped, sizeof(*added));
    if (!added)
        return err_sys(e, "mapping");
    *added = (struct save_mapped){.major = m->major,
                                  .minor = m->minor,
                                  .inode = m->inode,
                                  .path = v->path,
                                  .id = v->id};
    return 0;
}

static int fill_vma(struct save *s, uint32_t i, const struct proc_map *m,
                    struct image_vma *v, struct err *e)
{
    v->start = m->start;
    v->end = m->end;
    v->prot = m->prot;
    v->offset = m->offset;
    v->kind = kind_of(m);
    v->object = IMAGE_NONE;
    if (strcmp(m->path, "[stack]") == 0)
        v->flags |= IMAGE_VMA_GROWSDOWN;
    if (starts_with(m->path, "[anon:")) {
        v->name = strndup(m->path + 6, strlen(m->path) - 7);
        if (!v->name)
            return err_sys(e, "mapping");
    }
    if (v->kind != IMAGE_VMA_FILE_PRIVATE && v->kind != IMAGE_VMA_FILE_SHARED) {
        if (v->kind == IMAGE_VMA_ANON)
            v->offset = 0;
        return 0;
    }
    v->path = strdup(m->path);
    if (!v->path)
        return err_sys(e, "mapping");
    return identify(s, i, v, m, e);
}

int collect_memory(struct save *s, uint32_t i, struct err *e)
{
    struct image_process *p = &s->img->processes[i];
    const struct proc_maps *maps = &s->f->processes[i].maps;
    struct save_process *sp = &s->processes[i];

    sp->from_mem = calloc(maps->n + 1, sizeof(bool));
    p->vmas = calloc(maps->n + 1, sizeof(*p->vmas));
    if (!sp->from_mem || !p->vmas)
        return err_sys(e, "mappings of process %d", p->pid);
    for (size_t k = 0; k < maps->n; k++) {
        const struct proc_map *m = &maps->map[k];
        uint32_t n = p->n_vmas;

        if (refuse_mapping(m, p->pid, e) < 0)
            return -1;
        if (is_skipped(m))
            continue;
        p->n_vmas++;
        sp->from_mem[n] = true;
        if (fill_vma(s, i, m, &p->vmas[n], e) < 0)
            return -1;
        if (is_orphan(m) && save_copy_vma(s, i, n, false, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- shared objects ---- */

enum {
    COPY_PIECE = 1 << 20,
    TEMPORARY_MAX = 16 << 20, /* a mapped file in /tmp that travels */
};

/* A named file that another host does not have: in memory, or a small one among the
 * temporary files (Java maps such a one in every process). One that is open as well is
 * found by its name. */
static bool travels(const struct save *s, const struct files_mapping *m)
{
    char path[PATH_MAX + 32];
    struct statfs fs;
    struct stat st;

    switch (files_save_knows(s->files, m->dev, m->ino)) {
    case FILES_AS_OBJECT:
        return true;
    case FILES_BY_NAME:
        return false;
    default:
        break;
    }
    snprintf(path, sizeof(path), "/proc/%d/root%s", m->host_pid, m->path);
    if (stat(path, &st) < 0 || statfs(path, &fs) < 0 || st.st_uid != geteuid())
        return false;
    if (fs.f_type == TMPFS_MAGIC)
        return true;
    return st.st_size <= TEMPORARY_MAX &&
           (starts_with(m->path, "/tmp/") || starts_with(m->path, "/var/tmp/"));
}

static void make_object(struct image_vma *v)
{
    free(v->path);
    v->path = NULL;
    v->kind = IMAGE_VMA_OBJECT;
    v->id = (struct image_file_id){0};
}

/* Without a descriptor all of it must be read through a mapping, and a hole that is
 * read becomes a page: what is set aside must not fill this host's memory. */
static int refuse_large(const struct save *s, uint32_t i, const struct files_mapping *m,
                        uint32_t object, struct err *e)
{
    uint64_t half = (uint64_t)sysconf(_SC_PHYS_PAGES) / 2 * SAVE_PAGE_SIZE;

    if (files_save_object_fd(s->files, object) >= 0 || m->end - m->start <= half)
        return 0;
    return err_set(
        e, ERR_REFUSED,
        "process %d shares %lu MiB of memory at %#lx, more than half of what "
        "this host has: it cannot be copied while the job stands still",
        save_pid(s, i), (unsigned long)((m->end - m->start) >> 20),
        (unsigned long)m->start);
}

int collect_objects(struct save *s, uint32_t i, struct err *e)
{
    struct image_process *p = &s->img->processes[i];
    const struct proc_maps *maps = &s->f->processes[i].maps;
    uint32_t n = 0;

    for (size_t k = 0; k < maps->n; k++) {
        const struct proc_map *m = &maps->map[k];
        struct files_mapping mapping = {
            .host_pid = s->f->processes[i].pid,
            .dev = makedev(m->major, m->minor),
            .ino = m->inode,
            .path = m->path,
            .deleted = m->deleted,
            .start = m->start,
            .end = m->end,
            .offset = m->offset,
        };

        if (is_skipped(m))
            continue;
        if (p->vmas[n].kind == IMAGE_VMA_FILE_SHARED && travels(s, &mapping))
            make_object(&p->vmas[n]);
        if (p->vmas[n].kind == IMAGE_VMA_OBJECT &&
            (files_save_object(s->files, &mapping, &p->vmas[n].object, e) < 0 ||
             refuse_large(s, i, &mapping, p->vmas[n].object, e) < 0))
            return -1;
        n++;
    }
    return 0;
}

static int copy_from_file(int from, int to, uint64_t size, struct err *e)
{
    auto_free char *buffer = malloc(COPY_PIECE);
    off_t at = 0, hole = 0;

    if (!buffer)
        return err_sys(e, "copy");
    while ((uint64_t)at < size) {
        ssize_t n;

        if (at >= hole) {
            at = lseek(from, at, SEEK_DATA);
            if (at < 0)
                return errno == ENXIO ? 0 : err_sys(e, "find data");
            hole = lseek(from, at, SEEK_HOLE);
            if (hole < 0)
                return err_sys(e, "find data");
        }
        n = pread(from, buffer, hole - at < COPY_PIECE ? hole - at : COPY_PIECE, at);
        if (n < 0)
            return err_sys(e, "copy");
        if (n == 0)
            return 0;
        if (pwrite(to, buffer, n, at) != n)
            return err_sys(e, "copy");
        at += n;
    }
    return 0;
}

static bool is_zero(const char *page, size_t size)
{
    return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

/* Through a process that has it mapped; zero pages become holes. */
static int copy_from_mapping(const struct save *s, uint32_t i,
                             const struct image_vma *v, int to, struct err *e)
{
    auto_free char *buffer = malloc(COPY_PIECE);
    struct tracee t = freeze_tracee(&s->f->processes[i], 0);

    if (!buffer)
        return err_sys(e, "copy");
    for (uint64_t at = v->start; at < v->end; at += COPY_PIECE) {
        size_t size = v->end - at < COPY_PIECE ? v->end - at : COPY_PIECE;

        if (inject_read(&t, at, buffer, size, e) < 0)
            return -1;
        for (size_t k = 0; k < size; k += SAVE_PAGE_SIZE)
            if (!is_zero(buffer + k, SAVE_PAGE_SIZE) &&
                pwrite(to, buffer + k, SAVE_PAGE_SIZE,
                       v->offset + (at - v->start) + k) != SAVE_PAGE_SIZE)
                return err_sys(e, "copy");
    }
    return 0;
}

static int copy_mapped_object(const struct save *s, uint32_t object, int to,
                              struct err *e)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++) {
        const struct image_process *p = &s->img->processes[i];

        for (uint32_t k = 0; k < p->n_vmas; k++)
            if (p->vmas[k].object == object &&
                copy_from_mapping(s, i, &p->vmas[k], to, e) < 0)
                return err_wrap(e, "shared memory of process %d at %#lx", p->pid,
                                (unsigned long)p->vmas[k].start);
    }
    return 0;
}

/* Objects are not in a snapshot: they are shared with it. Their contents are copied
 * while the job stands still. */
int collect_object_copies(struct save *s, struct err *e)
{
    uint32_t n = s->img->n_objects;

    s->object_copies = malloc((n + 1) * sizeof(int));
    if (!s->object_copies)
        return err_sys(e, "shared memory");
    for (uint32_t o = 0; o < n; o++) {
        const struct image_object *obj = &s->img->objects[o];
        int from = files_save_object_fd(s->files, o);
        int copy = memfd_create("qckpt-object", MFD_CLOEXEC);

        s->object_copies[s->n_object_copies++] = copy;
        if (copy < 0 || ftruncate(copy, obj->size) < 0)
            return err_sys(e, "copy of shared memory");
        if (from < 0 ? copy_mapped_object(s, o, copy, e) < 0
                     : copy_from_file(from, copy, obj->size, e) < 0)
            return err_wrap(e, "%s", obj->path ? obj->path : "shared memory");
    }
    return 0;
}

/* ---- flags ---- */

struct flag_reader {
    struct image_process *p;
    uint32_t next;
};

static int read_flags(void *arg, const struct proc_vm *vm, struct err *e)
{
    static const struct {
        const char *code;
        uint32_t flag;
    } codes[] = {
        {"gd", IMAGE_VMA_GROWSDOWN},  {"lo", IMAGE_VMA_LOCKED},
        {"dc", IMAGE_VMA_DONTFORK},   {"wf", IMAGE_VMA_WIPEONFORK},
        {"dd", IMAGE_VMA_DONTDUMP},   {"hg", IMAGE_VMA_HUGEPAGE},
        {"nh", IMAGE_VMA_NOHUGEPAGE}, {"nr", IMAGE_VMA_NORESERVE},
        {"mg", IMAGE_VMA_MERGEABLE},
    };
    struct flag_reader *r = arg;
    struct image_vma *v;

    while (r->next < r->p->n_vmas && r->p->vmas[r->next].end <= vm->start)
        r->next++;
    /* Not in the image: [vsyscall]. */
    if (r->next == r->p->n_vmas || r->p->vmas[r->next].start >= vm->end)
        return 0;
    v = &r->p->vmas[r->next];
    for (const char *p = vm->flags + strspn(vm->flags, " "); *p; p += strspn(p, " ")) {
        for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
            if (strncmp(p, codes[i].code, 2) == 0 && v->kind != IMAGE_VMA_VDSO &&
                v->kind != IMAGE_VMA_VVAR)
                v->flags |= codes[i].flag;
        if (strncmp(p, "mw", 2) == 0)
            v->file_writable = v->kind == IMAGE_VMA_FILE_SHARED;
        p += strcspn(p, " ");
    }
    return features_check_key(vm, v->prot, r->p->pid, e);
}

int collect_vm_flags(struct save *s, uint32_t i, pid_t pid, struct err *e)
{
    struct flag_reader r = {&s->img->processes[i], 0};

    return proc_vm_read(pid, read_flags, &r, e);
}
