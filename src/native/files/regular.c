/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that have a name: opened again by it. Files without one, and files of this host
 * only, are objects (object.c).
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/stdfile.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What `detail` holds. */
struct regular {
    uint64_t ino;
    bool pseudo; /* on /proc, /sys...: its size means nothing */
    struct files_lock *locks;
    uint32_t n_locks;
};

static int decode(const struct image_file *file, struct regular *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct regular){.ino = dec_u64(&d), .pseudo = dec_u8(&d)};
    if (files_locks_decode(&d, &out->locks, &out->n_locks) < 0 ||
        dec_end(&d, "regular file", e) < 0) {
        free(out->locks);
        return err_set(e, ERR_CORRUPT, "the record of %s is damaged", file->path);
    }
    return 0;
}

/* ---- saving ---- */

bool files_path_leads_to(const struct found *f)
{
    char path[sizeof(f->link) + 64];
    struct stat st;

    /* As the process sees it: after a restart it has mounts of its own. */
    snprintf(path, sizeof(path), "/proc/%d/root%s", f->host_pid, f->link);
    return f->link[0] == '/' && lstat(path, &st) == 0 && st.st_dev == f->st.st_dev &&
           st.st_ino == f->st.st_ino;
}

static bool is_silly_renamed(const struct found *f, long fs_type)
{
    const char *name = strrchr(f->link, '/');

    /* The NFS client keeps a removed file under this name until its last close. */
    return fs_type == NFS_SUPER_MAGIC && name && strncmp(name, "/.nfs", 5) == 0;
}

static bool is_pseudo(long fs_type)
{
    static const long types[] = {PROC_SUPER_MAGIC,    SYSFS_MAGIC,   CGROUP_SUPER_MAGIC,
                                 CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i] == fs_type)
            return true;
    return false;
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct image_file *file = &s->img->files[index];
    struct regular *notes;
    char path[64];
    struct statfs fs;
    bool travels;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->host_pid, f->fd);
    if (statfs(path, &fs) < 0)
        return err_sys(e, "file system of %s", f->link);
    /* What this job makes on a file system in memory is not there on another host. What
     * it only reads is small and carried as a file, or somebody else's. */
    travels =
        fs.f_type == TMPFS_MAGIC && f->st.st_uid == geteuid() &&
        ((f->flags & O_ACCMODE) != O_RDONLY || strncmp(f->link, "/dev/shm/", 9) == 0);
    if (!is_pseudo(fs.f_type) &&
        (travels || is_silly_renamed(f, fs.f_type) || !files_path_leads_to(f))) {
        file->kind = IMAGE_FILE_OBJECT;
        return file_kind_object.save(s, f, index, e);
    }
    notes = calloc(1, sizeof(*notes));
    if (!notes)
        return err_sys(e, "%s", f->link);
    notes->ino = f->st.st_ino;
    notes->pseudo = is_pseudo(fs.f_type);
    s->files[index].notes = notes;
    file->size = f->st.st_size;
    return files_keep_path(file, f->link, e);
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    const struct regular *notes = s->files[index].notes;
    struct enc c = {0};

    enc_u64(&c, notes->ino);
    enc_u8(&c, notes->pseudo);
    files_locks_encode(&c, &s->files[index]);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

/* ---- restoring ---- */

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    struct regular regular;

    if (files_check_path(file, e) < 0 || decode(file, &regular, e) < 0)
        return -1;
    free(regular.locks);
    return 0;
}

static int check_same(const struct image_file *file, const struct regular *regular,
                      int fd, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(e, "%s", file->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_FAILED, "%s was a regular file and is not any more",
                       file->path);
    if (regular->pseudo)
        return 0;
    if ((uint64_t)st.st_size < file->size)
        return err_set(e, ERR_FAILED,
                       "%s has %" PRIu64 " bytes and had %" PRIu64
                       " at the checkpoint: something has cut it; put it back",
                       file->path, (uint64_t)st.st_size, file->size);
    if (st.st_ino != regular->ino)
        log_warning("%s is another file than at the checkpoint (inode %" PRIu64
                    ", was %" PRIu64 ")",
                    file->path, (uint64_t)st.st_ino, regular->ino);
    return 0;
}

int files_seek(int fd, uint64_t pos, struct err *e)
{
    if (pos > INT64_MAX || lseek(fd, pos, SEEK_SET) < 0)
        return err_sys(e, "position %" PRIu64, pos);
    return 0;
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    auto_free struct files_lock *locks = NULL;
    struct regular regular;
    auto_fd int fd = -1;

    if (files_is_late(file))
        return 0;
    if (decode(file, &regular, e) < 0)
        return -1;
    locks = regular.locks;
    /* Whatever has that name now must not make the restart wait. */
    fd = open(file->path, files_open_flags(file) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_sys(e, "open %s again", file->path);
    if (check_same(file, &regular, fd, e) < 0)
        return -1;
    if (!regular.pseudo && files_seek(fd, file->pos, e) < 0)
        return err_wrap(e, "%s", file->path);
    if (regular.pseudo)
        lseek(fd, file->pos, SEEK_SET);
    files_locks_take(fd, regular.locks, regular.n_locks, IMAGE_NONE, file->path);
    return files_pool_put(r, index, &fd, e);
}

static int install(const struct files_restore *r, uint32_t process,
                   const struct image_fd *fd, struct err *e)
{
    const struct image_file *file = &r->img->files[fd->file];
    struct regular regular;

    if (files_is_late(file))
        return files_install_late(file, 0, fd, e);
    if (decode(file, &regular, e) < 0)
        return -1;
    files_locks_take(fd->fd, regular.locks, regular.n_locks, process, file->path);
    free(regular.locks);
    return 0;
}

static int commit(const struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    struct regular regular;
    struct stat st;

    if (r->pool[index] < 0 || (file->flags & O_ACCMODE) == O_RDONLY)
        return 0;
    if (decode(file, &regular, e) < 0)
        return -1;
    free(regular.locks);
    if (regular.pseudo)
        return 0;
    if (fstat(r->pool[index], &st) < 0)
        return err_sys(e, "%s", file->path);
    if (st.st_ino != regular.ino) {
        log_warning("%s is not cut back to its size at the checkpoint: it is another "
                    "file now",
                    file->path);
        return 0;
    }
    return stdfile_cut(r->pool[index], file->path, file->size, e);
}

const struct file_kind file_kind_regular = {
    .name = "a file",
    .save = save,
    .pair = pair,
    .forget = free,
    .check = check,
    .make = open_file,
    .install = install,
    .commit = commit,
};
