/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/strangers.h"

#include "base/err.h"
#include "base/scope.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>

static bool is_inherited(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return fd > 2 && flags >= 0 && !(flags & FD_CLOEXEC);
}

int *strangers_list(struct err *e)
{
    auto_dir DIR *dir = opendir("/proc/self/fd");
    auto_free int *list = NULL;
    size_t count = 0;
    struct dirent *entry;

    if (!dir) {
        err_sys(e, "open /proc/self/fd");
        return NULL;
    }
    do {
        int *grown = realloc(list, (count + 1) * sizeof(*list));

        if (!grown) {
            err_set(e, ERR_FAILED, "out of memory");
            return NULL;
        }
        list = grown;
        while ((entry = readdir(dir)))
            if (isdigit((unsigned char)entry->d_name[0]) &&
                is_inherited((int)strtol(entry->d_name, NULL, 10)))
                break;
        list[count++] = entry ? (int)strtol(entry->d_name, NULL, 10) : -1;
    } while (entry);
    return take_ptr(list);
}

void strangers_close(const int *list)
{
    for (; *list >= 0; list++)
        close(*list);
}
