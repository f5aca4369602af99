/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/starter.h"

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void starter_tell_stderr(const struct starter *s, enum log_level level,
                         const char *text)
{
    fprintf(stderr, "%s: %s: %s\n", s->name, log_level_name(level), text);
}

static void tell_event(struct starter *s, enum log_level level, const char *event,
                       const char *text)
{
    starter_tell_stderr(s, level, text);
    if (s->store)
        store_log(s->store, level, s->name, 0, event, NULL, "%s", text);
}

void starter_tell(struct starter *s, enum log_level level, const char *fmt, ...)
{
    char text[1536];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    tell_event(s, level, "warning", text);
}

_Noreturn void starter_exit(int status)
{
    job_exit_as(W_EXITCODE(status, 0));
}

/* job_run leaves signals blocked, this process a subreaper, and the terminal of a
 * `qsub -pty` job without a session. */
static void undo_supervision(const struct starter *s)
{
    if (!s->was_front)
        return;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    prctl(PR_SET_PDEATHSIG, 0);
    if (isatty(STDIN_FILENO))
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* A program that cannot be executed puts a batch job into the error state, as it does
 * without a starter_method; qrsh_starter ends with 1. */
_Noreturn void starter_become_job(struct starter *s)
{
    undo_supervision(s);
    execvpe(s->command.path, s->command.argv, environ);
    fprintf(stderr, "%s: cannot execute %s: %s\n", s->name, s->command.path,
            strerror(errno));
    starter_exit(s->start.qrsh ? EXIT_FAILURE : GE_EXIT_ERROR);
}

_Noreturn void starter_run_unsupervised(struct starter *s, const struct err *why)
{
    char text[sizeof(why->text) + 64];

    snprintf(text, sizeof(text), "this job runs without checkpoints: %s", why->text);
    tell_event(s, LOG_WARNING, "unsupervised", text);
    starter_become_job(s);
}

_Noreturn void starter_queue_again(struct starter *s, const struct err *why)
{
    starter_tell(
        s, LOG_ERROR,
        "the job is queued again and not started from the beginning because it has, or "
        "may have, a checkpoint: %s",
        why->text);
    starter_exit(GE_EXIT_REQUEUE);
}

_Noreturn void starter_queue_again_later(struct starter *s, const struct err *why)
{
    hook_wait(hook_spread_s(&s->job, (unsigned)s->last_epoch, s->retry_delay_s));
    starter_queue_again(s, why);
}

_Noreturn void starter_ask_for_a_person(struct starter *s, const struct err *why)
{
    starter_tell(
        s, LOG_ERROR,
        "the job is put into the error state: %s; when that is cured continue the job "
        "with qmod -cj %s, or give it up with qdel",
        why->text, s->job.job);
    starter_exit(GE_EXIT_ERROR);
}
