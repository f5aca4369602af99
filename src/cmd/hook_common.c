/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/hook_common.h"

#include "base/err.h"
#include "base/str.h"
#include "cmd/hook_syslog.h"
#include "job/job.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_DEFAULT_S = 3600, STATUS_TIMEOUT_S = 2 };

void hook_not_opened(const struct hook *h, const struct err *e)
{
    char text[1536];

    snprintf(text, sizeof(text), "job %s.%s of uid %u: %s",
             h->job.job[0] ? h->job.job : "?", h->job.task[0] ? h->job.task : "?",
             (unsigned)geteuid(), e->text);
    hook_syslog(h->name, text);
}

static void read_spool(struct hook *h)
{
    struct err ignored = {0};
    struct ge_spool *spool =
        h->job.spool_dir ? ge_spool_read(h->job.spool_dir, &ignored) : NULL;
    const char *host = ge_spool_get(spool, "host");

    h->pe_task = ge_spool_is_pe_task(spool);
    if (host && strlen(host) < sizeof(h->host))
        memcpy(h->host, host, strlen(host) + 1);
    ge_spool_free(spool);
}

static int find_job(struct hook *h, int argc, char **argv, struct err *e)
{
    if (ge_job_read_hook(&h->job, argc, argv, e) < 0)
        return -1;
    read_spool(h);
    if (h->pe_task)
        return 0;
    h->store =
        store_open_job(h->job.ckpt_dir, h->job.user, h->job.job, h->job.task, false, e);
    if (!h->store && e->kind == ERR_NOTHING)
        err_wrap(e, "job %s.%s has no directory here", h->job.job, h->job.task);
    return h->store ? 0 : -1;
}

/* They are sent to all processes with the job's additional group id, which a hook is.
 */
static void ignore_warnings(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGXCPU);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int hook_open(struct hook *h, int argc, char **argv, struct err *e)
{
    struct store_epoch run;
    struct err ignored = {0};

    *h = (struct hook){.name = argv[0]};
    ignore_warnings();
    if (find_job(h, argc, argv, e) < 0)
        return -1;
    if (h->pe_task)
        return 0;
    if (store_epoch_current(h->store, &run, &ignored) == 0)
        h->epoch = run.epoch;
    hook_log(h, LOG_INFO, "hook-began", "%s began as process %d", h->name,
             (int)getpid());
    return 0;
}

void hook_close(struct hook *h)
{
    store_close(h->store);
    settings_free(h->settings);
    h->store = NULL;
    h->settings = NULL;
}

void hook_log(struct hook *h, enum log_level level, const char *event, const char *fmt,
              ...)
{
    char text[1536];
    va_list ap;

    if (!h->store)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    store_log(h->store, level, h->name, h->epoch, event, NULL, "%s", text);
}

int hook_ended(struct hook *h, int result, const char *how, const struct err *e)
{
    if (result == 0)
        hook_log(h, LOG_INFO, "hook-ended", "%s ended: %s", h->name, how);
    else
        hook_log(h, LOG_ERROR, "hook-ended", "%s failed: %s", h->name, e->text);
    return result;
}

static int take_seconds(void *arg, const char *value, struct err *e)
{
    return str_to_seconds(value, arg, e);
}

int hook_seconds(struct settings *settings, const char *variable, unsigned missing,
                 unsigned *seconds, struct err *e)
{
    *seconds = missing;
    return settings_apply(settings, variable, take_seconds, seconds, e);
}

static void log_problems(struct hook *h)
{
    const char *problem;

    for (size_t i = 0; (problem = settings_problem(h->settings, i)); i++)
        hook_log(h, LOG_WARNING, "warning", "%s", problem);
}

struct settings *hook_settings(struct hook *h)
{
    if (!h->settings)
        h->settings = settings_read();
    return h->settings;
}

unsigned hook_timeout_s(struct hook *h)
{
    struct err e = {0};
    unsigned seconds;

    if (hook_seconds(hook_settings(h), "QCKPT_HOOK_TIMEOUT", TIMEOUT_DEFAULT_S,
                     &seconds, &e) < 0)
        hook_log(h, LOG_WARNING, "warning", "%s; %u s are taken", e.text, seconds);
    log_problems(h);
    return seconds;
}

bool hook_wait_supervisor_gone(struct hook *h, unsigned timeout_s)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    struct timespec now, end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_s;
    for (;;) {
        struct job_status status;
        struct err e = {0};

        if (job_request_status(h->store, STATUS_TIMEOUT_S, &status, &e) < 0 &&
            e.kind != ERR_TIMEOUT)
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= end.tv_sec)
            return false;
        nanosleep(&pause, NULL);
    }
}

/* FNV-1a, and the last step of MurmurHash3, so that neighbours are far apart. */
static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261U;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619U;
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return h ^ h >> 16;
}

unsigned hook_spread_s(const struct ge_job *job, unsigned n, unsigned seconds)
{
    unsigned spread = seconds / 10 * 5;
    char who[2 * GE_ID_SIZE + 32];

    snprintf(who, sizeof(who), "%s.%s %u", job->job, job->task, n);
    return seconds + hash(who) % (spread + 1);
}

void hook_wait(unsigned seconds)
{
    static const int ends[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                               SIGUSR1, SIGUSR2, SIGXCPU};
    struct timespec now, until;
    sigset_t set;

    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaddset(&set, ends[i]);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    /* A suspension ends the call too. */
    do {
        struct timespec left = {0};

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= until.tv_sec)
            return;
        left.tv_sec = until.tv_sec - now.tv_sec;
        if (sigtimedwait(&set, NULL, &left) > 0)
            return;
    } while (errno == EINTR);
}
