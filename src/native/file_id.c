/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/file_id.h"

#include "base/err.h"
#include "image/image.h"

#include <elf.h>
#include <string.h>
#include <sys/stat.h>

/* Notes are read in one piece; those of a program are some hundred bytes. */
enum { NOTES_MAX = 4096, HEADERS_MAX = 64 };

/* Notes are 4-aligned: header, name, description (elf(5)). */
static void find_build_id(const uint8_t *notes, size_t size, struct image_file_id *id)
{
    size_t pos = 0;

    while (size - pos >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        size_t name = pos + sizeof(n), desc, next;

        memcpy(&n, notes + pos, sizeof(n));
        if (n.n_namesz > NOTES_MAX || n.n_descsz > NOTES_MAX)
            return;
        desc = name + (n.n_namesz + 3) / 4 * 4;
        next = desc + (n.n_descsz + 3) / 4 * 4;
        if (desc + n.n_descsz > size)
            return;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
            memcmp(notes + name, "GNU", 4) == 0 && n.n_descsz <= sizeof(id->build_id)) {
            memcpy(id->build_id, notes + desc, n.n_descsz);
            id->build_id_size = n.n_descsz;
            return;
        }
        if (next > size)
            return;
        pos = next;
    }
}

static void read_build_id(int fd, struct image_file_id *id)
{
    Elf64_Ehdr header;
    Elf64_Phdr ph[HEADERS_MAX];
    uint8_t notes[NOTES_MAX];
    ssize_t n = pread(fd, &header, sizeof(header), 0);

    if (n != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(*ph) ||
        header.e_phnum > HEADERS_MAX)
        return;
    n = pread(fd, ph, header.e_phnum * sizeof(*ph), header.e_phoff);
    for (int i = 0; (i + 1) * (ssize_t)sizeof(*ph) <= n && !id->build_id_size; i++) {
        ssize_t got;

        if (ph[i].p_type != PT_NOTE || ph[i].p_filesz > sizeof(notes))
            continue;
        got = pread(fd, notes, ph[i].p_filesz, ph[i].p_offset);
        if (got > 0)
            find_build_id(notes, got, id);
    }
}

int file_id_read(int fd, struct image_file_id *id, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(e, "stat");
    *id = (struct image_file_id){
        .size = st.st_size,
        .mtime_ns = st.st_mtim.tv_sec * 1000000000ull + st.st_mtim.tv_nsec,
    };
    if (S_ISREG(st.st_mode))
        read_build_id(fd, id);
    return 0;
}

int file_id_check(int fd, const char *path, const struct image_file_id *id,
                  struct err *e)
{
    struct image_file_id now;

    if (file_id_read(fd, &now, e) < 0)
        return err_wrap(e, "%s", path);
    if (id->build_id_size || now.build_id_size) {
        if (id->build_id_size == now.build_id_size &&
            memcmp(id->build_id, now.build_id, id->build_id_size) == 0)
            return 0;
        return err_set(e, ERR_REFUSED,
                       "%s is another version here than the job has loaded (its build "
                       "id differs); install the same one",
                       path);
    }
    if (id->size == now.size && id->mtime_ns == now.mtime_ns)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "%s has changed since the checkpoint (size or time of change), and "
                   "the job has it mapped",
                   path);
}
