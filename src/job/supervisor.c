/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The supervisor's process and its loop.
 */
#include "job/supervisor.h"

#include "job/clock.h"
#include "job/control.h"
#include "job/sentinel.h"
#include "job/state.h"
#include "job/strangers.h"
#include "store/store.h"

#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* From begin with stop until the image is durable nothing may reach the job. */
static bool stands_at_image(const struct supervisor *s)
{
    return s->saving.is_active && (s->saving.stop || s->engine->stands_while_writing);
}

static void set_suspended(struct supervisor *s, bool suspended)
{
    if (s->suspended == suspended || !s->job)
        return;
    s->suspended = suspended;
    if (!stands_at_image(s))
        s->engine->stop_all(s->job, suspended);
    event_log(&s->events, LOG_INFO, "signal", NULL,
              suspended ? "suspended" : "continued");
}

/* Killed together with the front, as a rule. Alone it is no reason to end the job. */
static void sentinel_gone(struct supervisor *s)
{
    char nothing;

    if (recv(s->args->link, &nothing, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        event_log(
            &s->events, LOG_WARNING, "warning", NULL,
            "the sentinel was killed: suspending the job's process group will not "
            "suspend the job");
}

static void look_at_sentinel(struct supervisor *s)
{
    while (s->sentinel > 0)
        switch (sentinel_look(s->sentinel)) {
        case SENTINEL_STOPPED:
            set_suspended(s, true);
            break;
        case SENTINEL_CONTINUED:
            set_suspended(s, false);
            break;
        case SENTINEL_GONE:
            s->sentinel = -1;
            sentinel_gone(s);
            break;
        case SENTINEL_NONE:
            return;
        }
}

static void relay(struct supervisor *s, int signo)
{
    s->engine->signal_group(s->job, signo);
    event_log(&s->events, LOG_INFO, "signal", json_pack("{s:i}", "signal", signo),
              "signal %d (%s) relayed", signo, strsignal(signo));
}

static void relay_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (signals_read(s->signals, &info))
        if (signals_for_job(&info) && stands_at_image(s))
            sigaddset(&s->held, (int)info.ssi_signo);
        else if (signals_for_job(&info))
            relay(s, (int)info.ssi_signo);
}

/* The job did not stop at its image, or not for ever, and runs on. */
static void catch_up(struct supervisor *s)
{
    for (int signo = 1; signo < NSIG; signo++)
        if (sigismember(&s->held, signo) == 1)
            relay(s, signo);
    sigemptyset(&s->held);
    if (s->suspended)
        s->engine->stop_all(s->job, true);
}

static void look_at_children(struct supervisor *s)
{
    int status;

    look_at_sentinel(s);
    switch (s->engine->reap(s->job, &status)) {
    case ENGINE_RUNS:
        return;
    case ENGINE_ENDED:
        supervisor_job_ended(s, status);
        return;
    case ENGINE_LOST:
        supervisor_job_lost(s);
        return;
    }
}

/* What kept the job from being saved may be over in a moment, while the interval may be
 * hours. A try that took long (it waited for a process to stop) is not made again at
 * once: the job shall run most of the time. */
static uint64_t until_next_us(struct supervisor *s)
{
    enum { TRIES = 8, WAIT_MAX_S = 60, RUN_TO_TRY = 10 };
    uint64_t interval = s->interval_s * UINT64_C(1000000);
    uint64_t rest = RUN_TO_TRY * (clock_us() - s->saving.since_us);
    uint64_t wait = UINT64_C(1000000) << s->tries;

    if (!s->saving.may_pass || s->tries == TRIES) {
        s->tries = 0;
        return interval;
    }
    s->tries++;
    if (wait > WAIT_MAX_S * UINT64_C(1000000))
        wait = WAIT_MAX_S * UINT64_C(1000000);
    if (wait < rest)
        wait = rest;
    return wait < interval ? wait : interval;
}

static void take_news(struct supervisor *s, enum saving_news news)
{
    struct err why = {0};

    switch (news) {
    case SAVING_GOES_ON:
        return;
    case SAVING_IDLE:
        catch_up(s);
        break;
    case SAVING_STOPPED:
        supervisor_kill_job(s);
        supervisor_over(s, JOB_STOPPED, 0);
        return;
    case SAVING_FENCED:
        err_set(&why, ERR_FENCED, "a later run of this job has taken over");
        supervisor_superseded(s, &why);
        return;
    }
    s->interval_at_us = clock_us() + until_next_us(s);
}

/* A suspended job is let go for the moment of the freeze: it shall run when it is
 * restarted, and a stop signal would be part of its image. */
static void save(struct supervisor *s, bool stop)
{
    bool suspended = s->suspended;
    enum saving_news news;

    if (suspended)
        s->engine->stop_all(s->job, false);
    news = saving_begin(&s->saving, stop);
    if (suspended && news == SAVING_GOES_ON && !stands_at_image(s))
        s->engine->stop_all(s->job, true);
    take_news(s, news);
}

/* A copy of the job that was cut off may come back when another has ended, and
 * everything has been removed. Or somebody has cleared away too much. */
static bool is_given_up(const struct supervisor *s)
{
    return s->config->is_given_up && s->config->is_given_up(s->config->arg);
}

static void check_fence(struct supervisor *s)
{
    struct err e = {0};

    s->fence_at_us = clock_us() + FENCE_CHECK_S * UINT64_C(1000000);
    if (store_epoch_check(s->config->store, s->events.epoch, &e) == 0) {
        s->fence_failed = false;
        return;
    }
    if (e.kind == ERR_FENCED || (e.kind == ERR_GONE && is_given_up(s))) {
        supervisor_superseded(s, &e);
        return;
    }
    if (!s->fence_failed)
        event_log(&s->events, LOG_WARNING, "warning", NULL,
                  "the job's directory cannot be read, the job runs on: %s", e.text);
    s->fence_failed = true;
}

static void answer_status(struct supervisor *s, struct control_client *client)
{
    char line[PROTOCOL_LINE_MAX];
    struct job_status status = {.pid = getpid(),
                                .epoch = s->events.epoch,
                                .state = s->saving.is_active ? JOB_STATE_CHECKPOINTING
                                         : s->suspended      ? JOB_STATE_SUSPENDED
                                                             : JOB_STATE_RUNNING,
                                .hosts = s->contract.hosts};

    if (status.hosts > 0)
        cpu_flags_list(&s->contract.on_all.needs, status.cpu_needs,
                       sizeof(status.cpu_needs));
    control_answer(client, line, protocol_write_status(&status, line));
}

static void take_request(void *arg, struct control_client *client,
                         const struct protocol_request *request)
{
    struct supervisor *s = arg;

    switch (request->op) {
    case OP_CHECKPOINT:
        if (!s->is_over)
            event_log(&s->events, LOG_INFO, "request", NULL, "asked for a checkpoint%s",
                      request->stop ? " to stop at" : "");
        control_queue(client, request->stop);
        return;
    case OP_CHECK_EPOCH:
        if (!s->is_over)
            check_fence(s);
        answer_status(s, client);
        return;
    case OP_STATUS:
        answer_status(s, client);
        return;
    }
}

/* A request that came while a checkpoint was being written follows it; several that
 * wait share one, and when one of them asks for a stop that serves the others too. */
static void begin_what_is_due(struct supervisor *s)
{
    bool stop, queued = control_is_queued(s->control, &stop);
    bool timer = s->interval_s > 0 && clock_us() >= s->interval_at_us;

    if (s->saving.is_active || s->is_over)
        return;
    if (queued)
        save(s, stop);
    else if (timer && s->suspended)
        s->interval_at_us = clock_us() + s->interval_s * UINT64_C(1000000);
    else if (timer)
        save(s, false);
}

static int poll_timeout_ms(const struct supervisor *s)
{
    int fence = clock_until_ms(s->fence_at_us);
    int interval;

    if (s->interval_s == 0 || s->saving.is_active)
        return fence;
    interval = clock_until_ms(s->interval_at_us);
    return interval < fence ? interval : fence;
}

/* What is heard there look_at_children asks for. */
static int engine_fd(const struct supervisor *s)
{
    return s->job && s->engine->watch_fd ? s->engine->watch_fd(s->job) : -1;
}

static void run(struct supervisor *s)
{
    enum { SIGNALS, LINK, CONTROL, SAVING, ENGINE, N_FDS };

    s->fence_at_us = clock_us() + FENCE_CHECK_S * UINT64_C(1000000);
    s->interval_at_us = clock_us() + s->interval_s * UINT64_C(1000000);
    while (!s->is_over) {
        struct pollfd fds[N_FDS] = {
            [SIGNALS] = {.fd = s->signals, .events = POLLIN},
            [LINK] = {.fd = s->args->link, .events = POLLIN},
            [CONTROL] = {.fd = control_fd(s->control), .events = POLLIN},
            [SAVING] = {.fd = saving_fd(&s->saving), .events = POLLIN},
            [ENGINE] = {.fd = engine_fd(s), .events = POLLIN}};

        poll(fds, N_FDS, poll_timeout_ms(s));
        if (fds[LINK].revents)
            supervisor_front_died(s);
        if (!s->is_over)
            relay_signals(s);
        if (!s->is_over)
            look_at_children(s);
        if (!s->is_over && fds[SAVING].revents && s->saving.is_active)
            take_news(s, saving_step(&s->saving));
        if (!s->is_over && fds[CONTROL].revents)
            control_serve(s->control, take_request, s);
        if (!s->is_over && clock_us() >= s->fence_at_us)
            check_fence(s);
        if (!s->is_over)
            begin_what_is_due(s);
    }
}

/* ---- the process ---- */

static int become_supervisor(struct supervisor *s, struct err *e)
{
    sigset_t all;

    s->sentinel = sentinel_start(e);
    if (s->sentinel < 0)
        return -1;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (setsid() < 0)
        return err_sys(e, "start a session");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_sys(e, "become a child subreaper");
    prctl(PR_SET_NAME, "qckpt-super");
    s->signals = signals_open(e);
    return s->signals < 0 ? -1 : 0;
}

/* Then no epoch is needed; taking one fails where the disk is full. */
static bool is_done(const struct supervisor *s)
{
    struct err ignored = {0};
    int status;

    return store_done_read(s->config->store, &status, NULL, &ignored) == 0;
}

static int supervise(struct supervisor *s, struct err *e)
{
    const unsigned char started = SUPERVISOR_STARTED;

    if (become_supervisor(s, e) < 0)
        return -1;
    if (supervisor_take_epoch(s, e) < 0 && !is_done(s))
        return -1;
    err_clear(e);
    if (supervisor_start(s, e) < 0) {
        if (e->kind != ERR_WRONG_HOST) /* else it has been logged */
            event_log_only(&s->events, LOG_ERROR, "warning", NULL,
                           "nothing was started: %s", e->text);
        return -1;
    }
    strangers_close(s->args->strangers);
    send(s->args->link, &started, sizeof(started), MSG_NOSIGNAL);
    s->saving = (struct saving){.config = s->config,
                                .events = &s->events,
                                .control = s->control,
                                .engine = s->engine,
                                .job = s->job,
                                .no_checkpoints = s->no_checkpoints,
                                .cpu = s->contract.text,
                                .cpu_all = s->contract.all_text};
    s->interval_s = s->no_checkpoints ? 0 : s->config->interval_s;
    run(s);
    return 0;
}

/* Whoever still asks is told that it is too late. */
static void turn_away(struct supervisor *s)
{
    struct err why = {0};

    s->is_over = true;
    control_serve(s->control, take_request, s); /* those that had connected ... */
    control_serve(s->control, take_request, s); /* ... and what they asked for */
    err_set(&why, ERR_GONE,
            s->report.outcome == JOB_STOPPED ? "the job was stopped at a checkpoint"
                                             : "the job has ended");
    control_refuse_all(s->control, &why);
    control_close(s->control);
}

_Noreturn void supervisor_run(const struct supervisor_args *args)
{
    struct supervisor s = {.args = args,
                           .config = args->config,
                           .engine = args->config->engine,
                           .sentinel = -1,
                           .signals = -1,
                           .events = {.store = args->config->store,
                                      .tell_stderr = args->config->tell_stderr}};

    struct err e = {0};

    sigemptyset(&s.held);
    event_take_log(&s.events);
    if (supervise(&s, &e) < 0)
        s.report.e = e;
    if (s.control)
        turn_away(&s);
    if (s.sentinel > 0)
        sentinel_end(s.sentinel);
    store_workdir_remove(args->config->store);
    send(args->link, &s.report, sizeof(s.report), MSG_NOSIGNAL);
    /* A front that was stopped with the job has to run to end. */
    if (s.suspended)
        kill(args->front, SIGCONT);
    _exit(0);
}
