/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the programs that Grid Engine calls have in common.
 *
 * ckpt_command, migr_command and clean_command run as the job's owner with /dev/null as
 * stderr: what they have to say goes to the job's event log, and to syslog(3) while
 * they have no job.
 */
#ifndef CMD_HOOK_COMMON_H
#define CMD_HOOK_COMMON_H

#include "base/log.h"
#include "ge/ge.h"
#include "job/settings.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

struct err;

struct hook {
    const char *name; /* as it was called: "qckpt-migrate", "dmtcp_migrate" */
    struct ge_job job;
    bool pe_task;   /* a task of a parallel job: it has no checkpoint of its own */
    char host[256]; /* this host as Grid Engine calls it; empty: not known */
    struct store *store;
    struct settings *settings; /* NULL until hook_settings */
    uint64_t epoch;            /* the job's current run when the hook began; 0: none */
};

/*
 * Finds the job and, unless this is a PE task, opens its directory and logs that the
 * hook began. ERR_NOTHING: the job has no directory. The caller ends `h` with
 * hook_close in either case.
 */
int hook_open(struct hook *h, int argc, char **argv, struct err *e);
void hook_close(struct hook *h);
#define auto_hook __attribute__((cleanup(hook_close)))

/* Says to syslog why hook_open failed. */
void hook_not_opened(const struct hook *h, const struct err *e);

void hook_log(struct hook *h, enum log_level level, const char *event, const char *fmt,
              ...) __attribute__((format(printf, 4, 5)));

/* Logs that the hook ended and `how`, or with `e` that it failed. Returns `result`. */
int hook_ended(struct hook *h, int result, const char *how, const struct err *e);

enum { HOOK_TEXT_SIZE = 256 };

/* What the site has set. hook_timeout_s logs what is wrong in it. */
struct settings *hook_settings(struct hook *h);

/* QCKPT_HOOK_TIMEOUT, checked: a bad value is reported and the default taken. */
unsigned hook_timeout_s(struct hook *h);

/* Waits until no supervisor of the job answers on this host any more. False when there
 * still is one after `timeout_s`. */
bool hook_wait_supervisor_gone(struct hook *h, unsigned timeout_s);

/* Waits, with every signal blocked from now on, or until one comes that would end a
 * job: Grid Engine's notice that it will be killed or suspended, for instance. */
void hook_wait(unsigned seconds);

/*
 * How long to wait where `seconds` are meant, for the `n`th time: so long, and up to
 * half as much again, which the job, its task and n decide. Tasks that were sent away
 * in the same second, as those of an array are that all meet the same obstacle, do not
 * come back in the same second. Less than 10 s stay as they are.
 */
unsigned hook_spread_s(const struct ge_job *job, unsigned n, unsigned seconds);

/* A time in seconds that is set by `variable` or the site; else `missing`. */
int hook_seconds(struct settings *settings, const char *variable, unsigned missing,
                 unsigned *seconds, struct err *e);

/* Begins, in the background, to remove what ended jobs of this user have left in
 * ckpt_dir: directories of jobs that Grid Engine no longer knows, unchanged for
 * QCKPT_SWEEP_AGE (default 7 days, "never" for never). At most once an hour. It is no
 * child of the caller, whose `name` it has in the event log. */
void hook_sweep_start(const struct ge_job *job, struct settings *settings,
                      const char *name);

/* Removes the user's directory when only the note of the last sweep is in it. */
void hook_sweep_forget(const struct ge_job *job);

#endif
