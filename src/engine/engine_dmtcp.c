/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/engine_dmtcp.h"

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/scope.h"
#include "dmtcp/capture.h"
#include "dmtcp/launch.h"
#include "dmtcp/ready.h"
#include "dmtcp/restart.h"
#include "dmtcp/session.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* The coordinator ends with the last process of the job, which may be seen first. */
enum { ROOT_END_TRIES = 100, ROOT_END_MS = 20 };

/* The first version that can save jobs of several hosts. */
enum { HOSTS_MAJOR = 4 };

/* A crash so soon after a restart is taken for the restart's. */
enum { RESTART_CRASH_S = 30 };

struct engine_job {
    struct session session;
    struct capture *capture; /* NULL: no checkpoint is under way */
    int dirfd;               /* of the checkpoint; not owned */
    unsigned timeout_s;      /* of the checkpoint */
    bool gzip;
    bool is_lost;
    time_t restarted_s; /* CLOCK_MONOTONIC; 0: launched */
};

static struct engine_job *job_new(struct err *e)
{
    struct engine_job *j = calloc(1, sizeof(*j));

    if (!j)
        err_sys(e, "job");
    return j;
}

static void dmtcp_close(struct engine_job *j)
{
    if (!j)
        return;
    capture_end(j->capture);
    session_close(&j->session);
    free(j);
}

static const char *prefix_of(const struct engine_options *options)
{
    return options ? options->dmtcp_prefix : NULL;
}

static const char *hosts_file_of(const struct engine_options *options)
{
    return options ? options->hosts_file : NULL;
}

static int dmtcp_probe(const struct engine_options *options, struct err *e)
{
    struct install found;
    char plugin[PATH_MAX];

    if (options && options->hosts_refused)
        return err_set(e, ERR_REFUSED, "%s", options->hosts_refused);
    if (install_find(prefix_of(options), &found, e) < 0)
        return -1;
    if (!hosts_file_of(options))
        return 0;
    /* Seen with 3.2: what executes ssh ends at once, with DMTCP's status. */
    if (found.major < HOSTS_MAJOR)
        return err_set(e, ERR_REFUSED,
                       "the job runs on several hosts, which needs DMTCP %d: %s is of "
                       "DMTCP %u.%u, under which ssh does not work",
                       HOSTS_MAJOR, found.launch, found.major, found.minor);
    return session_find_plugin(SESSION_HOSTS_PLUGIN, plugin, sizeof(plugin), e);
}

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* ---- starting ---- */

static int prepare(struct engine_job *j, const struct engine_launch *how,
                   char self[PATH_MAX], struct err *e)
{
    const struct session_how session = {
        .workdir = how->workdir,
        .prefix = prefix_of(how->options),
        .hosts_file = hosts_file_of(how->options),
        .stdio = {how->program.stdio[0], how->program.stdio[1], how->program.stdio[2]}};

    if (session_open(&j->session, &session, e) == 0 &&
        local_note(&j->session.local, how->tmpdir, how->job_script, e) == 0 &&
        session_find_self(self, PATH_MAX, e) == 0 &&
        session_link(&j->session, e) == 0 &&
        session_use_hosts(&j->session, how->hosts, e) == 0)
        return 0;
    /* ERR_SYS is for a program that cannot be executed: such a job has ended. What
     * DMTCP lacks is no fault of the program. */
    if (e->kind == ERR_SYS)
        e->kind = ERR_FAILED;
    return -1;
}

static int launch(struct engine_job *j, const struct engine_launch *how, struct err *e)
{
    char self[PATH_MAX];
    const struct launch_how job = {
        .job = &how->program,
        .self = self,
        .plugins = how->options ? how->options->dmtcp_plugins : NULL,
        .arguments = how->options ? how->options->dmtcp_arguments : NULL,
        .gzip = j->gzip,
    };

    return prepare(j, how, self, e) < 0 ? -1 : launch_job(&j->session, &job, e);
}

static struct engine_job *dmtcp_launch(const struct engine_launch *how, struct err *e)
{
    struct engine_job *j = job_new(e);

    if (!j)
        return NULL;
    /* What is started elsewhere by ssh does not know: see plugin/hosts.c. */
    j->gzip = how->compress == ENGINE_COMPRESS_GZIP && !hosts_file_of(how->options);
    if (launch(j, how, e) == 0)
        return j;
    if (j->session.door)
        session_kill(&j->session);
    dmtcp_close(j);
    return NULL;
}

static int open_restart(struct engine_job *j, int dirfd,
                        const struct engine_restart *how, struct err *e)
{
    struct session_how session = {
        .workdir = how->workdir,
        .prefix = prefix_of(how->options),
        .hosts_file = hosts_file_of(how->options),
        .stdio = {how->stdio[0], how->stdio[1], how->stdio[2]}};

    return restart_is_across_hosts(dirfd, &session.across_hosts, e) < 0
               ? -1
               : session_open(&j->session, &session, e);
}

static struct engine_job *dmtcp_restart(int dirfd, const struct engine_restart *how,
                                        struct err *e)
{
    const struct restart_how restart = {.dirfd = dirfd,
                                        .tmpdir = how->tmpdir,
                                        .may_commit = how->may_commit,
                                        .arg = how->arg,
                                        .hosts = how->hosts};
    struct engine_job *j = job_new(e);

    if (!j)
        return NULL;
    if (open_restart(j, dirfd, how, e) < 0) {
        free(j);
        return NULL;
    }
    if (restart_job(&j->session, &restart, &j->gzip, e) == 0) {
        j->restarted_s = now_s();
        return j;
    }
    dmtcp_close(j);
    return NULL;
}

/* ---- checkpoints ---- */

static int dmtcp_begin(struct engine_job *j, const struct engine_request *r,
                       struct err *e)
{
    const struct capture_how how = {.dirfd = r->dirfd,
                                    .stop = r->stop,
                                    .timeout_s = r->freeze_timeout_s,
                                    .gzip = j->gzip,
                                    .carry_tmpdir = r->carry_tmpdir ? r->tmpdir : NULL};

    if (j->capture)
        return err_set(e, ERR_REFUSED,
                       "DMTCP has not ended the checkpoint before this one yet");
    if (session_reap(&j->session))
        return err_set(e, ERR_GONE, "the job has ended");
    j->dirfd = r->dirfd;
    j->timeout_s = r->freeze_timeout_s;
    j->capture = capture_begin(&j->session, &how, e);
    return j->capture ? 0 : -1;
}

static int dmtcp_wait_fd(struct engine_job *j)
{
    return j->capture ? capture_fd(j->capture) : -1;
}

static bool dmtcp_is_finished(struct engine_job *j, struct engine_progress *p)
{
    return !j->capture || capture_step(j->capture, &p->bytes, &p->total_bytes);
}

/* DMTCP may not get a job going again of which a process was killed at its checkpoint.
 */
static void see_it_run(struct engine_job *j)
{
    struct err e = {0};

    if (session_reap(&j->session) || j->session.is_closed ||
        ready_wait_running(&j->session, j->timeout_s, &e) == 0 ||
        e.kind == ERR_GONE) /* which the door tells too */
        return;
    j->is_lost = true;
    log_error("DMTCP has lost the job at a checkpoint: %s", e.text);
}

/* `look`: whether it does. */
static void let_run(struct engine_job *j, bool look)
{
    bool asked = j->capture && capture_has_asked(j->capture);

    capture_end(j->capture);
    j->capture = NULL;
    if (asked && look)
        see_it_run(j);
}

static int dmtcp_finish(struct engine_job *j, struct engine_stats *stats, struct err *e)
{
    struct capture_stats own = {0};
    int rc = capture_finish(j->capture, &own, e);

    *stats = (struct engine_stats){.processes = own.processes,
                                   .threads = own.threads,
                                   .bytes = own.bytes,
                                   .stored_bytes = io_bytes_in(j->dirfd),
                                   .pause_us = own.pause_us};
    if (!capture_stops(j->capture) && !capture_is_overdue(j->capture))
        let_run(j, rc < 0);
    return rc;
}

static void dmtcp_end(struct engine_job *j, bool kill_job)
{
    if (kill_job)
        session_kill(&j->session);
    if (!kill_job && j->capture && capture_is_overdue(j->capture))
        return;
    let_run(j, !kill_job);
}

/* ---- the end ---- */

/* Whether the root ends by itself, now that the coordinator has. */
static bool root_ends(struct engine_job *j)
{
    for (int i = 0; i < ROOT_END_TRIES; i++) {
        if (session_reap(&j->session))
            return true;
        poll(NULL, 0, ROOT_END_MS);
    }
    return false;
}

/* Better to go on from the last generation than to stand still for ever. */
static void give_up_hopeless(struct engine_job *j)
{
    if (j->is_lost || !capture_is_hopeless(j->capture))
        return;
    j->is_lost = true;
    log_error("DMTCP has lost the job: it stopped it for a checkpoint and does not get "
              "on, though no process hinders it");
}

/* What ran on the other host is gone with the connection, or will be within a minute,
 * and nobody else may ever tell the job. */
static void look_at_links(struct engine_job *j)
{
    const char *host = j->is_lost ? NULL : links_broken(&j->session.links);

    if (!host || j->session.has_ended)
        return;
    j->is_lost = true;
    log_error("the connection to host %s of the job is broken: what ran there is lost",
              host);
}

static void look_at_door(struct engine_job *j)
{
    struct session *s = &j->session;

    if (j->capture && capture_is_overdue(j->capture)) {
        if (!capture_late(j->capture)) {
            give_up_hopeless(j);
            return;
        }
        capture_end(j->capture);
        j->capture = NULL;
    }
    if (j->capture) /* it hears for itself */
        return;
    session_release_foreign(s);
    session_tell(s);
    if (s->is_closed && !s->has_ended && !j->is_lost && s->coordinator_status == 0 &&
        !root_ends(j)) {
        j->is_lost = true;
        log_error("DMTCP has lost the job, its coordinator has ended: %s", s->why);
    }
}

/* A root that has ended may have done so for want of it. */
static void look_at_coordinator(struct engine_job *j)
{
    struct session *s = &j->session;

    if (j->is_lost || !session_lost_coordinator(s))
        return;
    j->is_lost = true;
    log_error("DMTCP has lost the job, its coordinator has ended: %s", s->why);
}

/* DMTCP 4.2 restarts some programs (Python with threads and subprocesses) to a crash.
 * From a job's own crash that cannot be told, but that one comes again at the next try:
 * the job is then put before a person, with its checkpoint. */
static bool has_crashed_at_restart(const struct engine_job *j)
{
    int status = j->session.status;
    int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    return j->restarted_s != 0 && now_s() - j->restarted_s < RESTART_CRASH_S &&
           (signo == SIGSEGV || signo == SIGBUS || signo == SIGABRT ||
            signo == SIGILL || signo == SIGFPE);
}

static enum engine_end dmtcp_reap(struct engine_job *j, int *status)
{
    char said[700];

    session_reap(&j->session);
    look_at_door(j);
    look_at_coordinator(j);
    look_at_links(j);
    *status = j->session.status;
    if (j->is_lost)
        return ENGINE_LOST;
    if (!j->session.has_ended)
        return ENGINE_RUNS;
    if (has_crashed_at_restart(j)) {
        j->is_lost = true;
        log_error("the job died of signal %d (%s) within %d s of its restart by DMTCP",
                  WTERMSIG(*status), strsignal(WTERMSIG(*status)), RESTART_CRASH_S);
        return ENGINE_LOST;
    }
    if (!session_has_failed(&j->session) && !session_has_error(&j->session))
        return ENGINE_ENDED;
    j->is_lost = true;
    session_last_words(&j->session, said, sizeof(said));
    log_error("DMTCP has failed in %s: %s",
              session_has_failed(&j->session) ? "the job's first process"
                                              : "a process of the job",
              said);
    return ENGINE_LOST;
}

/* Not during a checkpoint: that hears for itself, and one that is not done with what it
 * has heard would make the caller run in circles. One that is overdue is looked at now
 * and then: it may never end. */
static int dmtcp_watch_fd(struct engine_job *j)
{
    bool hears = j->capture && !capture_is_overdue(j->capture);

    if (j->capture && !hears && !j->session.is_closed)
        return capture_fd(j->capture);
    return hears || j->session.is_closed ? -1 : door_fd(j->session.door);
}

/* DMTCP stops the job by SIGUSR2, and lets nobody else handle it: a process that gets
 * it from somebody else asks for a checkpoint. Grid Engine warns a job by it. */
static int dmtcp_signal_group(struct engine_job *j, int signo)
{
    pid_t group = j->session.has_ended ? -1 : getpgid(j->session.root);

    if (group > 0 && signo == SIGUSR2) {
        log_warning("SIGUSR2 is kept from the job: DMTCP uses it itself, and a job "
                    "under it cannot handle it");
        return 0;
    }
    return group <= 0 ? 0 : kill(-group, signo);
}

/* All, not the group: DMTCP gives processes of a restarted job other groups. */
static int dmtcp_stop_all(struct engine_job *j, bool stopped)
{
    auto_processes struct processes all = {0};
    struct err ignored = {0};

    if (session_processes(&j->session, &all, &ignored) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        kill(all.process[i].pid, stopped ? SIGSTOP : SIGCONT);
    return 0;
}

static void dmtcp_kill(struct engine_job *j)
{
    session_kill(&j->session);
    capture_end(j->capture);
    j->capture = NULL;
}

const struct engine engine_dmtcp = {
    .name = "dmtcp",
    .needs_workdir = true,
    .stands_while_writing = true,
    .probe = dmtcp_probe,
    .launch = dmtcp_launch,
    .restart = dmtcp_restart,
    .begin = dmtcp_begin,
    .wait_fd = dmtcp_wait_fd,
    .is_finished = dmtcp_is_finished,
    .finish = dmtcp_finish,
    .end = dmtcp_end,
    .reap = dmtcp_reap,
    .watch_fd = dmtcp_watch_fd,
    .signal_group = dmtcp_signal_group,
    .stop_all = dmtcp_stop_all,
    .kill = dmtcp_kill,
    .close = dmtcp_close,
};
