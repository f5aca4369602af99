/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the supervisor asks of a checkpoint engine.
 *
 * The supervisor is single-threaded and driven by events; an engine call returns soon,
 * and what takes long (writing memory) runs beside it and is announced by a descriptor.
 * The caller of launch or restart is a child subreaper: the job's processes are its
 * descendants.
 *
 * An engine writes into a directory that it is given and never learns where that is
 * published. Every file X it leaves there has its chunk sums X.sum beside it
 * (base/sum.h).
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/gate.h"
#include "base/start.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* One running job under an engine; opaque, made by launch or restart. */
struct engine_job;

/* What sites and users say about engines; NULL: nothing. Not owned. */
struct engine_options {
    const char *dmtcp_prefix;    /* DMTCP's programs are in its bin/ */
    const char *dmtcp_plugins;   /* absolute paths, separated by colons */
    const char *dmtcp_arguments; /* of dmtcp_launch, separated by blanks */
    const char *hosts_file;      /* PE_HOSTFILE of a job that runs on several hosts */
    const char *hosts_refused;   /* why no engine can save what runs on the others */
};

/* How images are compressed; an engine that has not this one takes its own. */
enum engine_compress {
    ENGINE_COMPRESS_AUTO,
    ENGINE_COMPRESS_NONE,
    ENGINE_COMPRESS_ZSTD,
    ENGINE_COMPRESS_GZIP
};

/* How a job is started. Nothing is copied: it must live until launch returns. */
struct engine_launch {
    /* The program; the supervisor itself blocks all signals and ignores none. */
    struct start_how program;
    const struct engine_options *options;
    const char *workdir;    /* for engines with needs_workdir */
    const char *tmpdir;     /* the job's TMPDIR, or NULL */
    const char *job_script; /* the node-local file that the job is read from, or NULL */
    enum engine_compress compress; /* of its images, for engines that fix that now */
    const struct gate *hosts;      /* asked for each of a job's other hosts, or NULL */
};

/* What a restart needs besides the image. */
struct engine_restart {
    const struct engine_options *options;
    const char *workdir; /* for engines with needs_workdir */
    int stdio[3];
    const char *tmpdir;     /* this run's TMPDIR, or NULL */
    const char *job_script; /* this run's copy of the job script, or NULL */
    /* Asked when all else is done, right before files are changed and the job runs: a
     * restart takes its time, and somebody else may have taken over meanwhile. -1 gives
     * the restart up. NULL: go on. */
    int (*may_commit)(void *arg, struct err *e);
    void *arg;
    /* Asked first of all, for each host of a job of several; NULL: any will do. */
    const struct gate *hosts;
};

/* What a checkpoint shall do. */
struct engine_request {
    int dirfd; /* where the files go; stays open until the end */
    bool stop; /* leave the job frozen at the image, see engine->end */
    unsigned freeze_timeout_s;
    bool carry_tmpdir;      /* the contents of TMPDIR travel with the image */
    const char *tmpdir;     /* the job's TMPDIR, or NULL */
    const char *job_script; /* a node-local file that must travel, or NULL */
    enum engine_compress compress;
};

/* What a checkpoint was. */
struct engine_stats {
    uint32_t processes;
    uint32_t threads;
    uint64_t bytes;        /* memory saved, before compression */
    uint64_t stored_bytes; /* size of all files */
    uint64_t pause_us;     /* how long the job stood still; with stop: until frozen */
};

/* How far a checkpoint is. */
struct engine_progress {
    uint64_t bytes, total_bytes;
};

/* What has become of a job's root process. */
enum engine_end {
    ENGINE_RUNS,
    ENGINE_ENDED, /* by itself, or by a signal from somebody */
    ENGINE_LOST,  /* the engine failed it: what it did since its checkpoint is lost, and
                   * its status means nothing */
};

struct engine {
    const char *name; /* "native", "dmtcp" */

    /* It drives other programs, which need a directory with a name: private to this
     * run, empty, on the file system of the generations, removed after close. */
    bool needs_workdir;

    /* The job stands still until `finish`: meanwhile it must be sent no signal, nor be
     * stopped or continued. */
    bool stands_while_writing;

    /* Whether this engine can save and restart jobs here. On failure `e` says what is
     * missing and which sysctl, package or profile provides it. */
    int (*probe)(const struct engine_options *options, struct err *e);

    /* Starts the job. The result is owned by the caller, who ends it with `close`. A
     * program that cannot be executed is ERR_SYS with execve's errno in e->sys. */
    struct engine_job *(*launch)(const struct engine_launch *how, struct err *e);

    /* Restarts the job from the files in `dirfd`. When it fails, nothing of the job has
     * run and nothing of it is left. What the error says of the files decides whether
     * the work in them is given up (job/failure.h): damage is told of what is proven
     * only, and e->momentary of what they have no part in. */
    struct engine_job *(*restart)(int dirfd, const struct engine_restart *how,
                                  struct err *e);

    /* Begins a checkpoint. Returns 0 when the job has been saved as far as it had to
     * stand still: it runs again (or, with stop, stands still) and writing goes on.
     * Returns -1 with ERR_REFUSED, ERR_TIMEOUT... when the job runs on as if nothing
     * had been; the files in dirfd are then worthless. e->momentary says that another
     * try may succeed soon. ERR_GONE: the job ended meanwhile. */
    int (*begin)(struct engine_job *j, const struct engine_request *r, struct err *e);

    /* While a checkpoint is being written: a descriptor that becomes readable when
     * `finish` will not block (or when there is progress to read); -1 when none is. */
    int (*wait_fd)(struct engine_job *j);
    bool (*is_finished)(struct engine_job *j, struct engine_progress *p);

    /* Ends the writing, blocking if needed: all files are complete and synced, or -1.
     * With stop the job still stands still, whatever the result. */
    int (*finish)(struct engine_job *j, struct engine_stats *stats, struct err *e);

    /* After begin with stop, once: kills the job at its image, or lets it run on. */
    void (*end)(struct engine_job *j, bool kill_job);

    /* To be called on SIGCHLD. Collects children. When the job's root process has ended
     * its wait status is in *status; descendants may still run (see `kill`). */
    enum engine_end (*reap)(struct engine_job *j, int *status);

    /* A descriptor that becomes readable when `reap` should be called though no child
     * has ended. NULL: there is none. */
    int (*watch_fd)(struct engine_job *j);

    /* The process that runs the job's root, as the caller sees it: for killpg-like
     * signals. `signal_group` sends to the root's process group, as a shepherd would.
     */
    int (*signal_group)(struct engine_job *j, int signo);
    /* Stops or continues every process of the job (suspend without checkpoint). */
    int (*stop_all)(struct engine_job *j, bool stopped);

    /* Kills every process of the job, abandons a checkpoint under way, and returns when
     * none is left (or after a few seconds for those that cannot die: uninterruptible).
     */
    void (*kill)(struct engine_job *j);

    /* Releases what the engine holds; the job must have ended. NULL is allowed. */
    void (*close)(struct engine_job *j);
};

/* All of them, the one that "auto" prefers first; ended by NULL. */
extern const struct engine *const engine_table[];

/* To be called first by the main of a program that launches jobs: an engine may start
 * it once more as a step on the way to the job, and this does not return then. */
void engine_become_job(int argc, char **argv);

/* The engine of that name, or NULL and ERR_USAGE. */
const struct engine *engine_find(const char *name, struct err *e);

/* Not an engine: the first of the table that can work here. */
#define ENGINE_AUTO "auto"

struct engine_choice {
    const struct engine *engine; /* NULL: jobs cannot be saved here */
    char why[2048];              /* "NAME: REASON; ..." of each that was passed over */
};

/* Chooses for a new job, by the engines' probes. `name` is ENGINE_AUTO or an engine of
 * the table: then that one or none. A name that is not there is ERR_USAGE. */
int engine_choose(const char *name, const struct engine *const *table,
                  const struct engine_options *options, struct engine_choice *choice,
                  struct err *e);

#endif
