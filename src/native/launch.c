/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bare first run: the job is an ordinary child of this program.
 */
#include "native/native.h"

#include "base/err.h"
#include "base/scope.h"
#include "base/start.h"

#include <fcntl.h>
#include <string.h>

static const char *find_variable(char *const *envp, const char *name)
{
    size_t length = strlen(name);

    for (; *envp; envp++)
        if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
            return *envp + length + 1;
    return NULL;
}

/* Copies out of the way of what the job may be given, for later comparison. */
int native_root_remember(struct native_root *root, const int stdio[3],
                         const char *tmpdir, struct err *e)
{
    root->tmpdir = NULL;
    for (int i = 0; i < 3; i++)
        root->stdio[i] = -1;
    for (int i = 0; i < 3; i++) {
        root->stdio[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3);
        if (root->stdio[i] < 0) {
            err_sys(e, "keep a copy of standard file %d", i);
            native_root_forget(root);
            return -1;
        }
    }
    if (tmpdir && !(root->tmpdir = strdup(tmpdir))) {
        err_sys(e, "remember TMPDIR");
        native_root_forget(root);
        return -1;
    }
    return 0;
}

void native_root_forget(struct native_root *root)
{
    for (int i = 0; i < 3; i++) {
        if (root->stdio[i] >= 0)
            close(root->stdio[i]);
        root->stdio[i] = -1;
    }
    if (root->status_fd >= 0)
        close(root->status_fd);
    root->status_fd = -1;
    free(root->tmpdir);
    root->tmpdir = NULL;
}

int native_start(const struct start_how *how, struct native_root *root, struct err *e)
{
    struct native_root made = {.parent = getpid(), .status_fd = -1};

    made.inner_parent_pid = made.parent;
    if (native_root_remember(&made, how->stdio, find_variable(how->envp, "TMPDIR"), e) <
        0)
        return -1;
    if (start_program(how, &made.root, NULL, e) < 0) {
        native_root_forget(&made);
        return -1;
    }
    *root = made;
    return 0;
}
