/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A performance counter. */
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "victim.h"

int main(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                   .size = sizeof(attr),
                                   .config = PERF_COUNT_SW_TASK_CLOCK};
    uint64_t value = 0;
    int fd;

    attr.exclude_kernel = 1;
    fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    if (fd < 0)
        victim_skip("no performance counters");
    victim_ready_refused(getpid(), "(?i)perf");
    victim_wait_go();
    CHECK_INT("it counts", read(fd, &value, sizeof(value)), sizeof(value));
    return victim_end();
}
