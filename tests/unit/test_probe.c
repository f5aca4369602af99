/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/native.h"

#include "base/err.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void this_host_can_or_says_why_and_leaves_nothing_behind(void)
{
    struct err e = {0};
    int rc = native_probe(&e);

    CHECK(rc == 0 || (e.kind == ERR_REFUSED && strchr(e.text, ';')));
    if (rc < 0)
        printf("# %s\n", e.text);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return ok;
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};

    if (syscall(SYS_capset, &header, none) < 0)
        _exit(77);
}

/* In a user namespace whose limit is 0, as an ordinary user in it. */
static void a_limit_of_user_namespaces_is_named(void)
{
    char map[64];
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        struct err e = {0};

        snprintf(map, sizeof(map), "1000 %d 1", geteuid());
        if (unshare(CLONE_NEWUSER) < 0 || !write_text("/proc/self/uid_map", map) ||
            !write_text("/proc/sys/user/max_user_namespaces", "0"))
            _exit(77);
        drop_capabilities();
        if (native_probe(&e) == 0)
            _exit(1);
        _exit(strstr(e.text, "user.max_user_namespaces") ? 0 : 2);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("a user namespace with a limit of its own cannot be made here");
    CHECK_INT(status, 0);
}

int main(void)
{
    RUN(this_host_can_or_says_why_and_leaves_nothing_behind);
    RUN(a_limit_of_user_namespaces_is_named);
    return tap_done();
}
