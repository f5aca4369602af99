/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/guard.h"

#include "base/err.h"
#include "base/scope.h"
#include "dmtcp/hello.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than some headers that we are built with. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP /* Linux 6.6 */
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

enum {
    SHORT_NAME = sizeof("DMT:SUSPEND"),
    LONG_NAME = sizeof("DMT:WriteCkpt"),
    X32_CALLS = 0x40000000, /* the x32 ABI has x86-64's architecture number */
    SIZE_MAX_KERNEL = 512,  /* of what a kernel to come may make of its structures */
};
_Static_assert(sizeof("DMT:Restart") == SHORT_NAME, "one length for both short names");

/* A structure that a newer kernel may have made longer: it copies all of its own. */
union notif {
    struct seccomp_notif n;
    char room[SIZE_MAX_KERNEL];
};
union response {
    struct seccomp_notif_resp r;
    char room[SIZE_MAX_KERNEL];
};

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offset))
#define IF_EQUAL(value, then, otherwise) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

/* The count of read and write is 64 bits in two halves, the low one first. */
static const struct sock_filter program[] = {
    /*  0 */ LOAD(offsetof(struct seccomp_data, arch)),
    /*  1 */ IF_EQUAL(AUDIT_ARCH_X86_64, 0, 14),
    /*  2 */ LOAD(offsetof(struct seccomp_data, nr)),
    /*  3 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 12, 0),
    /*  4 */ IF_EQUAL(SYS_accept, 10, 0),
    /*  5 */ IF_EQUAL(SYS_accept4, 9, 0),
    /*  6 */ IF_EQUAL(SYS_write, 3, 0),
    /*  7 */ IF_EQUAL(SYS_read, 0, 8),
    /*  8 */ LOAD(offsetof(struct seccomp_data, args[2])),
    /*  9 */ IF_EQUAL(HELLO_SIZE, 3, 6),
    /* 10 */ LOAD(offsetof(struct seccomp_data, args[2])),
    /* 11 */ IF_EQUAL(SHORT_NAME, 1, 0),
    /* 12 */ IF_EQUAL(LONG_NAME, 0, 3),
    /* 13 */ LOAD(offsetof(struct seccomp_data, args[2]) + 4),
    /* 14 */ IF_EQUAL(0, 0, 1),
    /* 15 */ RETURN(SECCOMP_RET_USER_NOTIF),
    /* 16 */ RETURN(SECCOMP_RET_ALLOW),
};

static long seccomp(unsigned operation, unsigned flags, void *args)
{
    return syscall(SYS_seccomp, operation, flags, args);
}

int guard_check(struct err *e)
{
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    struct seccomp_notif_sizes sizes;

    if (seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ||
        seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: seccomp user "
                       "notification is missing (%s); Linux 5.9 with "
                       "CONFIG_SECCOMP_FILTER is needed, and a container that allows "
                       "the system call seccomp",
                       strerror(errno));
    if (sizes.seccomp_notif > SIZE_MAX_KERNEL ||
        sizes.seccomp_notif_resp > SIZE_MAX_KERNEL)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: this kernel's "
                       "seccomp notifications have %u bytes, more than qckpt knows",
                       (unsigned)sizes.seccomp_notif);
    return 0;
}

int guard_install(void)
{
    struct sock_fprog filter = {sizeof(program) / sizeof(program[0]),
                                (struct sock_filter *)program};
    long fd;

    /* Without it only root may set a filter. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* A call that was taken up is then interrupted by death only, not restarted and
     * asked again after each signal. */
    fd = seccomp(SECCOMP_SET_MODE_FILTER,
                 SECCOMP_FILTER_FLAG_NEW_LISTENER |
                     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                 &filter);
    if (fd < 0 && errno == EINVAL)
        fd =
            seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    return fd < 0 ? -errno : (int)fd;
}

/* What the kernel says to adding a descriptor to a call that does not exist: ENOENT
 * when it can, EINVAL when it does not know the request. */
static bool knows_addfd(int listener)
{
    struct seccomp_notif_addfd add = {.srcfd = listener};

    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 && errno == ENOENT;
}

int guard_prepare(int listener)
{
    if (!knows_addfd(listener))
        return -EINVAL;
    /* Both sides take turns: wake the other on this CPU. Kernels before 6.6 do not
     * know it, and are a little slower. */
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    return 0;
}

/* Which barrier the coordinator is about to write; a failure to read is no barrier. */
static enum guard_barrier read_barrier(pid_t pid, const struct seccomp_data *data)
{
    char name[LONG_NAME] = {0};
    struct iovec to = {name, data->args[2]};
    struct iovec from = {(void *)(uintptr_t)data->args[1], data->args[2]};

    if (data->args[2] > sizeof(name) ||
        process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)data->args[2])
        return BARRIER_NONE;
    if (memcmp(name, "DMT:WriteCkpt", sizeof("DMT:WriteCkpt")) == 0)
        return BARRIER_WRITTEN;
    if (memcmp(name, "DMT:Restart", sizeof("DMT:Restart")) == 0)
        return BARRIER_RESTART;
    if (memcmp(name, "DMT:SUSPEND", sizeof("DMT:SUSPEND")) == 0)
        return BARRIER_SUSPEND;
    return BARRIER_NONE;
}

void guard_receive(int listener, struct guard_call *call)
{
    union notif got = {0};
    const struct seccomp_data *data = &got.n.data;

    *call = (struct guard_call){.kind = GUARD_NONE};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &got) < 0)
        return;
    call->id = got.n.id;
    call->pid = got.n.pid;
    call->kind = GUARD_OTHER;
    if (data->nr == SYS_accept || data->nr == SYS_accept4) {
        call->kind = GUARD_ACCEPT;
        call->address = data->args[1];
        call->length = data->args[2];
        call->flags = data->nr == SYS_accept4 ? (int)data->args[3] : 0;
        return;
    }
    if (data->nr == SYS_read) {
        call->kind = GUARD_READ;
        call->fd = (int)data->args[0];
        call->address = data->args[1];
        call->length = data->args[2];
        return;
    }
    call->barrier = read_barrier(call->pid, data);
    if (call->barrier != BARRIER_NONE)
        call->kind = GUARD_BARRIER;
    /* What was read is the caller's only if it still waits: a pid may be used again. */
    if (!guard_waits(listener, call->id))
        call->kind = GUARD_NONE;
}

bool guard_waits(int listener, uint64_t id)
{
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static int answer(int listener, uint64_t id, int64_t value, int code, uint32_t flags)
{
    union response response = {
        .r = {.id = id, .val = value, .error = -code, .flags = flags}};

    return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int guard_continue(int listener, uint64_t id)
{
    return answer(listener, id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

int guard_fail(int listener, uint64_t id, int code)
{
    return answer(listener, id, 0, code, 0);
}

/* As accept(2) does: cut off at the given length, which becomes the true one. */
static int write_name(const struct guard_call *call, const struct sockaddr_in *peer)
{
    socklen_t room = 0, size = sizeof(*peer);
    struct iovec length = {&room, sizeof(room)}, name = {(void *)peer, size};
    struct iovec at_length = {(void *)(uintptr_t)call->length, sizeof(room)};
    struct iovec at_name = {(void *)(uintptr_t)call->address, size};

    if (call->address == 0)
        return 0;
    if (process_vm_readv(call->pid, &length, 1, &at_length, 1, 0) != sizeof(room))
        return -1;
    if (room < size)
        name.iov_len = at_name.iov_len = room;
    length.iov_base = &size;
    if (process_vm_writev(call->pid, &name, 1, &at_name, 1, 0) !=
            (ssize_t)name.iov_len ||
        process_vm_writev(call->pid, &length, 1, &at_length, 1, 0) != sizeof(size))
        return -1;
    return 0;
}

int guard_give(int listener, const struct guard_call *call, int *fd,
               const struct sockaddr_in *peer, int *theirs)
{
    struct seccomp_notif_addfd add = {.id = call->id,
                                      .srcfd = *fd,
                                      .newfd_flags =
                                          call->flags & SOCK_CLOEXEC ? O_CLOEXEC : 0};
    int given;

    if (!guard_waits(listener, call->id))
        return -1;
    if (write_name(call, peer) < 0)
        return guard_fail(listener, call->id, EFAULT);
    if (call->flags & SOCK_NONBLOCK)
        fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
    given = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    /* Its table of descriptors is full, say: it must hear of it. */
    if (given < 0)
        return errno == ENOENT ? -1 : guard_fail(listener, call->id, errno);
    /* While we hold it too, a close(2) of the coordinator's leaves it in its epoll(7)
     * set: of a process that ends at once it would hear twice, and free it twice
     * (4.2). So not SECCOMP_ADDFD_FLAG_SEND, which lets it run before we can close. */
    close(take_fd(fd));
    *theirs = given;
    return answer(listener, call->id, given, 0, 0);
}

int guard_fill(int listener, const struct guard_call *call, const void *data)
{
    struct iovec from = {(void *)data, call->length};
    struct iovec to = {(void *)(uintptr_t)call->address, call->length};

    if (!guard_waits(listener, call->id))
        return -1;
    if (process_vm_writev(call->pid, &from, 1, &to, 1, 0) != (ssize_t)call->length)
        return guard_fail(listener, call->id, EFAULT);
    return answer(listener, call->id, (int64_t)call->length, 0, 0);
}
