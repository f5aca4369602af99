/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device that has a state of its own, standing for GPUs and fabrics. */
#include "victim.h"

int main(void)
{
    static const char *const names[] = {"/dev/fuse", "/dev/net/tun", "/dev/kvm",
                                        "/dev/loop-control", "/dev/hpet"};
    int fd = -1;
    size_t i;

    for (i = 0; i < 5 && fd < 0; i++)
        fd = open(names[i], O_RDWR | O_CLOEXEC);
    if (fd < 0)
        victim_skip("no device that can be opened");
    victim_ready_refused(getpid(), names[i - 1]);
    victim_wait_go();
    CHECK("it is open", fcntl(fd, F_GETFD) >= 0);
    return victim_end();
}
