/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process that holds the job: it launches or restarts it, saves it, and records how
 * it ended.
 */
#ifndef JOB_SUPERVISOR_H
#define JOB_SUPERVISOR_H

#include "base/err.h"
#include "job/job.h"
#include "job/signals.h"

/* The packets from the supervisor to the front: SUPERVISOR_STARTED, one byte, when the
 * job runs, if it comes to that; and a report before the supervisor ends. */
enum { SUPERVISOR_STARTED = 1 };

struct supervisor_report {
    struct err e; /* e.kind ERR_NONE: the job was started, the rest counts */
    enum job_outcome outcome;
    int wait_status;
};

/* What the front gives to its child, the supervisor. */
struct supervisor_args {
    const struct job_config *config;
    struct signals inherited;
    pid_t front;
    int link; /* SOCK_SEQPACKET; ends when the front dies, however it dies */
    bool take_tty;
    const int *strangers; /* descriptors that only the job shall hold, ended by -1 */
};

/* Does not return. */
_Noreturn void supervisor_run(const struct supervisor_args *args);

#endif
