/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/engine_native.h"

#include "base/err.h"
#include "base/io.h"
#include "base/proc.h"
#include "base/scope.h"
#include "base/start.h"
#include "native/memory/writer.h"
#include "native/native.h"
#include "native/save/checkpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILL_TRIES = 5000 }; /* of a millisecond */

struct engine_job {
    struct native_root root;
    struct checkpoint_memory memory;
    struct checkpoint *checkpoint; /* NULL: none under way */
    int dirfd;                     /* of the checkpoint; not owned */
    bool has_ended;                /* the root; `status` is its */
    int status;
};

static struct engine_job *job_new(struct err *e)
{
    struct engine_job *j = calloc(1, sizeof(*j));

    if (!j) {
        err_sys(e, "job");
        return NULL;
    }
    j->root.status_fd = -1;
    j->root.stdio[0] = j->root.stdio[1] = j->root.stdio[2] = -1;
    return j;
}

static void native_close(struct engine_job *j)
{
    if (!j)
        return;
    checkpoint_end(j->checkpoint, false);
    native_root_forget(&j->root);
    checkpoint_memory_free(&j->memory);
    free(j);
}

SCOPE_DEFINE(engine_job, struct engine_job *, native_close);
#define auto_engine_job SCOPE_USE(engine_job)

/* Children that the caller had before the job are not the job's. */
static int remember_children(struct engine_job *j, struct err *e)
{
    struct proc_pids children = {0};

    if (proc_children(getpid(), &children, e) < 0) {
        proc_pids_free(&children);
        return -1;
    }
    j->memory.ignored = children.pid;
    j->memory.n_ignored = children.n;
    return 0;
}

static struct engine_job *native_engine_launch(const struct engine_launch *how,
                                               struct err *e)
{
    auto_engine_job struct engine_job *j = job_new(e);

    if (!j || remember_children(j, e) < 0 ||
        native_start(&how->program, &j->root, e) < 0)
        return NULL;
    return take_ptr(j);
}

static struct engine_job *
native_engine_restart(int dirfd, const struct engine_restart *how, struct err *e)
{
    auto_engine_job struct engine_job *j = job_new(e);
    struct native_restart restart = {
        .stdio = {how->stdio[0], how->stdio[1], how->stdio[2]},
        .tmpdir = how->tmpdir,
        .job_script = how->job_script,
        .may_commit = how->may_commit,
        .arg = how->arg,
    };

    if (!j || remember_children(j, e) < 0 ||
        native_restore(dirfd, &restart, &j->root, e) < 0)
        return NULL;
    return take_ptr(j);
}

/* ---- checkpoints ---- */

static int native_begin(struct engine_job *j, const struct engine_request *r,
                        struct err *e)
{
    static const enum writer_compress compress[] = {
        [ENGINE_COMPRESS_AUTO] = WRITER_COMPRESS_AUTO,
        [ENGINE_COMPRESS_NONE] = WRITER_COMPRESS_NONE,
        [ENGINE_COMPRESS_ZSTD] = WRITER_COMPRESS_ZSTD,
        [ENGINE_COMPRESS_GZIP] = WRITER_COMPRESS_ZSTD,
    };
    const struct checkpoint_request request = {
        .dirfd = r->dirfd,
        .stop = r->stop,
        .freeze_timeout_s = r->freeze_timeout_s,
        .compress = compress[r->compress],
        .carry_tmpdir = r->carry_tmpdir,
        .tmpdir = r->tmpdir,
        .job_script = r->job_script,
    };

    j->dirfd = r->dirfd;
    j->checkpoint = checkpoint_begin(&j->root, &j->memory, &request, e);
    if (j->memory.root_ended) {
        j->has_ended = true;
        j->status = j->memory.root_status;
    }
    return j->checkpoint ? 0 : -1;
}

static int native_wait_fd(struct engine_job *j)
{
    return j->checkpoint ? writer_fd(checkpoint_writer(j->checkpoint)) : -1;
}

static bool native_is_finished(struct engine_job *j, struct engine_progress *p)
{
    if (!j->checkpoint)
        return true;
    return writer_poll(checkpoint_writer(j->checkpoint), &p->bytes, &p->total_bytes);
}

static int native_finish(struct engine_job *j, struct engine_stats *stats,
                         struct err *e)
{
    struct checkpoint_stats own;
    int rc = checkpoint_finish(j->checkpoint, &own, e);

    *stats = (struct engine_stats){
        .processes = own.processes,
        .threads = own.threads,
        .bytes = own.memory.bytes,
        .stored_bytes = io_bytes_in(j->dirfd),
        .pause_us = own.pause_us,
    };
    if (!checkpoint_is_stopped(j->checkpoint)) {
        checkpoint_end(j->checkpoint, false);
        j->checkpoint = NULL;
    }
    return rc;
}

static void native_end(struct engine_job *j, bool kill_job)
{
    if (kill_job && j->checkpoint) {
        j->has_ended = true;
        j->status = SIGKILL;
    }
    checkpoint_end(j->checkpoint, kill_job);
    j->checkpoint = NULL;
}

/* ---- children ---- */

static bool is_ours(const struct engine_job *j, pid_t pid)
{
    if (j->checkpoint && checkpoint_writer(j->checkpoint) &&
        writer_pid(checkpoint_writer(j->checkpoint)) == pid)
        return true;
    for (uint32_t i = 0; i < j->memory.n_ignored; i++)
        if (j->memory.ignored[i] == pid)
            return true;
    return false;
}

/* Collects the root and processes that lost their parents and became ours. One at a
 * time and by pid: others of our children are not to be collected here. */
static void reap_bare(struct engine_job *j)
{
    struct proc_pids children = {0};
    struct err ignored;
    int status;

    if (proc_children(getpid(), &children, &ignored) < 0)
        children.n = 0;
    for (size_t i = 0; i < children.n; i++) {
        pid_t pid = children.pid[i];

        if (is_ours(j, pid) || waitpid(pid, &status, WNOHANG) != pid)
            continue;
        if (pid == j->root.root && (WIFEXITED(status) || WIFSIGNALED(status))) {
            j->has_ended = true;
            j->status = status;
        }
    }
    proc_pids_free(&children);
    /* Its status was collected elsewhere and is not known: it was killed meanwhile. */
    if (!j->has_ended && kill(j->root.root, 0) < 0 && errno == ESRCH) {
        j->has_ended = true;
        j->status = SIGKILL;
    }
}

static void reap_restarted(struct engine_job *j)
{
    int status;

    if (read(j->root.status_fd, &status, sizeof(status)) == sizeof(status)) {
        j->has_ended = true;
        j->status = status;
    } else if (waitpid(j->root.init, &status, WNOHANG) == j->root.init &&
               !j->has_ended) {
        /* The namespace's first process was killed, and with it all others. */
        j->has_ended = true;
        j->status = SIGKILL;
    }
}

static enum engine_end native_reap(struct engine_job *j, int *status)
{
    freeze_late_release(&j->memory.late);
    if (!j->has_ended) {
        if (j->root.init)
            reap_restarted(j);
        else
            reap_bare(j);
    }
    *status = j->status;
    return j->has_ended ? ENGINE_ENDED : ENGINE_RUNS;
}

static int native_signal_group(struct engine_job *j, int signo)
{
    pid_t group = getpgid(j->root.root);

    if (j->has_ended || group <= 0)
        return 0;
    return kill(-group, signo);
}

static int native_stop_all(struct engine_job *j, bool stopped)
{
    return native_signal_group(j, stopped ? SIGSTOP : SIGCONT);
}

/* Kills whoever is below `parent`; returns how many there were. */
static unsigned kill_below(struct engine_job *j, pid_t parent)
{
    struct proc_pids children = {0};
    struct err ignored;
    unsigned n = 0;

    if (proc_children(parent, &children, &ignored) < 0)
        children.n = 0;
    for (size_t i = 0; i < children.n; i++) {
        if (is_ours(j, children.pid[i]))
            continue;
        kill(children.pid[i], SIGKILL);
        n += 1 + kill_below(j, children.pid[i]);
    }
    proc_pids_free(&children);
    return n;
}

static void native_kill(struct engine_job *j)
{
    int status;

    checkpoint_end(j->checkpoint, true);
    j->checkpoint = NULL;
    if (j->root.init) {
        kill(j->root.init, SIGKILL);
        for (int i = 0; i < KILL_TRIES && waitpid(j->root.init, &status, WNOHANG) == 0;
             i++)
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        return;
    }
    for (int i = 0; i < KILL_TRIES && kill_below(j, getpid()) > 0; i++) {
        native_reap(j, &status);
        reap_bare(j);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static int native_engine_probe(const struct engine_options *options, struct err *e)
{
    if (options && options->hosts_file)
        return err_set(e, ERR_REFUSED,
                       "the job runs on several hosts, and this engine saves the "
                       "processes of one host only");
    return native_probe(e);
}

const struct engine engine_native = {
    .name = "native",
    .probe = native_engine_probe,
    .launch = native_engine_launch,
    .restart = native_engine_restart,
    .begin = native_begin,
    .wait_fd = native_wait_fd,
    .is_finished = native_is_finished,
    .finish = native_finish,
    .end = native_end,
    .reap = native_reap,
    .signal_group = native_signal_group,
    .stop_all = native_stop_all,
    .kill = native_kill,
    .close = native_close,
};
