/* SPDX-License-Identifier: GPL-3.0-or-later */
/* inotify: the watches are paths that only the kernel knows. */
#include <sys/inotify.h>

#include "victim.h"

int main(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char buf[4096] __attribute__((aligned(8)));
    int file;

    NEED(fd >= 0);
    NEED(inotify_add_watch(fd, ".", IN_CREATE) > 0);
    victim_ready_refused(getpid(), "(?i)inotify");
    victim_wait_go();
    file = open("may_inotify.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    NEED(file >= 0);
    CHECK("the new file is told", read(fd, buf, sizeof(buf)) > 0);
    unlink("may_inotify.new");
    return victim_end();
}
