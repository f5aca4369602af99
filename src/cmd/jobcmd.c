/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/jobcmd.h"

#include "base/err.h"
#include "base/log.h"
#include "job/settings.h"
#include "store/store.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* As long as the program: the configuration points into it. */
static struct settings *settings;

int jobcmd_config(struct job_config *config, unsigned interval_s, uint64_t keep,
                  struct err *e)
{
    struct passwd *user = getpwuid(geteuid());
    const char *problem;

    *config = (struct job_config){.exclusive = true, .tell_stderr = true};
    settings = settings_read();
    if (job_config_read(config, settings, NULL, e) < 0)
        return -1;
    for (size_t i = 0; (problem = settings_problem(settings, i)); i++)
        log_warning("%s", problem);
    if (keep > INT_MAX)
        return err_set(e, ERR_USAGE, "--keep is too large");
    if (keep > 0)
        config->keep = (unsigned)keep;
    if (interval_s > 0)
        config->interval_s = interval_s;
    config->user = user ? user->pw_name : NULL;
    return 0;
}

int jobcmd_run(const struct job_config *config, struct err *e)
{
    enum job_outcome outcome;
    int wait_status;

    if (job_run(config, &wait_status, &outcome, e) < 0) {
        if (e->kind != ERR_GONE) /* the supervisor died, perhaps later */
            err_wrap(e, "nothing was started");
        /* The exit status of a refusal says that the job runs on. */
        if (e->kind == ERR_REFUSED)
            e->kind = ERR_FAILED;
        return -1;
    }
    switch (outcome) {
    case JOB_ENDED:
        job_exit_as(wait_status);
    case JOB_STOPPED:
        job_exit_as(W_EXITCODE(JOB_EXIT_STOPPED, 0));
    case JOB_LOST:
        return err_set(e, ERR_GONE,
                       "the job was lost by its engine, see `qckpt show -d %s`; "
                       "`qckpt restart -d %s` continues it from its last checkpoint",
                       store_path(config->store), store_path(config->store));
    case JOB_SUPERSEDED:
        return err_set(e, ERR_FENCED, "the job in %s was taken over by a later run",
                       store_path(config->store));
    }
    return err_set(e, ERR_FAILED, "the job ended in an unknown way");
}
