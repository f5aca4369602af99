/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The front: the process that the shepherd or the shell started. It relays signals to
 * the supervisor, outlives it, and ends as the job ended.
 */
#include "base/err.h"
#include "base/scope.h"
#include "job/job.h"
#include "job/orphans.h"
#include "job/strangers.h"
#include "job/supervisor.h"
#include "store/store.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { KILL_DEADLINE_S = 10, STATUS_TIMEOUT_S = 5 };

struct front {
    pid_t supervisor;
    int link, signals;
    const int *strangers;
    int supervisor_status; /* wait status, once it has ended */
};

/* The terminal goes to the job when it is ours to give: when this process leads the
 * session whose terminal it is (qsub -pty). A session has one terminal and a terminal
 * one session, so we let it go. The hang-up that the kernel sends us for that is
 * pending now, because it is blocked; ignoring the signal for a moment removes it. */
static bool give_up_tty(void)
{
    if (getsid(0) != getpid() || tcgetsid(STDIN_FILENO) != getpid() ||
        ioctl(STDIN_FILENO, TIOCNOTTY) < 0)
        return false;
    signal(SIGHUP, SIG_IGN);
    signal(SIGHUP, SIG_DFL);
    return true;
}

static int start_supervisor(struct front *front, struct supervisor_args *args,
                            struct err *e)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_sys(e, "open a socket pair");
    args->front = getpid();
    front->supervisor = fork();
    if (front->supervisor < 0) {
        err_sys(e, "fork the supervisor");
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    if (front->supervisor == 0) {
        close(ends[0]);
        close(front->signals);
        args->link = ends[1];
        supervisor_run(args);
    }
    close(ends[1]);
    front->link = ends[0];
    return 0;
}

/* Reaps; true when the supervisor was among the dead. Orphans of the job become ours
 * when the supervisor dies first. */
static bool supervisor_ended(struct front *front)
{
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == front->supervisor) {
            front->supervisor_status = status;
            ended = true;
        }
    return ended;
}

/* Reads what the supervisor has to say; true when it was the report. Until the job runs
 * the descriptors that are meant for it are kept: the caller may have to start it in
 * another way. */
static bool hear_supervisor(struct front *front, struct supervisor_report *report)
{
    ssize_t size;

    while ((size = recv(front->link, report, sizeof(*report), MSG_DONTWAIT)) == 1)
        strangers_close(front->strangers);
    return size == (ssize_t)sizeof(*report);
}

/* A signal sent by kill(2) is never lost and needs no buffer; the supervisor is our
 * child, so its pid cannot be anybody else's before we reap it. */
static bool wait_for_supervisor(struct front *front, struct supervisor_report *report)
{
    struct pollfd fds[] = {{.fd = front->signals, .events = POLLIN},
                           {.fd = front->link, .events = POLLIN}};
    bool has_report = false;

    for (;;) {
        struct signalfd_siginfo info;

        poll(fds, 2, -1);
        while (signals_read(front->signals, &info))
            if (signals_for_job(&info))
                kill(front->supervisor, info.ssi_signo);
        if (!has_report && hear_supervisor(front, report))
            has_report = true;
        /* Nothing more comes: what is left is to wait for its end. */
        if (fds[1].revents & POLLHUP)
            fds[1].fd = -1;
        if (supervisor_ended(front))
            return has_report || hear_supervisor(front, report);
    }
}

static int supervisor_died(const struct front *front, struct err *e)
{
    bool all_gone = orphans_kill(KILL_DEADLINE_S);
    int status = front->supervisor_status;

    if (WIFSIGNALED(status))
        err_set(e, ERR_GONE, "the supervisor was killed by signal %d (%s)",
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        err_set(e, ERR_GONE, "the supervisor ended unexpectedly with status %d",
                WEXITSTATUS(status));
    err_wrap(e, all_gone
                    ? "the job was killed, its last checkpoint stays"
                    : "the job was killed but some of its processes cannot die, its "
                      "last checkpoint stays");
    return -1;
}

static int take_report(const struct supervisor_report *report, int *wait_status,
                       enum job_outcome *outcome, struct err *e)
{
    if (report->e.kind != ERR_NONE) {
        *e = report->e;
        return -1;
    }
    *wait_status = report->wait_status;
    *outcome = report->outcome;
    return 0;
}

static int fill_in(struct job_config *config, struct utsname *here, struct err *e)
{
    if (uname(here) < 0)
        return err_sys(e, "ask for this host's name");
    if (!config->host)
        config->host = here->nodename;
    if (config->keep == 0)
        config->keep = STORE_KEEP_DEFAULT;
    store_set_keep(config->store, config->keep);
    return 0;
}

static int check_not_running(struct store *store, struct err *e)
{
    struct job_status status;
    struct err none = {0};

    if (job_request_status(store, STATUS_TIMEOUT_S, &status, &none) == 0 ||
        none.kind == ERR_TIMEOUT)
        return err_set(e, ERR_USAGE,
                       "the job in %s is running already: look with `qckpt show`, stop "
                       "it with `qckpt checkpoint --stop`",
                       store_path(store));
    return 0;
}

/* What lies in the directory of a new job would be taken for its past. */
static int check_fresh(struct store *store, struct err *e)
{
    auto_free struct store_generation *list = NULL;
    struct err none = {0};
    size_t count;
    int status;

    if (store_done_read(store, &status, NULL, &none) == 0)
        return err_set(e, ERR_USAGE,
                       "%s holds a job that has ended with status %d: choose another "
                       "directory with -d, or remove this one",
                       store_path(store), status);
    if (store_list(store, &list, &count, e) < 0)
        return -1;
    if (count > 0)
        return err_set(
            e, ERR_USAGE,
            "%s holds checkpoints of an earlier job: continue it with `qckpt "
            "restart`, or choose another directory with -d",
            store_path(store));
    return 0;
}

int job_run(const struct job_config *wanted, int *wait_status,
            enum job_outcome *outcome, struct err *e)
{
    auto_free int *strangers = NULL;
    auto_fd int signals = -1;
    struct job_config config = *wanted;
    struct supervisor_args args = {.config = &config};
    struct front front = {0};
    struct supervisor_report report;
    struct utsname here;
    int result;

    if (config.exclusive && check_not_running(config.store, e) < 0)
        return -1;
    if (config.must_launch && check_fresh(config.store, e) < 0)
        return -1;
    strangers = strangers_list(e);
    if (!strangers || fill_in(&config, &here, e) < 0)
        return -1;
    args.strangers = front.strangers = strangers;
    signals_take(&args.inherited);
    signals = signals_open(e);
    if (signals < 0)
        return -1;
    front.signals = signals;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_sys(e, "become a child subreaper");
    args.take_tty = give_up_tty();
    if (start_supervisor(&front, &args, e) < 0)
        return -1;
    if (wait_for_supervisor(&front, &report))
        result = take_report(&report, wait_status, outcome, e);
    else
        result = supervisor_died(&front, e);
    close(front.link);
    return result;
}

static _Noreturn void die_of(int signo)
{
    const struct rlimit none = {0};
    sigset_t set;

    /* The job has left its core file where one was wanted; ours would be misleading.
     * A core_pattern with a pipe ignores the limit but not the dumpable flag. */
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(signo, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signo);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    kill(getpid(), signo);
    _exit(128 + signo);
}

_Noreturn void job_exit_as(int wait_status)
{
    fflush(NULL);
    if (WIFSIGNALED(wait_status))
        die_of(WTERMSIG(wait_status));
    _exit(WEXITSTATUS(wait_status));
}
