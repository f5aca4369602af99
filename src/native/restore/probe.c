/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether jobs can be saved and restarted on this host: found out by doing the decisive
 * steps for real, in a child that ends afterwards. What forbids a step is looked up
 * only when it has failed, so that a host is never refused because of a setting alone.
 */
#include "native/native.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "native/restore/namespaces.h"
#include "native/restore/report.h"
#include "native/restore/spawn_pid.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { PROBE_PID = 4711, PROBE_TIMEOUT_MS = 10000, SETTING_MAX = 64 };

/* ---- what forbids it ---- */

/* The value of a sysctl as a number; `absent` when it does not exist. */
static long setting(const char *path, long absent)
{
    struct err ignored = {0};
    auto_free char *text = NULL;

    if (io_read_file(AT_FDCWD, path, SETTING_MAX, &text, NULL, &ignored) < 0)
        return absent;
    return strtol(text, NULL, 10);
}

static bool under_seccomp(void)
{
    struct err ignored = {0};
    auto_free char *text = NULL;
    const char *line;

    if (io_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &text, NULL, &ignored) < 0)
        return false;
    line = strstr(text, "\nSeccomp:\t");
    return line && line[strlen("\nSeccomp:\t")] == '2';
}

static int because(struct err *e, const char *cure)
{
    char first[sizeof(e->text)];

    memcpy(first, e->text, sizeof(first));
    return err_set(e, ERR_REFUSED, "%.400s; %s", first, cure);
}

static int apparmor(struct err *e)
{
    char first[sizeof(e->text)], exe[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (n < 0)
        strncpy(exe, "/usr/local/bin/qckpt", sizeof(exe) - 1);
    memcpy(first, e->text, sizeof(first));
    return err_set(
        e, ERR_REFUSED,
        "%.300s; AppArmor restricts user namespaces "
        "(kernel.apparmor_restrict_unprivileged_userns=1): write \"abi "
        "<abi/4.0>, profile qckpt %.300s flags=(unconfined) { userns, }\" to "
        "/etc/apparmor.d/qckpt and reload AppArmor",
        first, exe);
}

static int explain_namespaces(int code, struct err *e)
{
    if (setting("/proc/sys/user/max_user_namespaces", 1) == 0 || code == ENOSPC)
        return because(e, "raise the limit with sysctl user.max_user_namespaces=10000");
    if (setting("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
        return because(e, "allow it with sysctl kernel.unprivileged_userns_clone=1");
    if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
        return apparmor(e);
    if (under_seccomp())
        return because(e, "a seccomp filter is in force, as in a container: let it "
                          "allow clone with CLONE_NEWUSER, clone3, mount and unshare");
    if (code == EINVAL || code == ENOSYS)
        return because(e, "the kernel was built without these namespaces (needed: "
                          "CONFIG_USER_NS, CONFIG_PID_NS)");
    return because(e, "user namespaces seem to be forbidden here (a security module, a "
                      "chroot or a container)");
}

static int explain_ptrace(struct err *e)
{
    long scope = setting("/proc/sys/kernel/yama/ptrace_scope", 0);

    if (scope >= 2)
        return because(e,
                       "tracing one's own processes is forbidden: sysctl "
                       "kernel.yama.ptrace_scope=1 allows what is needed (3 can only "
                       "be left by a reboot)");
    return because(e, "tracing seems to be forbidden here (a security module or a "
                      "container's seccomp filter)");
}

/* ---- the steps ---- */

/* In a process made below init, where the clocks have been moved. */
static _Noreturn void probe_pid(int fd)
{
    struct err e = {0};

    if (getpid() == PROBE_PID)
        report_send(fd, REPORT_READY, NULL);
    else
        err_set(&e, ERR_FAILED, "a process got pid %d instead of %d", getpid(),
                PROBE_PID);
    if (e.kind)
        report_send(fd, REPORT_FAILED, &e);
    for (;;)
        pause();
}

static int enter(const struct namespaces *ns, struct err *e)
{
    struct timespec t;
    bool supported;

    clock_gettime(CLOCK_MONOTONIC, &t);
    /* A kernel without time namespaces will do in most cases: see init.c. */
    if (namespaces_enter(ns, e) < 0)
        return -1;
    return namespaces_set_clocks((uint64_t)(t.tv_sec + 1000) * 1000000000,
                                 (uint64_t)(t.tv_sec + 1000) * 1000000000, &supported,
                                 e);
}

static _Noreturn void probe_init(const struct namespaces *ns, int fd)
{
    _Atomic uint32_t lock = 0;
    struct err e = {0};

    spawn_block_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (enter(ns, &e) < 0) {
        report_send(fd, REPORT_FAILED, &e);
    } else {
        pid_t pid = spawn_pid(PROBE_PID, SIGCHLD, &lock, &e);

        if (pid == 0)
            probe_pid(fd);
        if (pid < 0)
            report_send(fd, REPORT_FAILED, &e);
    }
    for (;;)
        pause();
}

static int probe_trace(pid_t pid, struct err *e)
{
    int status;

    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) {
        err_sys(e, "trace a process");
        return explain_ptrace(e);
    }
    while (waitpid(pid, &status, __WALL) < 0)
        if (errno != EINTR)
            return err_sys(e, "wait for a traced process");
    return ptrace(PTRACE_DETACH, pid, 0, 0) < 0 ? err_sys(e, "stop tracing") : 0;
}

static int hear(int fd, struct err *e)
{
    struct report r;
    pid_t sender;

    if (report_receive(fd, PROBE_TIMEOUT_MS, &r, &sender, e) < 0)
        return -1;
    if (r.kind == REPORT_READY)
        return probe_trace(sender, e);
    *e = r.err;
    return explain_namespaces(e->sys, e);
}

static int probe_namespaces(struct err *e)
{
    auto_fd int receiver = -1, sender = -1;
    struct namespaces ns;
    pid_t init;
    int rc;

    namespaces_prepare(&ns);
    if (report_pair(&receiver, &sender, e) < 0)
        return -1;
    init = namespaces_clone(&ns, e);
    if (init < 0)
        return explain_namespaces(e->sys, e);
    if (init == 0)
        probe_init(&ns, sender);
    close(take_fd(&sender));
    rc = hear(receiver, e);
    kill(init, SIGKILL);
    while (waitpid(init, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return rc;
}

int native_probe(struct err *e)
{
    auto_fd int receiver = -1, sender = -1;
    struct report r;
    pid_t child, from;
    int rc;

    if (report_pair(&receiver, &sender, e) < 0)
        return -1;
    child = fork();
    if (child < 0)
        return err_sys(e, "fork");
    if (child == 0) {
        struct err mine = {0};

        rc = probe_namespaces(&mine);
        report_send(sender, rc < 0 ? REPORT_FAILED : REPORT_READY, &mine);
        _exit(0);
    }
    close(take_fd(&sender));
    rc = report_receive(receiver, 2 * PROBE_TIMEOUT_MS, &r, &from, e);
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (rc < 0 || r.kind == REPORT_READY)
        return rc;
    *e = r.err;
    return -1;
}
