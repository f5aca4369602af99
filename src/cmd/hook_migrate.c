/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/hook.h"
#include "cmd/hook_common.h"
#include "job/job.h"

#include <inttypes.h>

/* How long a job that was killed at its image may take to be gone. */
enum { GONE_TIMEOUT_S = 10 };

/* Grid Engine does not end the job, and it does not stop it either: until the job has
 * ended it is shown as suspended (fact of checkpoint(5), application-level). The
 * supervisor ends it; here we only look whether it did. */
static void see_it_end(struct hook *h)
{
    if (hook_wait_supervisor_gone(h, GONE_TIMEOUT_S))
        return;
    hook_log(
        h, LOG_WARNING, "warning",
        "%d s after its checkpoint the job has not ended yet; Grid Engine shows it "
        "as suspended until it has",
        GONE_TIMEOUT_S);
}

static int migrate(struct hook *h, struct err *e)
{
    struct job_checkpoint done;
    char bytes[32], time[32];

    if (job_request_checkpoint(h->store, true, hook_timeout_s(h), NULL, NULL, &done,
                               e) < 0) {
        if (e->kind == ERR_REFUSED)
            return err_wrap(e, "the job stays on this host and runs on");
        return -1;
    }
    hook_log(h, LOG_INFO, "stopped",
             "generation %" PRIu64 ": %s, durable after %s; the job continues from it",
             done.generation, str_bytes(done.stats.bytes, bytes),
             str_duration_us(done.time_us, time));
    see_it_end(h);
    return 0;
}

int cmd_hook_migrate(int argc, char **argv, struct err *e)
{
    auto_hook struct hook h;

    if (hook_open(&h, "qckpt-migrate", argc, argv, e) < 0) {
        hook_report(&h, e);
        return -1;
    }
    if (h.pe_task)
        return 0;
    return hook_ended(&h, migrate(&h, e), e);
}
