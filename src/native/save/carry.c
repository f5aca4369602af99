/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/carry.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "native/save/save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum {
    CARRY_FILE_MAX = 1 << 20,   /* a file that nobody asked to carry */
    CARRY_MAPPED_MAX = 8 << 20, /* the same, without which the job cannot restart */
    CARRY_TMPDIR_MAX = 1 << 30, /* all of TMPDIR */
    CARRY_DEPTH_MAX = 64,
};

struct carrier {
    struct image *img;
    uint64_t budget;
    struct err *e;
};

/* Whether every host has its own of these anyway, as in /proc, or all hosts of a
 * cluster see the same files there (statfs(2)). */
static bool is_everywhere(int fd)
{
    static const long magics[] = {PROC_SUPER_MAGIC,
                                  SYSFS_MAGIC,
                                  CGROUP_SUPER_MAGIC,
                                  CGROUP2_SUPER_MAGIC,
                                  NFS_SUPER_MAGIC,
                                  CIFS_SUPER_MAGIC,
                                  SMB2_SUPER_MAGIC,
                                  AFS_SUPER_MAGIC,
                                  CEPH_SUPER_MAGIC,
                                  V9FS_MAGIC,
                                  FUSE_SUPER_MAGIC,
                                  0x0bd00bd0 /* Lustre */,
                                  0x47504653 /* GPFS */,
                                  0x19830326 /* BeeGFS */,
                                  0x20030528 /* PVFS2 */,
                                  0xaad7aaea /* PanFS */,
                                  0x6a656a63 /* VirtioFS of old */};
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if ((long)fs.f_type == magics[i])
            return true;
    return false;
}

static bool is_carried(const struct image *img, const char *path)
{
    for (uint32_t i = 0; i < img->n_carried; i++)
        if (strcmp(img->carried[i].path, path) == 0)
            return true;
    return false;
}

static struct image_carried *add(struct carrier *c, const char *path,
                                 const struct stat *st)
{
    struct image_carried *f = IMAGE_APPEND(c->img, carried);

    if (f)
        f->path = strdup(path);
    if (!f || !f->path) {
        err_sys(c->e, "carry %s", path);
        return NULL;
    }
    f->mode = st->st_mode;
    f->mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    return f;
}

/* Takes an open regular file along. */
static int carry_open(struct carrier *c, const char *path, int fd,
                      const struct stat *st)
{
    struct image_carried *f;
    char *data = NULL;
    size_t size = 0;

    if ((uint64_t)st->st_size > c->budget)
        return err_set(
            c->e, ERR_REFUSED,
            "%s is too large to travel with the checkpoint: put it on a file "
            "system that all hosts share",
            path);
    if (io_read_fd(fd, c->budget, &data, &size, c->e) < 0)
        return err_wrap(c->e, "carry %s", path);
    f = add(c, path, st);
    if (!f) {
        free(data);
        return -1;
    }
    f->content = (struct image_blob){data, size};
    c->budget -= size;
    return 0;
}

/* ---- small files that are open for reading ---- */

static int carry_small(struct carrier *c, pid_t pid, const struct image_file *file,
                       int fd)
{
    char path[64];
    auto_fd int copy = -1;
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    copy = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* What cannot be read here is left to the restart, which needs the same file. */
    if (copy < 0 || fstat(copy, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_size > CARRY_FILE_MAX || is_everywhere(copy))
        return 0;
    c->budget = CARRY_FILE_MAX;
    return carry_open(c, file->path, copy, &st);
}

static int carry_open_files(struct save *s, struct carrier *c)
{
    for (uint32_t i = 0; i < s->img->n_processes; i++) {
        const struct image_process *p = &s->img->processes[i];

        for (uint32_t k = 0; k < p->n_fds; k++) {
            const struct image_file *file = &s->img->files[p->fds[k].file];

            if (file->kind != IMAGE_FILE_REGULAR || !file->path ||
                (file->flags & O_ACCMODE) != O_RDONLY || is_carried(c->img, file->path))
                continue;
            if (carry_small(c, s->f->processes[i].pid, file, p->fds[k].fd) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- the job script ---- */

static int carry_script(struct save *s, struct carrier *c)
{
    const char *path = s->img->job_script;
    auto_fd int fd = -1;
    struct stat st;

    if (!path || is_carried(c->img, path))
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    /* After a restart it may exist only inside the job's mounts, where it was put; as
     * long as the job has it open it is among the files above. */
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    c->budget = CARRY_TMPDIR_MAX;
    return carry_open(c, path, fd, &st);
}

/* ---- TMPDIR ---- */

static int carry_dir(struct carrier *c, int fd, const char *path, int depth);

static int carry_link(struct carrier *c, int dirfd, const char *name, const char *path,
                      const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target));
    struct image_carried *f;

    if (n < 0)
        return err_sys(c->e, "carry %s", path);
    f = add(c, path, st);
    if (!f)
        return -1;
    f->content.data = malloc(n + 1);
    if (!f->content.data)
        return err_sys(c->e, "carry %s", path);
    memcpy(f->content.data, target, n);
    ((char *)f->content.data)[n] = '\0';
    f->content.size = n;
    return 0;
}

static int carry_entry(struct carrier *c, int dirfd, const char *name, const char *path,
                       int depth)
{
    auto_fd int fd = -1;
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(c->e, "carry %s", path);
    if (S_ISLNK(st.st_mode))
        return carry_link(c, dirfd, name, path, &st);
    /* Sockets and pipes are made again with the descriptors that hold them. */
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_sys(c->e, "carry %s", path);
    if (S_ISREG(st.st_mode))
        return is_carried(c->img, path) ? 0 : carry_open(c, path, fd, &st);
    return add(c, path, &st) ? carry_dir(c, fd, path, depth + 1) : -1;
}

static int carry_dir(struct carrier *c, int fd, const char *path, int depth)
{
    auto_dir DIR *dir = NULL;
    struct dirent *entry;
    int copy;

    if (depth > CARRY_DEPTH_MAX)
        return err_set(c->e, ERR_REFUSED, "%s is nested too deeply to travel", path);
    copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir)
        return err_sys(c->e, "carry %s", path);
    while ((entry = readdir(dir))) {
        char below[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if ((size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
            sizeof(below))
            return err_set(c->e, ERR_REFUSED, "%s/...: too long a path", path);
        if (carry_entry(c, fd, entry->d_name, below, depth) < 0)
            return -1;
    }
    return 0;
}

static int carry_tmpdir(struct carrier *c, pid_t pid, const char *tmpdir)
{
    char root[64];
    auto_fd int top = -1, fd = -1;

    /* As the job sees it: after a restart another directory may lie under that path. */
    snprintf(root, sizeof(root), "/proc/%d/root", pid);
    top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = top < 0 ? -1 : openat(top, tmpdir + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(c->e, "TMPDIR %s shall travel", tmpdir);
    c->budget = CARRY_TMPDIR_MAX;
    return carry_dir(c, fd, tmpdir, 0);
}

int carry_save(struct save *s, const char *tmpdir, struct err *e)
{
    struct carrier c = {.img = s->img, .e = e};

    if (carry_open_files(s, &c) < 0 || carry_script(s, &c) < 0)
        return -1;
    return tmpdir && tmpdir[0] == '/' ? carry_tmpdir(&c, s->f->processes[0].pid, tmpdir)
                                      : 0;
}

/* ---- mapped files that another host has in another make ---- */

static bool is_host_made(const struct image_vma *v)
{
    if (v->kind == IMAGE_VMA_FILE_SHARED && (v->prot & PROT_WRITE || v->file_writable))
        return false;
    return (v->kind == IMAGE_VMA_FILE_PRIVATE || v->kind == IMAGE_VMA_FILE_SHARED) &&
           v->id.build_id_size == 0 && v->id.size <= CARRY_MAPPED_MAX;
}

static int carry_mapped(struct carrier *c, pid_t pid, const struct image_vma *v)
{
    char root[64];
    auto_fd int top = -1, fd = -1;
    struct stat st;

    snprintf(root, sizeof(root), "/proc/%d/root", pid);
    top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top >= 0)
        fd = openat(top, v->path + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* What cannot be taken along may still be the same on the next host. */
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size != v->id.size || is_everywhere(fd))
        return 0;
    c->budget = CARRY_MAPPED_MAX;
    return carry_open(c, v->path, fd, &st);
}

int carry_save_mapped(struct save *s, struct err *e)
{
    struct carrier c = {.img = s->img, .e = e};

    for (uint32_t i = 0; i < s->img->n_processes; i++) {
        const struct image_process *p = &s->img->processes[i];

        for (uint32_t k = 0; k < p->n_vmas; k++)
            if (is_host_made(&p->vmas[k]) && !is_carried(c.img, p->vmas[k].path) &&
                carry_mapped(&c, s->processes[i].source, &p->vmas[k]) < 0)
                return -1;
    }
    return 0;
}
