/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/files/recognise.h"

#include "base/err.h"
#include "base/scope.h"
#include "native/files/kind.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum {
    TTY_MAJOR = 4,
    TTY_AUX_MAJOR = 5,
    PTMX_MINOR = 2,
    PTY_SLAVE_FIRST = 136,
    PTY_SLAVE_LAST = 143,
    MQUEUE_FS_MAGIC = 0x19800202,
    NS_FS_MAGIC = 0x6e736673,
    HUGETLB_FS_MAGIC = 0x958458f6,
};

/* Kernel objects without a name, as their link calls them; kind 0: cannot be saved. */
static const struct anon {
    const char *name;
    uint32_t kind;
    const char *why;
} anons[] = {
    {"[eventfd]", IMAGE_FILE_EVENTFD, NULL},
    {"[eventpoll]", IMAGE_FILE_EPOLL, NULL},
    {"[timerfd]", IMAGE_FILE_TIMERFD, NULL},
    {"[signalfd]", IMAGE_FILE_SIGNALFD, NULL},
    {"inotify", 0,
     "an inotify instance: what it watches cannot be read from outside; let the "
     "program poll instead (for example tail --disable-inotify)"},
    {"[fanotify]", 0, "a fanotify group: it needs privileges that a restart lacks"},
    {"[io_uring]", 0,
     "an io_uring: requests in it cannot be read from outside; turn io_uring off in "
     "the program (for example UV_USE_IO_URING=0) or with kernel.io_uring_disabled"},
    {"[perf_event]", 0, "a performance counter; run the job without the profiler"},
    {"[userfaultfd]", 0, "a userfaultfd: memory that the program fills on demand"},
    {"[pidfd]", 0, "a pidfd: it names a process by other means than its number"},
    {"bpf-prog", 0, "a BPF program; it belongs to the host, not to the job"},
    {"bpf-map", 0, "a BPF map; it belongs to the host, not to the job"},
    {"[landlock-ruleset]", 0, "a landlock rule set"},
    {"seccomp notify", 0, "a seccomp supervisor's descriptor"},
};

static bool is_pty_slave(const struct stat *st)
{
    unsigned number = major(st->st_rdev);

    return S_ISCHR(st->st_mode) && number >= PTY_SLAVE_FIRST &&
           number <= PTY_SLAVE_LAST;
}

bool files_is_terminal(const struct stat *st)
{
    unsigned number = major(st->st_rdev);

    return is_pty_slave(st) ||
           (S_ISCHR(st->st_mode) && (number == TTY_MAJOR || number == TTY_AUX_MAJOR));
}

static int recognise_anon(const struct found *f, const char *name, uint32_t *kind,
                          struct err *e)
{
    for (size_t i = 0; i < sizeof(anons) / sizeof(anons[0]); i++) {
        if (strcmp(name, anons[i].name) != 0)
            continue;
        if (!anons[i].kind)
            return files_refuse(f, e, "%s", anons[i].why);
        *kind = anons[i].kind;
        return 0;
    }
    return files_refuse(f, e, "%s, an object of the kernel that cannot be saved",
                        f->link);
}

static int recognise_device(const struct found *f, uint32_t *kind, struct err *e)
{
    unsigned first = major(f->st.st_rdev), second = minor(f->st.st_rdev);

    *kind = IMAGE_FILE_DEVICE;
    if (first == TTY_AUX_MAJOR && second == PTMX_MINOR) {
        *kind = IMAGE_FILE_PTY_MASTER;
        return 0;
    }
    if (is_pty_slave(&f->st)) {
        *kind = IMAGE_FILE_PTY_SLAVE;
        return 0;
    }
    /* null, zero, full, random, urandom; the controlling terminal */
    if ((first == 1 && (second == 3 || second == 5 || (second >= 7 && second <= 9))) ||
        (first == TTY_AUX_MAJOR && second == 0))
        return 0;
    return files_refuse(f, e,
                        "%s, a device whose state is outside the job: close it before "
                        "the checkpoint, or run the job without it",
                        f->link);
}

static int recognise_socket(const struct found *f, uint32_t *kind, struct err *e)
{
    auto_fd int copy = files_copy_fd(f->host_pid, f->fd, e);
    int domain = 0, type = 0;
    socklen_t size = sizeof(domain);

    if (copy < 0)
        return -1;
    if (getsockopt(copy, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
    if (domain == AF_UNIX)
        *kind = IMAGE_FILE_UNIX;
    else if ((domain == AF_INET || domain == AF_INET6) &&
             (type == SOCK_STREAM || type == SOCK_DGRAM))
        *kind = IMAGE_FILE_INET;
    else if (domain == AF_NETLINK)
        *kind = IMAGE_FILE_NETLINK;
    else
        return files_refuse(f, e,
                            "a socket of address family %d, type %d; only unix, TCP, "
                            "UDP and netlink sockets can be saved",
                            domain, type);
    return 0;
}

static int recognise_regular(const struct found *f, uint32_t *kind, struct err *e)
{
    char path[64];
    struct statfs fs;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->host_pid, f->fd);
    if (statfs(path, &fs) < 0)
        return err_sys(e, "file system of descriptor %d of process %d", f->fd, f->pid);
    if (fs.f_type == MQUEUE_FS_MAGIC)
        return files_refuse(f, e, "%s, a POSIX message queue", f->link);
    if (fs.f_type == NS_FS_MAGIC)
        return files_refuse(f, e, "%s, a namespace", f->link);
    if (fs.f_type == HUGETLB_FS_MAGIC)
        return files_refuse(f, e,
                            "%s, a file of huge pages; run the job with transparent "
                            "huge pages instead",
                            f->link);
    *kind = IMAGE_FILE_REGULAR; /* or an object: see regular.c */
    return 0;
}

int files_recognise(const struct found *f, uint32_t *kind, struct err *e)
{
    static const char anon[] = "anon_inode:";

    if (strncmp(f->link, anon, sizeof(anon) - 1) == 0)
        return recognise_anon(f, f->link + sizeof(anon) - 1, kind, e);
    if (f->flags & O_PATH) {
        *kind = IMAGE_FILE_PATH;
        return 0;
    }
    switch (f->st.st_mode & S_IFMT) {
    case S_IFREG:
        return recognise_regular(f, kind, e);
    case S_IFDIR:
        *kind = IMAGE_FILE_DIRECTORY;
        return 0;
    case S_IFCHR:
        return recognise_device(f, kind, e);
    case S_IFIFO:
        *kind = strncmp(f->link, "pipe:[", 6) == 0 ? IMAGE_FILE_PIPE : IMAGE_FILE_FIFO;
        return 0;
    case S_IFSOCK:
        return recognise_socket(f, kind, e);
    default:
        return files_refuse(f, e,
                            "%s, which is no kind of file that can be saved: close it "
                            "before the checkpoint",
                            f->link);
    }
}
