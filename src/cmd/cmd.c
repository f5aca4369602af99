/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/cmd.h"

#include "base/err.h"
#include "store/store.h"

int cmd_no_words(int count, char **words, struct err *e)
{
    if (count == 0)
        return 0;
    return err_set(e, ERR_USAGE,
                   "\"%s\" is one word too many; a directory is given by -d", words[0]);
}

struct store *cmd_open_job(const char *directory, struct err *e)
{
    struct store *store = store_open_dir(directory, false, e);

    if (!store && e->kind == ERR_NOTHING)
        err_set(
            e, ERR_NOTHING,
            "there is no directory %s; name the job's by -d: that of `qckpt run`, or "
            "CKPT_DIR/USER/JOB.TASK of a job of Grid Engine, which is removed when the "
            "job has ended",
            directory);
    return store;
}
