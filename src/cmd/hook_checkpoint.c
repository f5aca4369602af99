/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/hook.h"
#include "cmd/hook_common.h"
#include "job/job.h"

#include <inttypes.h>

static int checkpoint(struct hook *h, struct err *e)
{
    struct job_checkpoint done;
    char bytes[32], pause[32];

    if (job_request_checkpoint(h->store, false, hook_timeout_s(h), NULL, NULL, &done,
                               e) < 0)
        return -1;
    hook_log(h, LOG_INFO, "checkpoint", "generation %" PRIu64 ": %s, pause %s",
             done.generation, str_bytes(done.stats.bytes, bytes),
             str_duration_us(done.stats.pause_us, pause));
    return 0;
}

int cmd_hook_checkpoint(int argc, char **argv, struct err *e)
{
    auto_hook struct hook h;

    if (hook_open(&h, "qckpt-checkpoint", argc, argv, e) < 0) {
        hook_report(&h, e);
        return -1;
    }
    if (h.pe_task)
        return 0;
    return hook_ended(&h, checkpoint(&h, e), e);
}
