/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/namespaces.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "place/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080 /* linux/sched.h, 5.6 */
#endif

enum { NS_PER_S = 1000000000 };

void namespaces_prepare(struct namespaces *ns)
{
    const uint64_t needed = 1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_PTRACE |
                            1ull << CAP_SYS_TIME | 1ull << CAP_SYS_RESOURCE |
                            1ull << CAP_SETPCAP;

    ns->uid = geteuid();
    ns->gid = getegid();
    ns->user = !mounts_has_capabilities(needed);
}

pid_t namespaces_clone(const struct namespaces *ns, struct err *e)
{
    unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | SIGCHLD;
    long pid;

    if (ns->user)
        flags |= CLONE_NEWUSER;
    /* Not fork(3): namespaces of its own, and the rest of a fork is not needed. */
    pid = syscall(SYS_clone, flags, 0, 0, 0, 0);
    if (pid < 0)
        return err_sys(e, ns->user ? "make a user namespace" : "make a pid namespace");
    return pid;
}

int namespaces_enter(const struct namespaces *ns, struct err *e)
{
    if (ns->user && mounts_map_ids(ns->uid, ns->gid, e) < 0)
        return -1;
    if (mounts_detach(e) < 0)
        return -1;
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return err_sys(e, "mount /proc in the new namespaces (parts of it may be "
                          "masked, as container runtimes do)");
    return 0;
}

/* ---- clocks ---- */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The offset that this process is under already: new ones replace it. */
static int64_t present_offset(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    long long s = 0, ns = 0;

    if (!at || sscanf(at + strlen(name), " %lld %lld", &s, &ns) != 2)
        return 0;
    return (int64_t)s * NS_PER_S + ns;
}

static int64_t offset_for(uint64_t wanted_ns, clockid_t clock, const char *present,
                          const char *name)
{
    return (int64_t)wanted_ns - clock_ns(clock) + present_offset(present, name);
}

static void split(int64_t ns, long long *s, long long *rest)
{
    *s = ns / NS_PER_S;
    *rest = ns % NS_PER_S;
    if (*rest < 0) {
        *rest += NS_PER_S;
        --*s;
    }
}

int namespaces_set_clocks(uint64_t monotonic_ns, uint64_t boottime_ns, bool *supported,
                          struct err *e)
{
    static const char path[] = "/proc/self/timens_offsets";
    auto_free char *present = NULL;
    long long ms, mns, bs, bns;
    char text[128];

    *supported = unshare(CLONE_NEWTIME) == 0;
    if (!*supported)
        return errno == EINVAL ? 0 : err_sys(e, "make a time namespace");
    if (io_read_file(AT_FDCWD, path, 4096, &present, NULL, e) < 0)
        return -1;
    split(offset_for(monotonic_ns, CLOCK_MONOTONIC, present, "monotonic"), &ms, &mns);
    split(offset_for(boottime_ns, CLOCK_BOOTTIME, present, "boottime"), &bs, &bns);
    snprintf(text, sizeof(text), "monotonic %lld %lld\nboottime %lld %lld\n", ms, mns,
             bs, bns);
    return io_write_text(path, text, e);
}

/* ---- pids ---- */

int namespaces_allow_pid(pid_t pid, struct err *e)
{
    static const char path[] = "/proc/sys/kernel/pid_max";
    auto_free char *text = NULL;
    struct err ignored = {0};
    char raised[32];
    long max;

    if (io_read_file(AT_FDCWD, path, 64, &text, NULL, e) < 0)
        return -1;
    max = strtol(text, NULL, 10);
    if (pid < max)
        return 0;
    snprintf(raised, sizeof(raised), "%d", pid + 1);
    if (io_write_text(path, raised, &ignored) == 0)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "the job has pid %d, but kernel.pid_max is %ld here; raise it with "
                   "sysctl kernel.pid_max=4194304",
                   pid, max);
}
