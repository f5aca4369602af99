/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "place/mounts.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

bool mounts_has_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    return ((data[0].effective | (uint64_t)data[1].effective << 32) & wanted) == wanted;
}

/* One id each, which an unprivileged process may map (user_namespaces(7)). */
int mounts_map_ids(uid_t uid, gid_t gid, struct err *e)
{
    char map[64];

    if (io_write_text("/proc/self/setgroups", "deny", e) < 0)
        return -1;
    snprintf(map, sizeof(map), "%u %u 1", uid, uid);
    if (io_write_text("/proc/self/uid_map", map, e) < 0)
        return -1;
    snprintf(map, sizeof(map), "%u %u 1", gid, gid);
    return io_write_text("/proc/self/gid_map", map, e);
}

int mounts_detach(struct err *e)
{
    /* Slave, not private: what the host mounts later (the automounter) must appear here
     * too, and what it unmounts must not be held. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return err_sys(e, "detach the mount namespace");
    return 0;
}

int mounts_unshare(struct err *e)
{
    bool needs_user = !mounts_has_capabilities(UINT64_C(1) << CAP_SYS_ADMIN);
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (unshare(CLONE_NEWNS | (needs_user ? CLONE_NEWUSER : 0)) < 0)
        return err_sys(e, "make %s namespace", needs_user ? "a user" : "a mount");
    if (needs_user && mounts_map_ids(uid, gid, e) < 0)
        return -1;
    return mounts_detach(e);
}
