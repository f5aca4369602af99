/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/vdso.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/proc.h"
#include "base/scope.h"
#include "image/image.h"
#include "native/inject.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

enum { VDSO_SIZE_MAX = 1 << 20 };

int vdso_find(struct vdso *v, const struct proc_maps *maps, struct err *e)
{
    *v = (struct vdso){.code = -1};
    for (size_t i = 0; i < maps->n; i++) {
        const struct proc_map *m = &maps->map[i];
        bool code = strcmp(m->path, "[vdso]") == 0;

        if (!code && strncmp(m->path, "[vvar", 5) != 0)
            continue;
        if (v->n == VDSO_PARTS_MAX)
            return err_set(e, ERR_FAILED, "the kernel's vDSO has too many parts");
        if (code)
            v->code = v->n;
        v->part[v->n].start = m->start;
        v->part[v->n++].size = m->end - m->start;
    }
    if (v->code < 0)
        return err_set(e, ERR_FAILED,
                       "there is no vDSO here (was the kernel started with vdso=0?)");
    return 0;
}

int vdso_move(struct vdso *v, struct tracee *t, uint64_t to, struct err *e)
{
    uint64_t delta = to - v->part[0].start;

    for (int i = 0; i < v->n; i++) {
        struct vdso_part *part = &v->part[i];

        if (INJECT(t, NULL, e, "move the vDSO", SYS_mremap, part->start, part->size,
                   part->size, MREMAP_MAYMOVE | MREMAP_FIXED, part->start + delta) < 0)
            return -1;
        part->start += delta;
        if (i == v->code)
            t->syscall_ip += delta;
    }
    return 0;
}

/* ---- symbols ---- */

struct symbols {
    const uint8_t *image;
    size_t size;
    uint64_t table, n; /* Elf64_Sym */
    uint64_t names, names_size;
};

static bool inside(const struct symbols *s, uint64_t offset, uint64_t size)
{
    return offset <= s->size && size <= s->size - offset;
}

static bool read_section(const struct symbols *s, const Elf64_Ehdr *h, uint32_t i,
                         Elf64_Shdr *out)
{
    uint64_t at = h->e_shoff + (uint64_t)i * sizeof(*out);

    if (i >= h->e_shnum || h->e_shoff > s->size || !inside(s, at, sizeof(*out)))
        return false;
    memcpy(out, s->image + at, sizeof(*out));
    return inside(s, out->sh_offset, out->sh_size);
}

static bool symbols_open(struct symbols *s, const uint8_t *image, size_t size)
{
    Elf64_Ehdr h;
    Elf64_Shdr section, names;

    *s = (struct symbols){.image = image, .size = size};
    if (size < sizeof(h))
        return false;
    memcpy(&h, image, sizeof(h));
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_shentsize != sizeof(section))
        return false;
    for (uint32_t i = 0; i < h.e_shnum; i++) {
        if (!read_section(s, &h, i, &section) || section.sh_type != SHT_DYNSYM)
            continue;
        if (!read_section(s, &h, section.sh_link, &names))
            return false;
        s->table = section.sh_offset;
        s->n = section.sh_size / sizeof(Elf64_Sym);
        s->names = names.sh_offset;
        s->names_size = names.sh_size;
        return true;
    }
    return false;
}

/* The name and offset of symbol i when it is a function of the image. */
static const char *function(const struct symbols *s, uint64_t i, uint64_t *offset)
{
    Elf64_Sym sym;
    const char *name;

    memcpy(&sym, s->image + s->table + i * sizeof(sym), sizeof(sym));
    if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx == SHN_UNDEF ||
        sym.st_name >= s->names_size || !inside(s, sym.st_value, ARCH_JUMP_MAX))
        return NULL;
    name = (const char *)s->image + s->names + sym.st_name;
    if (!memchr(name, '\0', s->names_size - sym.st_name))
        return NULL;
    *offset = sym.st_value;
    return name;
}

static bool look_up(const struct symbols *s, const char *name, uint64_t *offset)
{
    for (uint64_t i = 0; i < s->n; i++) {
        const char *other = function(s, i, offset);

        if (other && strcmp(name, other) == 0)
            return true;
    }
    return false;
}

/* Names may be aliases of one function: it is lost only when all of them are. */
static int add_patch(struct vdso_patch *patches, int n, uint64_t offset,
                     uint64_t target)
{
    for (int i = 0; i < n; i++)
        if (patches[i].offset == offset) {
            if (target)
                patches[i].target = target;
            return n;
        }
    patches[n] = (struct vdso_patch){offset, target};
    return n + 1;
}

int vdso_match(const uint8_t *old_image, size_t old_size, const uint8_t *new_image,
               size_t new_size, uint64_t new_base,
               struct vdso_patch patches[VDSO_PATCHES_MAX])
{
    struct symbols from, to;
    int n = 0;

    if (!symbols_open(&from, old_image, old_size) ||
        !symbols_open(&to, new_image, new_size))
        return -1;
    for (uint64_t i = 0; i < from.n && n < VDSO_PATCHES_MAX; i++) {
        uint64_t offset, target;
        const char *name = function(&from, i, &offset);

        if (!name)
            continue;
        target = look_up(&to, name, &target) ? new_base + target : 0;
        n = add_patch(patches, n, offset, target);
    }
    return n;
}

/* ---- settling ---- */

static const struct image_vma *saved_code(const struct image_process *p)
{
    for (uint32_t i = 0; i < p->n_vmas; i++)
        if (p->vmas[i].kind == IMAGE_VMA_VDSO)
            return &p->vmas[i];
    return NULL;
}

/* Whether the saved parts lie to each other as those of the running kernel. */
static bool same_layout(const struct vdso *v, const struct image_process *p,
                        const struct image_vma *code)
{
    int n = 0;

    for (uint32_t i = 0; i < p->n_vmas; i++) {
        const struct image_vma *s = &p->vmas[i];

        if (s->kind != IMAGE_VMA_VDSO && s->kind != IMAGE_VMA_VVAR)
            continue;
        if (n == v->n || s->end - s->start != v->part[n].size ||
            s->start - code->start != v->part[n].start - v->part[v->code].start)
            return false;
        n++;
    }
    return n == v->n;
}

static int patch(struct tracee *t, const struct image_vma *code,
                 const struct vdso_patch *patches, int n, struct err *e)
{
    for (int i = 0; i < n; i++) {
        uint8_t jump[ARCH_JUMP_MAX];
        uint64_t entry = code->start + patches[i].offset;
        uint64_t target = patches[i].target;
        /* An older kernel may lack a function: libc makes the system call then. */
        size_t size = target ? arch_jump(jump, entry, target) : arch_fail(jump, ENOSYS);

        if (inject_write(t, entry, jump, size, e) < 0)
            return -1;
    }
    return INJECT(t, NULL, e, "protect the old vDSO", SYS_mprotect, code->start,
                  code->end - code->start, PROT_READ | PROT_EXEC);
}

static bool same_kernel(const struct image *img)
{
    struct utsname u;

    return uname(&u) == 0 && strcmp(u.release, img->release) == 0;
}

int vdso_settle(struct vdso *v, struct tracee *t, const struct image *img,
                const struct image_process *p, struct err *e)
{
    const struct image_vma *code = saved_code(p);
    const struct vdso_part *now = &v->part[v->code];
    struct vdso_patch patches[VDSO_PATCHES_MAX];
    auto_free uint8_t *old_image = NULL, *new_image = NULL;
    size_t old_size;
    int n;

    if (!code)
        return 0; /* the job had none: it does not miss it */
    old_size = code->end - code->start;
    if (old_size > VDSO_SIZE_MAX)
        return err_set(e, ERR_CORRUPT, "the vDSO of process %d is too large", p->pid);
    if (now->size > VDSO_SIZE_MAX)
        return err_set(e, ERR_FAILED, "the vDSO of this kernel is too large");
    old_image = malloc(old_size);
    new_image = malloc(now->size);
    if (!old_image || !new_image)
        return err_sys(e, "compare vDSOs");
    if (inject_read(t, code->start, old_image, old_size, e) < 0 ||
        inject_read(t, now->start, new_image, now->size, e) < 0)
        return -1;
    n = vdso_match(old_image, old_size, new_image, now->size, now->start, patches);
    if (!fault_fails("native.vdso") && same_layout(v, p, code) &&
        (memcmp(old_image, new_image, old_size) == 0 || (n < 0 && same_kernel(img))))
        return vdso_move(v, t, code->start - now->start + v->part[0].start, e);
    /* No damage: a kernel may strip what is looked for, of either of the two, and on
     * one that is the same as the old the job goes on. */
    if (n < 0)
        return err_set(e, ERR_FAILED,
                       "the vDSO of process %d has no functions that could be led to "
                       "those of this kernel: restart on a host with Linux %s",
                       p->pid, img->release);
    return patch(t, code, patches, n, e);
}
