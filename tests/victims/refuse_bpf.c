/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A BPF map. */
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "victim.h"

int main(void)
{
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
                           .key_size = 4,
                           .value_size = 8,
                           .max_entries = 4};
    int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));

    if (fd < 0)
        victim_skip("BPF needs privileges");
    victim_ready_refused(getpid(), "(?i)bpf");
    victim_wait_go();
    CHECK("it is open", fcntl(fd, F_GETFD) >= 0);
    return victim_end();
}
