/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/spawn_pid.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A thread that was joined may keep its tid for some microseconds more. */
enum { BUSY_TRIES = 2000, BUSY_PAUSE_NS = 1000000 };

static void nap(long ns)
{
    struct timespec t = {.tv_nsec = ns};

    nanosleep(&t, NULL);
}

static long fork_with_set_tid(pid_t pid, int exit_signal)
{
    struct clone_args args = {
        .exit_signal = exit_signal,
        .set_tid = (uintptr_t)&pid,
        .set_tid_size = 1,
    };
    long r = -1;

    for (int i = 0; i < BUSY_TRIES; i++) {
        r = syscall(SYS_clone3, &args, sizeof(args));
        if (r >= 0 || errno != EEXIST)
            break;
        nap(BUSY_PAUSE_NS);
    }
    return r;
}

bool spawn_has_set_tid(void)
{
    static int known;

    if (!known) {
        /* A kernel that knows set_tid rejects more pids than namespaces by EINVAL,
         * after having accepted the size; an older one has ENOSYS or E2BIG. */
        pid_t pids[64] = {0};
        struct clone_args args = {.set_tid = (uintptr_t)pids, .set_tid_size = 64};

        known = syscall(SYS_clone3, &args, sizeof(args)) < 0 && errno == EINVAL ? 1 : 2;
        if (fault_fails("native.set-tid"))
            known = 2;
    }
    return known == 1;
}

static int write_last_pid(pid_t pid, struct err *e)
{
    auto_fd int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || dprintf(fd, "%d", pid - 1) < 0)
        return err_sys(e, "write /proc/sys/kernel/ns_last_pid");
    return 0;
}

static pid_t fork_after_last_pid(pid_t pid, int exit_signal, _Atomic uint32_t *lock,
                                 struct err *e)
{
    long r = -1;

    while (atomic_exchange(lock, 1))
        nap(BUSY_PAUSE_NS / 20);
    if (write_last_pid(pid, e) == 0) {
        r = syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
        if (r == 0)
            return 0; /* the parent unlocks */
        if (r < 0)
            err_sys(e, "fork");
        else if (r != pid)
            err_set(e, ERR_FAILED, "the kernel gave pid %ld instead of %d", r, pid);
    }
    atomic_store(lock, 0);
    return r == pid ? r : -1;
}

pid_t spawn_pid(pid_t pid, int exit_signal, _Atomic uint32_t *lock, struct err *e)
{
    long r;

    if (!spawn_has_set_tid())
        return fork_after_last_pid(pid, exit_signal, lock, e);
    r = fork_with_set_tid(pid, exit_signal);
    if (r < 0)
        return err_sys(e, "make a process with pid %d", pid);
    return r;
}

void spawn_block_signals(void)
{
    uint64_t all = ~0ull;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
}
