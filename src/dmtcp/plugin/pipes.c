/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plugin of DMTCP for every job: a library that dmtcp_launch loads into each of its
 * processes (--with-plugin), before its own libraries.
 *
 * Under DMTCP (3.2, 4.2) a pipe is a pair of sockets. At a checkpoint one of the
 * processes that have an end open, its leader, takes out what is in it. It is put back
 * by way of the other end; when nobody has that open any more, because the writer has
 * ended, the leader instead gets a new socket, which holds what was taken out, in place
 * of the old one. The others keep the old one, and find it empty: as the job goes on
 * after the checkpoint, what the writer had left is lost for them. That is all that
 * `producer | while read line; do program; done` has still to read, when it is the
 * program that is chosen as the leader. A restart is right: all get the new socket.
 *
 * So a leader gives DMTCP a copy of such an end to empty: a socket of its own with the
 * same in it, at the same descriptors, from the time when all leaders are known until
 * all ends are empty. Then the end itself, untouched, is put back there.
 *
 * The same is done with both ends of a connection that one side has shut for sending
 * (shutdown(2), sockets of the unix domain only). DMTCP takes it for one whose writer
 * has ended, and breaks it; and the other side, which does not send anything back, may
 * read what it sent to find out where the contents end.
 *
 * The names of these two moments are those of barriers, the same in 3.0 to 4.2.
 *
 * System calls are made by syscall(2): a program may have a function of its own that is
 * called send or recv, and then that is what this library would call.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char leaders_are_known[] = "Socket::Ckpt_Register_Peer_Info";
static const char ends_are_empty[] = "Socket::Drain";

enum {
    MAX_KEPT = 1 << 16, /* pages of the table that are not used are not there */
    SPARE = 2,          /* descriptors that DMTCP needs while it empties the ends */
    LARGE = 64 << 10    /* a smaller message always finds room in a new socket */
};

struct kept {
    int fd;  /* where the job has it */
    int own; /* where it is meanwhile; -1: not changed */
    int fd_flags;
    bool is_again; /* of an end that an earlier one is of, whose own it has */
    ino_t inode;
};

static struct kept *kept;
static size_t n_kept;
static struct rlimit files; /* the job's, while it is not in force */

/* From its plugin interface, dmtcp.h. */
void *dmtcp_dlsym(void *handle, const char *symbol) __attribute__((weak));
void dmtcp_global_barrier(const char *name);
void dmtcp_local_barrier(const char *name);

/* DMTCP's, by which it says and asks who is the leader; pids in it are the job's. */
int owner_fcntl(int fd, int command, ...) __asm__("fcntl");

/* The C library's: DMTCP's own closes what the job has opened. */
int __close(int fd);

static void *next(const char *name)
{
    return dmtcp_dlsym ? dmtcp_dlsym(RTLD_NEXT, name) : dlsym(RTLD_NEXT, name);
}

/* ---- which ends ---- */

static int option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return syscall(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &size) < 0 ? -1
                                                                            : value;
}

/* DMTCP's syscall(2) would call the program's own of this name. */
static int set_option(int fd, int name, int value)
{
    static int (*real)(int, int, int, const void *, socklen_t);

    if (!real)
        real = (int (*)(int, int, int, const void *, socklen_t))next("setsockopt");
    return real(fd, SOL_SOCKET, name, &value, sizeof(value));
}

static long send_now(int fd, const char *data, size_t size)
{
    return syscall(SYS_sendto, fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

/* To send nothing does nothing, but fails where sending is shut. */
static bool is_shut_for_sending(int fd)
{
    return send_now(fd, "", 0) < 0 && errno == EPIPE;
}

/* Does DMTCP lose something of this one? */
static bool is_at_risk(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    struct timespec at_once = {0};
    int bytes = 0;

    if (option(fd, SO_DOMAIN) != AF_UNIX || option(fd, SO_TYPE) != SOCK_STREAM ||
        syscall(SYS_ppoll, &end, 1, &at_once, NULL, 0) < 0)
        return false;
    if (end.revents & POLLHUP)
        return syscall(SYS_ioctl, fd, FIONREAD, &bytes) == 0 && bytes > 0;
    return (end.revents & POLLRDHUP) || is_shut_for_sending(fd);
}

static void keep_if_we_lead(int fd)
{
    struct stat st;

    if (n_kept < MAX_KEPT && is_at_risk(fd) && owner_fcntl(fd, F_GETOWN) == getpid() &&
        syscall(SYS_fstat, fd, &st) == 0)
        kept[n_kept++] = (struct kept){.fd = fd, .own = -1, .inode = st.st_ino};
}

/* What getdents64(2) returns; readdir(3) would allocate. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static void find_ends(void)
{
    _Alignas(struct entry) char buffer[4096];
    int dir = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long size;

    if (dir < 0)
        return;
    while ((size = syscall(SYS_getdents64, dir, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < size;) {
            const struct entry *entry = (const struct entry *)(buffer + at);

            if (entry->name[0] != '.')
                keep_if_we_lead((int)strtol(entry->name, NULL, 10));
            at += entry->size;
        }
    }
    __close(dir);
}

/* ---- room ---- */

/*
 * The kernel lets a write begin while less than the size of the buffer is taken, and
 * takes half of that size at most at once, so that a socket may hold one and a half of
 * it. All of it in one write need not fit into another of the same size: the rest waits
 * for a reader. The kernel doubles what is asked for.
 */
static void make_room(int fd, size_t size)
{
    int room = option(fd, SO_SNDBUF);

    if (room >= 0 && size <= INT_MAX && size >= (size_t)room / 4 * 3)
        set_option(fd, SO_SNDBUF, (int)size);
}

/* dmtcp::Util::writeAll, by which DMTCP fills the new socket while nobody reads it, at
 * a checkpoint and at a restart. Other sockets it gives the room themselves. */
ssize_t write_all(int fd, const void *data,
                  size_t size) __asm__("_ZN5dmtcp4Util8writeAllEiPKvm");

__attribute__((visibility("default"))) ssize_t write_all(int fd, const void *data,
                                                         size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);

    if (!real)
        real = (ssize_t(*)(int, const void *, size_t))next(
            "_ZN5dmtcp4Util8writeAllEiPKvm");
    if (size >= LARGE && option(fd, SO_DOMAIN) == AF_UNIX)
        make_room(fd, size);
    return real(fd, data, size);
}

/* ---- the copy ---- */

static void *map(size_t size)
{
    long at = syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return at == -1 ? NULL : (void *)at;
}

/* A peek ends where descriptors are attached to the bytes, or another's credentials:
 * the next one begins there. */
static bool peek_all(int fd, char *data, int size)
{
    int jobs = option(fd, SO_PEEK_OFF), done = 0;
    long n = 1;

    if (set_option(fd, SO_PEEK_OFF, 0) < 0)
        return false;
    while (done < size && n > 0) {
        n = syscall(SYS_recvfrom, fd, data + done, (size_t)(size - done),
                    MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
        done += n > 0 ? (int)n : 0;
    }
    set_option(fd, SO_PEEK_OFF, jobs);
    return done == size;
}

/* All or nothing: with a part of it a restart would lose the rest. */
static bool copy_contents(int from, int to)
{
    int size = 0;
    char *data;
    bool done;

    if (syscall(SYS_ioctl, from, FIONREAD, &size) < 0 || size < 0)
        return false;
    if (size == 0)
        return true;
    data = map((size_t)size);
    if (!data)
        return false;
    make_room(to, (size_t)size);
    done = peek_all(from, data, size) && send_now(to, data, (size_t)size) == size;
    syscall(SYS_munmap, data, (size_t)size);
    return done;
}

/* A copy of the end, which we lead and nobody has the other end of, or -1. */
static int copy_end(int fd)
{
    int pair[2];
    bool done;

    if (syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    done = copy_contents(fd, pair[1]) && owner_fcntl(pair[0], F_SETOWN, getpid()) == 0;
    __close(pair[1]);
    if (done)
        return pair[0];
    __close(pair[0]);
    return -1;
}

static const struct kept *earlier_of_same_end(const struct kept *k)
{
    for (const struct kept *other = kept; other < k; other++)
        if (other->inode == k->inode)
            return other;
    return NULL;
}

static void set(int from, const struct kept *k, int flags)
{
    syscall(SYS_dup3, from, k->fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
}

static void replace(struct kept *k)
{
    const struct kept *earlier = earlier_of_same_end(k);
    int copy;

    k->fd_flags = (int)syscall(SYS_fcntl, k->fd, F_GETFD);
    if (earlier) {
        k->is_again = true;
        k->own = earlier->own;
        if (k->own >= 0)
            set(earlier->fd, k, FD_CLOEXEC);
        return;
    }
    copy = copy_end(k->fd);
    if (copy < 0)
        return;
    k->own = (int)syscall(SYS_fcntl, k->fd, F_DUPFD_CLOEXEC, 0);
    if (k->own >= 0)
        set(copy, k, FD_CLOEXEC);
    __close(copy);
}

/* ---- descriptors ---- */

/* The job may have used up all that it may have; as a rule it may have more when it
 * asks. From the one moment to the other it has them. */
static void allow_more_files(void)
{
    struct rlimit most;

    if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files) < 0)
        return;
    most = (struct rlimit){files.rlim_max, files.rlim_max};
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &most, NULL);
}

/* Without these DMTCP fails, and the job with it: so many are left when all is done. */
static bool take_spare(int spare[SPARE])
{
    for (int i = 0; i < SPARE; i++)
        spare[i] = (int)syscall(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC);
    return spare[SPARE - 1] >= 0;
}

static void release_spare(const int spare[SPARE])
{
    for (int i = 0; i < SPARE; i++)
        if (spare[i] >= 0)
            __close(spare[i]);
}

/* ---- the two moments ---- */

static void give_copies(void)
{
    int spare[SPARE];

    kept = map(MAX_KEPT * sizeof(*kept));
    if (!kept)
        return;
    n_kept = 0;
    allow_more_files();
    if (take_spare(spare)) {
        find_ends();
        for (size_t i = 0; i < n_kept; i++)
            replace(&kept[i]);
    }
    release_spare(spare);
}

static void put_back(void)
{
    if (!kept)
        return;
    while (n_kept > 0) {
        const struct kept *k = &kept[--n_kept];

        if (k->own < 0)
            continue;
        set(k->own, k, k->fd_flags);
        if (!k->is_again)
            __close(k->own);
    }
    if (files.rlim_max > 0)
        syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, NULL);
    syscall(SYS_munmap, kept, MAX_KEPT * sizeof(*kept));
    kept = NULL;
}

/* Each of the names is that of one kind of barrier; but our plugin for several hosts
 * makes a global one of each. */
__attribute__((visibility("default"))) void dmtcp_global_barrier(const char *name)
{
    static void (*real)(const char *);

    if (!real)
        real = (void (*)(const char *))next("dmtcp_global_barrier");
    if (strcmp(name, ends_are_empty) == 0)
        put_back();
    real(name);
    if (strcmp(name, leaders_are_known) == 0)
        give_copies();
}

__attribute__((visibility("default"))) void dmtcp_local_barrier(const char *name)
{
    static void (*real)(const char *);

    if (!real)
        real = (void (*)(const char *))next("dmtcp_local_barrier");
    if (strcmp(name, ends_are_empty) == 0)
        put_back();
    real(name);
}
