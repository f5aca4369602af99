/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/coordinator.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/spawn.h"
#include "dmtcp/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* How far the child came; the last thing that it says is where it failed. */
enum stage { STAGE_PREPARE, STAGE_GUARD, STAGE_GUARDED, STAGE_EXECUTE };

struct news {
    enum stage stage;
    int code; /* an errno */
};

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

/* Tells the parent; `fd` goes along unless it is -1. sendmsg: write would ask the door,
 * which is waiting for this. */
static int tell(int to, enum stage stage, int code, int fd)
{
    struct news news = {stage, code};
    struct iovec data = {&news, sizeof(news)};
    union control control = {0};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

    if (fd >= 0) {
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    return sendmsg(to, &message, MSG_NOSIGNAL) == sizeof(news) ? 0 : -1;
}

/* 1: news; 0: the child has executed the program; -1: errno. */
static int hear(int from, struct news *news, int *fd)
{
    struct iovec data = {news, sizeof(*news)};
    union control control = {0};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *header;
    ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);

    if (n <= 0)
        return n;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof(*fd));
    if (n == sizeof(*news))
        return 1;
    errno = EPROTO;
    return -1;
}

/* exec gives handlers up, but keeps what is ignored and what is blocked. A warning to
 * the job must not end the coordinator, and with it the job. A process of the job may
 * end at the moment when the coordinator writes to it: DMTCP does not look whether such
 * a write fails, and would be ended by the signal. */
static void set_signals(void)
{
    sigset_t mask;

    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, signal_number == SIGPIPE ? SIG_IGN : SIG_DFL);
    spawn_helper_mask(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* The child. Descriptors 0 and 1 are /dev/null; to its output it writes a prompt for
 * each thing that happens. Everything else that is open is close-on-exec. */
static _Noreturn void become(const struct coordinator_how *how, pid_t parent, int to)
{
    int guard;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    set_signals();
    if (dup2(how->log, 2) < 0 || dup2(how->listener, COORDINATOR_SOCKET) < 0) {
        tell(to, STAGE_PREPARE, errno, -1);
        _exit(1);
    }
    guard = guard_install();
    if (guard < 0) {
        tell(to, STAGE_GUARD, -guard, -1);
        _exit(1);
    }
    if (tell(to, STAGE_GUARDED, 0, guard) < 0)
        _exit(1);
    execve(how->program, how->argv, how->envp);
    tell(to, STAGE_EXECUTE, errno, -1);
    _exit(1);
}

static int explain(const struct coordinator_how *how, const struct news *news,
                   struct err *e)
{
    if (news->stage == STAGE_EXECUTE)
        return err_code(e, news->code, "execute %s", how->program);
    if (news->stage == STAGE_PREPARE)
        return err_code(e, news->code, "descriptors of DMTCP's coordinator");
    if (news->code == EBUSY)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: everything runs "
                       "under another seccomp listener, as in some containers, and "
                       "the kernel allows one");
    return err_set(e, ERR_REFUSED,
                   "DMTCP's coordinator cannot be guarded here: the kernel does not "
                   "set a seccomp filter with a listener (%s); Linux 5.9 with "
                   "CONFIG_SECCOMP_FILTER is needed",
                   strerror(news->code));
}

/* Hears the child out until it has executed the program. */
static int await_exec(const struct coordinator_how *how, int from,
                      struct coordinator *c, struct err *e)
{
    for (;;) {
        struct news news;
        int n = hear(from, &news, &c->listener);

        if (n < 0)
            return err_sys(e, "hear from DMTCP's coordinator");
        if (n == 0 && c->listener < 0)
            return err_set(e, ERR_FAILED, "%s was killed before it had started",
                           how->program);
        if (n == 0)
            return 0;
        if (news.stage != STAGE_GUARDED)
            return explain(how, &news, e);
    }
}

/* That what the door will need is allowed, before anything depends on it. */
static int prove(struct coordinator *c, struct err *e)
{
    char byte;
    struct iovec to = {&byte, 1}, from = {NULL, 1};
    int code;

    /* Address 0 cannot be read, but is only looked at once reading is allowed. One that
     * has ended already (ESRCH) is told of as such. */
    if (process_vm_readv(c->pid, &to, 1, &from, 1, 0) < 0 && errno != EFAULT &&
        errno != ESRCH)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: a process may not "
                       "read its own child's memory (%s); "
                       "/proc/sys/kernel/yama/ptrace_scope must be 0 or 1, and "
                       "dmtcp_coordinator readable",
                       strerror(errno));
    code = guard_prepare(c->listener);
    if (code < 0)
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: seccomp cannot add "
                       "descriptors (%s); Linux 5.9 is needed",
                       strerror(-code));
    return 0;
}

int coordinator_start(const struct coordinator_how *how, struct coordinator *c,
                      struct err *e)
{
    auto_fd int from = -1;
    int ends[2], failed;
    pid_t parent = getpid();

    *c = (struct coordinator){.pidfd = -1, .listener = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "socket pair for DMTCP's coordinator");
    from = ends[0];
    c->pid = fork();
    if (c->pid == 0)
        become(how, parent, ends[1]);
    close(ends[1]);
    if (c->pid < 0)
        return err_sys(e, "fork for DMTCP's coordinator");
    failed = await_exec(how, from, c, e);
    if (!failed) {
        c->pidfd = syscall(SYS_pidfd_open, c->pid, 0);
        failed = c->pidfd < 0 ? err_sys(e, "watch DMTCP's coordinator") : prove(c, e);
    }
    if (!failed)
        return 0;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    scope_close(&c->pidfd);
    scope_close(&c->listener);
    return -1;
}
