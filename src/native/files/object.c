/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files without a lasting name: removed ones, memfds, shared anonymous memory, and
 * what the job made in /dev/shm or on another file system in memory. They travel with
 * the image; an open file description of one is IMAGE_FILE_OBJECT.
 */
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/str.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMFD_PREFIX "/memfd:"
#define DELETED_SUFFIX " (deleted)"
#define TEMPORARY_PREFIX ".qckpt-"

/* ---- saving ---- */

static uint32_t kind_of_path(const char *path, bool deleted)
{
    if (strncmp(path, MEMFD_PREFIX, sizeof(MEMFD_PREFIX) - 1) == 0)
        return IMAGE_OBJECT_MEMFD;
    if (strncmp(path, "/dev/zero", 9) == 0)
        return IMAGE_OBJECT_ANON;
    return deleted ? IMAGE_OBJECT_DELETED : IMAGE_OBJECT_SHM;
}

/* Without " (deleted)" and, for a memfd, the part before its name. */
static char *plain_path(const char *path, uint32_t kind)
{
    size_t size = strlen(path), suffix = sizeof(DELETED_SUFFIX) - 1;

    if (size > suffix && strcmp(path + size - suffix, DELETED_SUFFIX) == 0)
        size -= suffix;
    if (kind == IMAGE_OBJECT_ANON)
        return strdup("");
    if (kind == IMAGE_OBJECT_MEMFD) {
        path += sizeof(MEMFD_PREFIX) - 1;
        size -= sizeof(MEMFD_PREFIX) - 1;
    }
    return strndup(path, size);
}

/* On some file systems (btrfs) stat(2) shows another device than /proc/PID/maps. */
static bool is_object(const struct files_save *s, uint32_t i, dev_t dev, ino_t ino,
                      const char *path)
{
    const char *known = s->img->objects[i].path;

    return s->objects[i].ino == ino &&
           (s->objects[i].dev == dev ||
            (known && strncmp(path, known, strlen(known)) == 0));
}

static int find(const struct files_save *s, dev_t dev, ino_t ino, const char *path,
                uint32_t *object)
{
    for (uint32_t i = 0; i < s->n_objects; i++)
        if (is_object(s, i, dev, ino, path)) {
            *object = i;
            return 0;
        }
    return -1;
}

static int add(struct files_save *s, dev_t dev, ino_t ino, const char *path,
               bool deleted, uint32_t *object, struct err *e)
{
    uint32_t kind = kind_of_path(path, deleted);
    auto_free char *plain = plain_path(path, kind);
    struct saved_object *known;
    struct image_object *o;

    if (!plain)
        return err_sys(e, "%s", path);
    known = image_append((void **)&s->objects, &s->n_objects, sizeof(*s->objects));
    if (!known)
        return err_sys(e, "%s", path);
    *known = (struct saved_object){.dev = dev, .ino = ino, .fd = -1};
    o = IMAGE_APPEND(s->img, objects);
    if (!o) {
        s->n_objects--;
        return err_sys(e, "%s", path);
    }
    o->kind = kind;
    o->mode = 0600;
    if (kind != IMAGE_OBJECT_ANON)
        o->path = take_ptr(plain);
    *object = s->n_objects - 1;
    return 0;
}

/* Seals tell how a memfd was made, too. */
static void note_seals(struct image_object *o, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0)
        return;
    if (seals == F_SEAL_SEAL)
        return; /* made without MFD_ALLOW_SEALING */
    o->flags = MFD_ALLOW_SEALING;
    o->seals = seals;
}

/* Takes over what an open descriptor of the object tells. */
static int note_fd(struct files_save *s, uint32_t object, int *fd, struct err *e)
{
    struct image_object *o = &s->img->objects[object];
    struct stat st;

    if (fstat(*fd, &st) < 0)
        return err_sys(e, "%s", o->path ? o->path : "shared memory");
    o->mode = st.st_mode & 07777;
    if ((uint64_t)st.st_size > o->size)
        o->size = st.st_size;
    if (o->kind == IMAGE_OBJECT_MEMFD)
        note_seals(o, *fd);
    s->objects[object].fd = take_fd(fd);
    return 0;
}

/* The object of a file with this identity: found or added. */
static int find_or_add(struct files_save *s, const struct found *f, uint32_t *object,
                       struct err *e)
{
    bool deleted = f->st.st_nlink == 0 || !files_path_leads_to(f);
    auto_fd int fd = -1;
    char path[64];

    if (find(s, f->st.st_dev, f->st.st_ino, f->link, object) < 0 &&
        add(s, f->st.st_dev, f->st.st_ino, f->link, deleted, object, e) < 0)
        return -1;
    if (s->objects[*object].fd >= 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->host_pid, f->fd);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (f->flags & O_ACCMODE) != O_WRONLY)
        fd = files_copy_fd(f->host_pid, f->fd, e);
    if (fd < 0)
        return files_refuse(f, e,
                            "%s, which has no name any more and may not be read: its "
                            "contents cannot be saved",
                            f->link);
    return note_fd(s, *object, &fd, e);
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct image_file *file = &s->img->files[index];

    file->size = f->st.st_size;
    return find_or_add(s, f, &file->object, e);
}

enum files_known files_save_knows(const struct files_save *s, dev_t dev, ino_t ino)
{
    for (uint32_t i = 0; i < s->n_objects; i++)
        if (s->objects[i].dev == dev && s->objects[i].ino == ino)
            return FILES_AS_OBJECT;
    for (uint32_t i = 0; i < s->n_files; i++)
        if (s->files[i].dev == dev && s->files[i].ino == ino)
            return FILES_BY_NAME;
    return FILES_UNKNOWN;
}

/* The mapped file by its name in the process's own root; -1 when that is another file,
 * or may not be read. */
static int open_mapped(const struct files_mapping *m)
{
    char path[PATH_MAX + 32];
    auto_fd int fd = -1;
    struct stat st;

    if (m->deleted || m->path[0] != '/')
        return -1;
    snprintf(path, sizeof(path), "/proc/%d/root%s", m->host_pid, m->path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != m->ino)
        return -1;
    return take_fd(&fd);
}

int files_save_object(struct files_save *s, const struct files_mapping *m,
                      uint32_t *object, struct err *e)
{
    uint64_t end = m->offset + (m->end - m->start);
    auto_fd int fd = -1;
    char path[96];

    if (find(s, m->dev, m->ino, m->path, object) < 0) {
        if (add(s, m->dev, m->ino, m->path, m->deleted, object, e) < 0)
            return -1;
        snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
                 m->host_pid, m->start, m->end);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            fd = open_mapped(m);
        if (fd >= 0 && note_fd(s, *object, &fd, e) < 0)
            return -1;
    }
    /* A file may be shorter than its mapping; of memory only mappings are known. */
    if (s->objects[*object].fd < 0 && s->img->objects[*object].size < end)
        s->img->objects[*object].size = end;
    return 0;
}

int files_save_object_fd(const struct files_save *s, uint32_t object)
{
    return object < s->n_objects ? s->objects[object].fd : -1;
}

/* ---- restoring ---- */

int files_object_check(const struct image_object *o, uint32_t object, struct err *e)
{
    bool named = o->kind == IMAGE_OBJECT_DELETED || o->kind == IMAGE_OBJECT_SHM;

    if (o->kind < IMAGE_OBJECT_ANON || o->kind > IMAGE_OBJECT_SHM)
        return err_set(e, ERR_CORRUPT, "object %u is of kind %u, which does not exist",
                       object, o->kind);
    if (o->size > INT64_MAX || o->mode > 07777)
        return err_set(e, ERR_CORRUPT, "object %u has an impossible size or mode",
                       object);
    if (named && (!o->path || o->path[0] != '/' || strlen(o->path) >= PATH_MAX))
        return err_set(e, ERR_CORRUPT, "object %u has no path", object);
    return 0;
}

/* A file under a temporary name in the directory of `path`. */
static int make_named(const char *path, char made[PATH_MAX], struct err *e)
{
    int size = strrchr(path, '/') - path, fd;

    if (str_format(made, PATH_MAX, e, "%.*s/" TEMPORARY_PREFIX "XXXXXX", size, path) <
        0)
        return -1;
    fd = mkostemp(made, O_CLOEXEC);
    return fd < 0 ? err_sys(e, "make a file in %.*s", size + (size == 0), path) : fd;
}

/* A file without a name, in the directory where it was or in memory. */
static int make_deleted(const char *path, struct err *e)
{
    char directory[PATH_MAX], made[PATH_MAX];
    struct err ignored;
    int fd;

    if (strncmp(path, "/dev/shm/", 9) != 0) {
        snprintf(directory, sizeof(directory), "%.*s/",
                 (int)(strrchr(path, '/') - path), path);
        fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        fd = make_named(path, made, &ignored);
        if (fd >= 0) {
            unlink(made);
            return fd;
        }
    }
    fd = memfd_create("qckpt-deleted", MFD_CLOEXEC);
    return fd < 0 ? err_sys(e, "memory for the removed file %s", path) : fd;
}

static int make(const struct image_object *o, struct err *e)
{
    const char *name = o->path ? o->path : "anonymous";
    char made[PATH_MAX];
    int fd;

    switch (o->kind) {
    case IMAGE_OBJECT_SHM:
        files_make_parents(o->path);
        return make_named(o->path, made, e);
    case IMAGE_OBJECT_DELETED:
        return make_deleted(o->path, e);
    default:
        fd = memfd_create(name, MFD_CLOEXEC | (o->flags & MFD_ALLOW_SEALING));
        return fd < 0 ? err_sys(e, "memory for %s", name) : fd;
    }
}

int files_object_make(struct files_restore *r, uint32_t object, struct err *e)
{
    const struct image_object *o = &r->img->objects[object];
    auto_fd int fd = make(o, e);

    if (fd < 0)
        return -1;
    if (io_move_fd(&fd, r->first_fd, e) < 0)
        return -1;
    r->objects[object] = take_fd(&fd);
    if (ftruncate(r->objects[object], o->size) < 0)
        return err_sys(e, "make %s %" PRIu64 " bytes long",
                       o->path ? o->path : "shared memory", o->size);
    return 0;
}

/* The path under which the object lies now; false unless it is a temporary one. */
static bool temporary_path(int fd, char path[PATH_MAX])
{
    char link[32];
    const char *name;
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    if (n < 0)
        return false;
    path[n] = 0;
    name = strrchr(path, '/');
    return name &&
           strncmp(name + 1, TEMPORARY_PREFIX, sizeof(TEMPORARY_PREFIX) - 1) == 0 &&
           !strstr(name, DELETED_SUFFIX);
}

int files_object_commit(const struct files_restore *r, uint32_t object, struct err *e)
{
    const struct image_object *o = &r->img->objects[object];
    int fd = r->objects[object];
    char path[PATH_MAX];

    if (fchmod(fd, o->mode) < 0)
        return err_sys(e, "mode of %s", o->path ? o->path : "shared memory");
    if (o->kind == IMAGE_OBJECT_SHM) {
        if (!temporary_path(fd, path))
            return err_set(e, ERR_FAILED, "%s is lost", o->path);
        if (rename(path, o->path) < 0)
            return err_sys(e, "rename %s to %s", path, o->path);
    }
    if (o->kind == IMAGE_OBJECT_MEMFD && o->seals &&
        fcntl(fd, F_ADD_SEALS, o->seals) < 0)
        log_warning("the seals of memfd %s could not be put back: %m", o->path);
    return 0;
}

void files_object_drop(const struct files_restore *r, uint32_t object)
{
    char path[PATH_MAX];

    if (r->objects[object] >= 0 && r->img->objects[object].kind == IMAGE_OBJECT_SHM &&
        temporary_path(r->objects[object], path))
        unlink(path);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    if (r->img->files[index].object >= r->img->n_objects)
        return err_set(e, ERR_CORRUPT, "there is no object %u",
                       r->img->files[index].object);
    return 0;
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    auto_fd int fd = files_reopen(r->objects[file->object], files_open_flags(file), e);

    if (fd < 0 || files_seek(fd, file->pos, e) < 0)
        return -1;
    return files_pool_put(r, index, &fd, e);
}

const struct file_kind file_kind_object = {
    .name = "a file without a name",
    .save = save,
    .check = check,
    .make = open_file,
};
