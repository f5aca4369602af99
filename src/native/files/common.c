/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/scope.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct file_kind *file_kind_of(uint32_t kind)
{
    static const struct file_kind *const kinds[] = {
        [IMAGE_FILE_STDIO] = &file_kind_stdio,
        [IMAGE_FILE_REGULAR] = &file_kind_regular,
        [IMAGE_FILE_OBJECT] = &file_kind_object,
        [IMAGE_FILE_DIRECTORY] = &file_kind_directory,
        [IMAGE_FILE_DEVICE] = &file_kind_device,
        [IMAGE_FILE_PIPE] = &file_kind_pipe,
        [IMAGE_FILE_FIFO] = &file_kind_fifo,
        [IMAGE_FILE_EVENTFD] = &file_kind_eventfd,
        [IMAGE_FILE_TIMERFD] = &file_kind_timerfd,
        [IMAGE_FILE_SIGNALFD] = &file_kind_signalfd,
        [IMAGE_FILE_EPOLL] = &file_kind_epoll,
        [IMAGE_FILE_UNIX] = &file_kind_unix,
        [IMAGE_FILE_INET] = &file_kind_inet,
        [IMAGE_FILE_NETLINK] = &file_kind_netlink,
        [IMAGE_FILE_PTY_MASTER] = &file_kind_pty_master,
        [IMAGE_FILE_PTY_SLAVE] = &file_kind_pty_slave,
        [IMAGE_FILE_PATH] = &file_kind_path,
    };

    return kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind] : NULL;
}

__attribute__((format(printf, 4, 0))) static int
refuse(int32_t pid, int fd, struct err *e, const char *fmt, va_list ap)
{
    err_vset(e, ERR_REFUSED, fmt, ap);
    return err_set(e, ERR_REFUSED, "process %d descriptor %d is %s", pid, fd, e->text);
}

int files_refuse(const struct found *f, struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    refuse(f->pid, f->fd, e, fmt, ap);
    va_end(ap);
    return -1;
}

int files_refuse_saved(const struct saved *s, struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    refuse(s->pid, s->fd, e, fmt, ap);
    va_end(ap);
    return -1;
}

int files_refuse_now(const struct saved *s, struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    refuse(s->pid, s->fd, e, fmt, ap);
    va_end(ap);
    return err_momentary(e);
}

bool files_info_u64(const char *info, const char *name, int base, uint64_t *value)
{
    size_t size = strlen(name);

    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            *value = strtoull(line + size + 1, NULL, base);
            return true;
        }
    }
    return false;
}

int files_copy_fd(pid_t host_pid, int fd, struct err *e)
{
    auto_fd int pidfd = syscall(SYS_pidfd_open, host_pid, 0);
    int copy;

    if (pidfd < 0)
        return err_sys(e, "pidfd_open of process %d", host_pid);
    copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0)
        return err_sys(e, "pidfd_getfd of descriptor %d of process %d", fd, host_pid);
    return copy;
}

uint32_t files_open_flags(const struct image_file *file)
{
    /* Neither what makes or empties a file nor __O_TMPFILE, which fdinfo shows. */
    return file->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC |
                          O_DIRECT | O_NOATIME | O_LARGEFILE | O_ASYNC);
}

int files_reopen(int fd, uint32_t flags, struct err *e)
{
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC | O_NOCTTY);
    if (again < 0)
        return err_sys(e, "open %s again", path);
    return again;
}

int files_pool_put(struct files_restore *r, uint32_t index, int *fd, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    uint32_t settable = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME;
    auto_fd int mine = take_fd(fd);
    int now = fcntl(mine, F_GETFL);

    if (now < 0)
        return err_sys(e, "flags of a restored descriptor");
    if ((now & settable) != (file->flags & settable) &&
        fcntl(mine, F_SETFL, file->flags & settable) < 0)
        return err_sys(e, "set flags %#o", file->flags);
    if (file->owner_signal && fcntl(mine, F_SETSIG, file->owner_signal) < 0)
        return err_sys(e, "set signal %d of a descriptor", file->owner_signal);
    if (mine < r->first_fd && io_move_fd(&mine, r->first_fd, e) < 0)
        return -1;
    r->pool[index] = take_fd(&mine);
    return 0;
}

const char *files_describe(const struct image *img, uint32_t index, char out[64])
{
    for (uint32_t i = 0; i < img->n_processes; i++) {
        const struct image_process *p = &img->processes[i];

        for (uint32_t k = 0; k < p->n_fds; k++)
            if (p->fds[k].file == index) {
                snprintf(out, 64, "process %d descriptor %d", p->pid, p->fds[k].fd);
                return out;
            }
    }
    snprintf(out, 64, "file %u of the image", index);
    return out;
}

int files_keep_path(struct image_file *file, const char *path, struct err *e)
{
    file->path = strdup(path);
    return file->path ? 0 : err_sys(e, "%s", path);
}

int files_check_path(const struct image_file *file, struct err *e)
{
    if (!file->path || file->path[0] != '/')
        return err_set(e, ERR_CORRUPT, "an open file without a path");
    return 0;
}

bool files_is_late(const struct image_file *file)
{
    return strncmp(file->path, "/proc/", 6) == 0 && file->path[6] >= '0' &&
           file->path[6] <= '9';
}

int files_install_late(const struct image_file *file, uint32_t extra_flags,
                       const struct image_fd *fd, struct err *e)
{
    auto_fd int opened =
        open(file->path, files_open_flags(file) | extra_flags | O_CLOEXEC);

    if (opened < 0 && errno == ENOENT && S_ISREG(file->mode)) {
        log_warning("%s, which the job had open, tells of a process that has ended: "
                    "/dev/null takes its place",
                    file->path);
        opened = open("/dev/null", O_RDWR | O_CLOEXEC);
    }
    if (opened < 0)
        return err_sys(e, "open %s again", file->path);
    if (file->pos && lseek(opened, file->pos, SEEK_SET) < 0)
        return err_sys(e, "position of %s", file->path);
    if (opened == fd->fd) {
        take_fd(&opened);
        return fcntl(fd->fd, F_SETFD, fd->cloexec ? FD_CLOEXEC : 0);
    }
    if (dup3(opened, fd->fd, fd->cloexec ? O_CLOEXEC : 0) < 0)
        return err_sys(e, "put %s in place", file->path);
    return 0;
}

void files_make_parents(const char *path)
{
    char part[PATH_MAX];

    for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
        mkdir(part, 0700); /* what is missing afterwards shows when the file is made */
    }
}
