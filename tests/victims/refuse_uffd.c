/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A userfaultfd: the program itself decides what its memory is. */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "victim.h"

int main(void)
{
    struct uffdio_api api = {.api = UFFD_API};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);

    if (fd < 0)
        victim_skip("no userfaultfd");
    NEED(ioctl(fd, UFFDIO_API, &api) == 0);
    victim_ready_refused(getpid(), "(?i)userfaultfd");
    victim_wait_go();
    CHECK("it is open", fcntl(fd, F_GETFD) >= 0);
    return victim_end();
}
