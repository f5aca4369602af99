/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's life: launching or restarting it under a supervisor, asking that supervisor
 * for a checkpoint, and ending as the job ended.
 *
 *     caller (the "front")   relays signals; ends as the job ended
 *       supervisor           own session, event loop: engine, store, socket, timer
 *         sentinel           sees SIGSTOP and SIGCONT of the front's process group
 *         the job
 *
 * doc/design/supervisor.md says why there are so many.
 */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include "cpu/cpu.h"
#include "engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct settings;
struct store;

/* What job_run shall do. Nothing is copied or owned; it must live until job_run
 * returns. A member left zero has its stated default. */
struct job_config {
    struct store *store; /* the job's directory */
    /* For a launch; a job that has generations goes on with the engine that made them.
     */
    const struct engine *engine;
    const char *engine_name; /* what was asked for: for job_choose_engine */
    struct engine_options engine_options;
    /* Why a job that is launched runs without checkpoints: requests are refused with
     * this. Then `engine` only starts it. NULL: it can be saved. */
    const char *no_checkpoints;
    /* Starts the job, likewise without checkpoints, when `engine` cannot start it.
     * NULL: then it is not started. */
    const struct engine *instead;
    const char *passed_over; /* why "auto" did not take a better engine; or NULL */

    /* The command; needed only when it may be launched. */
    const char *path; /* looked up in PATH when it has no '/' */
    char *const *argv;
    char *const *envp;

    bool may_launch;     /* without a generation: launch; else ERR_NOTHING */
    bool must_launch;    /* a fresh directory: what lies there is ERR_USAGE */
    bool exclusive;      /* a run of the job on this host is ERR_USAGE; else it is
                          * superseded: its copy is killed, and this one starts */
    bool none_runs;      /* it is known that no earlier run is left on another host */
    uint64_t generation; /* restart from this one and no other; 0: the newest good */

    struct cpu_policy cpu; /* what generations of a launched job will need */
    bool ignore_cpu;       /* restart where the CPU lacks what the generation needs */

    unsigned interval_s;       /* own checkpoints; 0: none */
    unsigned keep;             /* generations; 0: 2 */
    unsigned freeze_timeout_s; /* 0: 30 */
    enum engine_compress compress;
    bool carry_tmpdir;      /* the contents of tmpdir travel with the image */
    const char *tmpdir;     /* this run's TMPDIR, or NULL */
    const char *job_script; /* a node-local file that must travel, or NULL */

    /* Asked when the job's directory has been removed under it: whether the job is over
     * for whoever started it, so that this copy must not go on. NULL: it is not. */
    bool (*is_given_up)(void *arg);
    void *arg;

    /* For job.json and people; NULL: left out. host NULL: this host's name. */
    const char *host, *user, *job, *task;
    const char *const *names; /* "K=V": more of the kind, ended by NULL; or NULL */
    bool tell_stderr; /* short lines about restart, stop and failures on stderr */
};

/* Sets from the site's file and the environment (job/settings.h) what QCKPT_INTERVAL,
 * QCKPT_KEEP, QCKPT_FREEZE_TIMEOUT, QCKPT_COMPRESS, QCKPT_CARRY_TMPDIR and
 * QCKPT_DMTCP_PREFIX, _PLUGINS and _ARGUMENTS stand for, and tmpdir from TMPDIR.
 *
 * `engine_name` comes from QCKPT_ENGINE; else, for a job of a checkpoint environment
 * (`ckpt_env`, may be NULL), from the file's line for that environment, or is "dmtcp"
 * when that is in the environment's name; else it is the file's; else "auto". `engine`
 * is one that can launch.
 *
 * ERR_USAGE names the variable that is wrong; the rest is set all the same. What is
 * wrong in the file becomes a problem of `settings`, which must live as long as
 * `config`. */
int job_config_read(struct job_config *config, struct settings *settings,
                    const char *ckpt_env, struct err *e);

/* Whether that is the name of an engine, or "auto"; else ERR_USAGE. */
int job_check_engine_name(const char *name, struct err *e);

/* Chooses the engine of a job that is to be launched by config->engine_name and the
 * engines' probes: sets config->engine, and config->no_checkpoints when it cannot be
 * had or passed_over, to a text in `choice`, which must live as long as `config`. True
 * when one was asked for by name. */
bool job_choose_engine(struct job_config *config, struct engine_choice *choice);

enum job_outcome {
    JOB_ENDED,      /* by itself, now or in an earlier run (completion record) */
    JOB_STOPPED,    /* at a checkpoint somebody asked for with `stop` */
    JOB_SUPERSEDED, /* a later run of the same job has taken over */
    JOB_LOST,       /* the engine failed it: it can go on from its last checkpoint */
};

/* Runs the job to its end. The calling process becomes the front: it must be
 * single-threaded and have no children; every signal stays blocked when this returns.
 * *wait_status is the job's as wait(2) gives it (JOB_ENDED only); a program that cannot
 * be executed ends with 127 or 126, after a line on stderr, as under a shell. Fails
 * with ERR_NOTHING when there is nothing to restart from, with ERR_WRONG_HOST when this
 * host's CPU lacks what the job's generation needs, and with whatever else kept the job
 * from being started; when the supervisor itself dies, every process of the job is
 * killed before this returns -1 with ERR_GONE, which stands for nothing else. */
int job_run(const struct job_config *config, int *wait_status,
            enum job_outcome *outcome, struct err *e);

/* The exit status of `run` and `restart` when the job was stopped at a checkpoint. */
enum { JOB_EXIT_STOPPED = 75 };

/* Ends this process as the job ended: with the same code, or of the same signal but
 * without a core file. */
_Noreturn void job_exit_as(int wait_status);

/* A published checkpoint. */
struct job_checkpoint {
    uint64_t generation;
    struct engine_stats stats;
    uint64_t time_us; /* from the request until durable */
};

/* How far the checkpoint is; `arg` is the caller's. total_bytes 0: not known yet. */
typedef void job_progress(void *arg, uint64_t bytes, uint64_t total_bytes);

/* Asks the job's supervisor on this host for a checkpoint and returns when it is
 * durable. With `stop` the job never runs past its image: it is killed after this has
 * been answered. Errors keep their kind: ERR_REFUSED says that the job runs on
 * untouched, ERR_GONE that no supervisor runs here (the text names the host of the
 * last one), ERR_TIMEOUT that there was no answer in timeout_s (0: wait for ever); the
 * checkpoint may then still be published. `progress` may be NULL. */
int job_request_checkpoint(struct store *store, bool stop, unsigned timeout_s,
                           job_progress *progress, void *arg,
                           struct job_checkpoint *result, struct err *e);

enum job_state { JOB_STATE_RUNNING, JOB_STATE_CHECKPOINTING, JOB_STATE_SUSPENDED };

/* A full set of flags. */
enum { JOB_CPU_NEEDS_SIZE = 6400 };

struct job_status {
    int pid; /* the supervisor's */
    uint64_t epoch;
    enum job_state state;
    /* Of a job that runs on several hosts: how many, and what all of them together need
     * of their CPUs, flags with blanks between them. Else 0 and "". */
    unsigned hosts;
    char cpu_needs[JOB_CPU_NEEDS_SIZE];
};

const char *job_state_name(enum job_state state);

/* What the supervisor is doing; errors as above. */
int job_request_status(struct store *store, unsigned timeout_s,
                       struct job_status *status, struct err *e);

#endif
