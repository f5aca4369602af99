/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/supervisor.h"

#include "base/fault.h"
#include "job/client.h"
#include "job/clock.h"
#include "job/control.h"
#include "job/events.h"
#include "job/ladder.h"
#include "job/record.h"
#include "job/saving.h"
#include "job/sentinel.h"
#include "job/strangers.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FENCE_CHECK_S = 30,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
    /* Grid Engine's: run me again, and: I am in error. Such a job is not done. */
    EXIT_REQUEUE = 99,
    EXIT_ERROR_STATE = 100,
};

struct supervisor {
    const struct supervisor_args *args;
    const struct job_config *config;
    struct events events;
    struct control *control;
    struct saving saving;
    const struct engine *engine;
    struct engine_job *job; /* NULL before it is started and after it is over */
    pid_t sentinel;         /* -1: none any more */
    int signals;
    bool suspended;
    sigset_t held;     /* signals that came while the job stood at its image */
    bool fence_failed; /* the last check could not be made: logged once */
    uint64_t interval_at_us, fence_at_us;
    bool is_over;
    struct supervisor_report report;
};

/* ---- the end ---- */

static void over(struct supervisor *s, enum job_outcome outcome, int wait_status)
{
    s->is_over = true;
    s->report.outcome = outcome;
    s->report.wait_status = wait_status;
}

static void kill_job(struct supervisor *s)
{
    if (!s->job)
        return;
    s->engine->kill(s->job);
    s->engine->close(s->job);
    s->job = NULL;
}

static void superseded(struct supervisor *s, const struct err *why)
{
    kill_job(s);
    event_log(&s->events, LOG_WARNING, "superseded", NULL,
              "this copy of the job was killed: %s", why->text);
    saving_abandon(&s->saving, why);
    over(s, JOB_SUPERSEDED, 0);
}

/* The front is gone, killed by Grid Engine or by somebody else: then the job must not
 * go on unseen. */
static void front_died(struct supervisor *s)
{
    struct err why = {0};

    kill_job(s);
    event_log(&s->events, LOG_WARNING, "ended", NULL,
              "the job was killed because the process it was started as is gone");
    err_set(&why, ERR_GONE, "the job was killed");
    saving_abandon(&s->saving, &why);
    over(s, JOB_ENDED, SIGKILL);
}

static bool is_done_status(int wait_status)
{
    int code = WEXITSTATUS(wait_status);

    return WIFEXITED(wait_status) && code != EXIT_REQUEUE && code != EXIT_ERROR_STATE;
}

static void log_end(struct supervisor *s, int wait_status)
{
    if (WIFSIGNALED(wait_status))
        event_log(&s->events, LOG_INFO, "ended",
                  json_pack("{s:i}", "signal", WTERMSIG(wait_status)),
                  "the job was ended by signal %d (%s)", WTERMSIG(wait_status),
                  strsignal(WTERMSIG(wait_status)));
    else
        event_log(&s->events, LOG_INFO, "ended",
                  json_pack("{s:i}", "status", WEXITSTATUS(wait_status)),
                  "the job ended with status %d", WEXITSTATUS(wait_status));
}

/* A job that is run again after this must find that it is done. Returns false when a
 * later run has taken over. */
static bool record_completion(struct supervisor *s, int wait_status)
{
    struct err e = {0};

    if (store_done_write(s->config->store, s->events.epoch, WEXITSTATUS(wait_status),
                         &e) == 0)
        return true;
    if (e.kind == ERR_FENCED) {
        superseded(s, &e);
        return false;
    }
    event_log(&s->events, LOG_ERROR, "warning", NULL,
              "the job's end could not be recorded, a rerun would repeat it: %s",
              e.text);
    return true;
}

/* What the job left running (a daemon, a background process) is left, as it would be
 * without us: Grid Engine ends it, a shell does not. Only a checkpoint that is still
 * being written cannot be given up without ending the processes that it is made of. */
static void job_ended(struct supervisor *s, int wait_status)
{
    bool done = is_done_status(wait_status);
    struct err why = {0};

    err_set(&why, ERR_GONE, "the job has ended");
    if (s->saving.is_active && !done) {
        enum saving_news news = saving_complete(&s->saving);

        if (news == SAVING_STOPPED) {
            kill_job(s);
            over(s, JOB_STOPPED, 0);
            return;
        }
    }
    if (done && !record_completion(s, wait_status))
        return;
    log_end(s, wait_status);
    fault_point("supervisor-done");
    if (s->saving.is_active)
        kill_job(s);
    saving_abandon(&s->saving, &why);
    if (s->job)
        s->engine->close(s->job);
    s->job = NULL;
    over(s, JOB_ENDED, wait_status);
}

/* ---- the beginning ---- */

/* Tells a run of the same job on this host that it is superseded and waits until its
 * copy is gone: two copies must not write to the same files. */
static int take_epoch(struct supervisor *s, struct err *e)
{
    char socket_name[CONTROL_NAME_SIZE];
    struct store_epoch before;
    struct err none = {0};
    struct utsname here;
    bool had_one = store_epoch_current(s->config->store, &before, &none) == 0;

    s->control = control_open(socket_name, e);
    if (!s->control)
        return -1;
    if (uname(&here) < 0)
        return err_sys(e, "ask for this host's name");
    /* Whoever looks for the supervisor compares with its own uname(2); config->host is
     * the name that people and Grid Engine use. */
    if (store_epoch_take(s->config->store, here.nodename, getpid(), socket_name,
                         &s->events.epoch, e) < 0)
        return -1;
    if (had_one)
        client_dislodge(&before);
    return 0;
}

static int restart_job(struct supervisor *s, struct err *e)
{
    struct ladder_result result;

    if (ladder_restart(s->config, &s->events, &result, e) < 0)
        return -1;
    if (!result.job)
        return 0;
    s->engine = result.engine;
    s->job = result.job;
    event_tell(&s->events, "restarted", event_generation(result.generation),
               "restarted from generation %" PRIu64, result.generation);
    return 0;
}

static void write_record(struct supervisor *s)
{
    struct err e = {0};
    json_t *record = record_make(s->config, &e);

    if (!record || store_job_write(s->config->store, s->events.epoch, record, &e) < 0)
        event_log(&s->events, LOG_WARNING, "warning", NULL, "job.json: %s", e.text);
    json_decref(record);
}

static void warn_of_engine(struct supervisor *s)
{
    struct err e = {0};

    if (s->engine->probe(&e) < 0)
        event_log(&s->events, LOG_WARNING, "warning", NULL,
                  "checkpoints will not be possible: %s", e.text);
}

/* As a shell does it: a line on stderr, and a status. */
static void not_executable(struct supervisor *s, const struct err *e)
{
    int code = e->sys == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;

    fprintf(stderr, "qckpt: %s\n", e->text);
    event_log(&s->events, LOG_ERROR, "ended", json_pack("{s:i}", "status", code), "%s",
              e->text);
    over(s, JOB_ENDED, W_EXITCODE(code, 0));
}

static int launch_job(struct supervisor *s, struct err *e)
{
    const struct job_config *c = s->config;
    const struct engine_launch how = {.path = c->path,
                                      .argv = c->argv,
                                      .envp = c->envp,
                                      .stdio = {0, 1, 2},
                                      .take_tty = s->args->take_tty,
                                      .mask = s->args->inherited.mask,
                                      .ignored = s->args->inherited.ignored};

    write_record(s);
    warn_of_engine(s);
    s->job = s->engine->launch(&how, e);
    if (s->job) {
        event_log(&s->events, LOG_INFO, "launched", NULL, "launched %s", c->path);
        return 0;
    }
    if (e->kind != ERR_SYS)
        return -1;
    not_executable(s, e);
    return 0;
}

/* A file size limit is the job's; our images may be larger. */
static void lift_own_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
}

static int start_job(struct supervisor *s, struct err *e)
{
    struct err none = {0};
    int code;

    if (store_done_read(s->config->store, &code, NULL, &none) == 0) {
        event_tell(&s->events, "ended", json_pack("{s:i}", "status", code),
                   "the job has ended before, with status %d", code);
        over(s, JOB_ENDED, W_EXITCODE(code, 0));
        return 0;
    }
    if (none.kind != ERR_NOTHING)
        event_log(&s->events, LOG_WARNING, "warning", NULL, "completion record: %s",
                  none.text);
    if (restart_job(s, e) < 0)
        return -1;
    if (!s->job && !s->config->may_launch)
        return err_set(e, ERR_NOTHING, "%s holds no checkpoint to restart from",
                       store_path(s->config->store));
    if (!s->job && launch_job(s, e) < 0)
        return -1;
    lift_own_limits();
    return 0;
}

/* ---- while it runs ---- */

/* From begin with stop until the image is durable nothing may reach the job. */
static bool stands_at_image(const struct supervisor *s)
{
    return s->saving.is_active && s->saving.stop;
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

/* The job did not stop at its image after all and runs on. */
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
    if (s->engine->reap(s->job, &status))
        job_ended(s, status);
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
        kill_job(s);
        over(s, JOB_STOPPED, 0);
        return;
    case SAVING_FENCED:
        err_set(&why, ERR_FENCED, "a later run of this job has taken over");
        superseded(s, &why);
        return;
    }
    s->interval_at_us = clock_us() + s->config->interval_s * UINT64_C(1000000);
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
    if (suspended && news == SAVING_GOES_ON && !stop)
        s->engine->stop_all(s->job, true);
    take_news(s, news);
}

static void check_fence(struct supervisor *s)
{
    struct err e = {0};

    s->fence_at_us = clock_us() + FENCE_CHECK_S * UINT64_C(1000000);
    if (store_epoch_check(s->config->store, s->events.epoch, &e) == 0) {
        s->fence_failed = false;
        return;
    }
    if (e.kind == ERR_FENCED) {
        superseded(s, &e);
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
    const struct job_status status = {.pid = getpid(),
                                      .epoch = s->events.epoch,
                                      .state = s->saving.is_active
                                                   ? JOB_STATE_CHECKPOINTING
                                               : s->suspended ? JOB_STATE_SUSPENDED
                                                              : JOB_STATE_RUNNING};

    control_answer(client, line, protocol_write_status(&status, line));
}

static void take_request(void *arg, struct control_client *client,
                         const struct protocol_request *request)
{
    struct supervisor *s = arg;

    switch (request->op) {
    case OP_CHECKPOINT:
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
    bool timer = s->config->interval_s > 0 && clock_us() >= s->interval_at_us;

    if (s->saving.is_active || s->is_over)
        return;
    if (queued)
        save(s, stop);
    else if (timer && s->suspended)
        take_news(s, SAVING_IDLE);
    else if (timer)
        save(s, false);
}

static int poll_timeout_ms(const struct supervisor *s)
{
    int fence = clock_until_ms(s->fence_at_us);
    int interval;

    if (s->config->interval_s == 0 || s->saving.is_active)
        return fence;
    interval = clock_until_ms(s->interval_at_us);
    return interval < fence ? interval : fence;
}

static void run(struct supervisor *s)
{
    enum { SIGNALS, LINK, CONTROL, SAVING, N_FDS };

    s->fence_at_us = clock_us() + FENCE_CHECK_S * UINT64_C(1000000);
    s->interval_at_us = clock_us() + s->config->interval_s * UINT64_C(1000000);
    while (!s->is_over) {
        struct pollfd fds[N_FDS] = {
            [SIGNALS] = {.fd = s->signals, .events = POLLIN},
            [LINK] = {.fd = s->args->link, .events = POLLIN},
            [CONTROL] = {.fd = control_fd(s->control), .events = POLLIN},
            [SAVING] = {.fd = saving_fd(&s->saving), .events = POLLIN}};

        poll(fds, N_FDS, poll_timeout_ms(s));
        if (fds[LINK].revents)
            front_died(s);
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

static int supervise(struct supervisor *s, struct err *e)
{
    if (become_supervisor(s, e) < 0 || take_epoch(s, e) < 0)
        return -1;
    if (start_job(s, e) < 0) {
        event_log(&s->events, LOG_ERROR, "warning", NULL, "nothing was started: %s",
                  e->text);
        return -1;
    }
    strangers_close(s->args->strangers);
    s->saving = (struct saving){.config = s->config,
                                .events = &s->events,
                                .control = s->control,
                                .engine = s->engine,
                                .job = s->job};
    run(s);
    return 0;
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
        control_close(s.control);
    if (s.sentinel > 0)
        sentinel_end(s.sentinel);
    send(args->link, &s.report, sizeof(s.report), MSG_NOSIGNAL);
    /* A front that was stopped with the job has to run to end. */
    if (s.suspended)
        kill(args->front, SIGCONT);
    _exit(0);
}
