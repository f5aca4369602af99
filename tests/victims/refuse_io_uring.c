/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An io_uring: its rings are kernel memory that cannot be rebuilt from outside. */
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "victim.h"

int main(void)
{
    struct io_uring_params p = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

    if (fd < 0)
        victim_skip("io_uring is not available");
    victim_ready_refused(getpid(), "io_uring");
    victim_wait_go();
    CHECK("the ring is there", syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0) == 0);
    return victim_end();
}
