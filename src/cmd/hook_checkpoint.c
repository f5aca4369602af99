/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/hook.h"
#include "cmd/hook_common.h"
#include "job/job.h"

#include <inttypes.h>

static int checkpoint(struct hook *h, char how[HOOK_TEXT_SIZE], struct err *e)
{
    struct job_checkpoint done;

    if (job_request_checkpoint(h->store, false, hook_timeout_s(h), NULL, NULL, &done,
                               e) < 0)
        return -1;
    return str_format(how, HOOK_TEXT_SIZE, e, "generation %" PRIu64, done.generation);
}

int cmd_hook_checkpoint(int argc, char **argv, struct err *e)
{
    auto_hook struct hook h;
    char how[HOOK_TEXT_SIZE] = "";

    if (hook_open(&h, argc, argv, e) < 0) {
        hook_not_opened(&h, e);
        return -1;
    }
    if (h.pe_task)
        return 0;
    return hook_ended(&h, checkpoint(&h, how, e), how, e);
}
