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
 * ended it is shown as suspended (application-level of checkpoint(5)). The
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

static int migrate(struct hook *h, char how[HOOK_TEXT_SIZE], struct err *e)
{
    struct job_checkpoint done;

    if (job_request_checkpoint(h->store, true, hook_timeout_s(h), NULL, NULL, &done,
                               e) < 0) {
        if (e->kind == ERR_REFUSED)
            return err_wrap(e, "the job stays on this host and runs on");
        return -1;
    }
    see_it_end(h);
    return str_format(how, HOOK_TEXT_SIZE, e,
                      "the job continues from generation %" PRIu64, done.generation);
}

int cmd_hook_migrate(int argc, char **argv, struct err *e)
{
    auto_hook struct hook h;
    char how[HOOK_TEXT_SIZE] = "";

    if (hook_open(&h, argc, argv, e) < 0) {
        hook_not_opened(&h, e);
        return -1;
    }
    if (h.pe_task)
        return 0;
    return hook_ended(&h, migrate(&h, how, e), how, e);
}
