/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job as Grid Engine describes it: the environment of its processes, the execution
 * daemon's spool directory, the command line given to a starter_method, and what qstat
 * knows. All of it is input from outside and checked here.
 *
 * Sources: queue_conf(5), checkpoint(5), qsub(1), and the shepherd of Son of Grid
 * Engine 8.1.9 (daemons/shepherd/builtin_starter.c, daemons/execd/exec_job.c,
 * clients/qrsh/qrsh_starter.c).
 */
#ifndef GE_GE_H
#define GE_GE_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Exit statuses of a job or its starter that mean something to Grid Engine. */
enum {
    GE_EXIT_REQUEUE = 99, /* the job is queued again, at once */
    GE_EXIT_ERROR = 100,  /* the job waits in state Eqw for qmod -cj or qdel */
};

/* ---- the job ---- */

enum { GE_ID_SIZE = 16, GE_USER_SIZE = 256 };

/* Whose hook or starter this process is. The strings are those of the environment and
 * valid as long as nobody changes it; NULL: not set or empty. */
struct ge_job {
    char job[GE_ID_SIZE];  /* "4711" */
    char task[GE_ID_SIZE]; /* "1" for a job that is no array job */
    char user[GE_USER_SIZE];
    const char *ckpt_env, *ckpt_dir; /* ckpt_dir is absolute */
    const char *spool_dir;
    const char *tmpdir;
    const char *job_script;
    const char *hosts_file; /* PE_HOSTFILE of a job that has more than one host */
    bool restarted; /* RESTARTED: not its first run. A hint only: never proof of a
                       checkpoint, or of there being none */
    bool migrated;  /* RESTARTED is 2: the run before ended, at a migration or with 99;
                       else it may still be running somewhere */
};

/* From the environment. ERR_USAGE names the variable that is missing or wrong. A job
 * outside a checkpoint environment is a success with ckpt_env NULL. */
int ge_job_read(struct ge_job *j, struct err *e);

/* The same for a hook, which may also be given `$job_id $ja_task_id $ckpt_dir`
 * (checkpoint(5)) as its arguments; they come before the environment's. */
int ge_job_read_hook(struct ge_job *j, int argc, char **argv, struct err *e);

/* ---- the spool directory of this run ---- */

/* <spool_dir>/config: key=value lines, written by the execution daemon. Values may hold
 * anything that a user submitted; of a repeated key the first counts, which stands
 * before anything of the user's. */
struct ge_spool;

struct ge_spool *ge_spool_read(const char *spool_dir, struct err *e);

/* The same from text, which is copied. */
struct ge_spool *ge_spool_parse(const char *text, size_t size, struct err *e);
void ge_spool_free(struct ge_spool *s);

/* NULL when there is no such key, no value, or no spool (`s` is NULL). */
const char *ge_spool_get(const struct ge_spool *s, const char *key);

/* Whether a key has the value 1. */
bool ge_spool_flag(const struct ge_spool *s, const char *key);

/* A task of a parallel job (qrsh -inherit) and not the job itself. */
bool ge_spool_is_pe_task(const struct ge_spool *s);

/* Whether the job's checkpoint environment calls our hooks: one of its commands is a
 * qckpt-... , or has exactly one of the names dmtcp_checkpoint, dmtcp_migrate,
 * dmtcp_migrate_cpu and dmtcp_cleanup. Without a spool, whether the environment's own
 * name has qckpt or dmtcp in it. */
bool ge_is_ours(const struct ge_job *j, const struct ge_spool *s);

/* ---- how Grid Engine would have started the job ---- */

/* What decides it, see ge_start_read. */
struct ge_start {
    const char *mode;  /* shell_start_mode */
    const char *shell; /* NULL: none was given */
    bool login_shell;
    bool binary;   /* -b y */
    bool no_shell; /* -shell n */
    bool qrsh;     /* the words of `qrsh command` or `qrsh -inherit host command` */
    const char *user_shell; /* for qrsh: from the password file */
    const char *job_script; /* the script or program as Grid Engine knows it */
};

/* From the SGE_STARTER_ variables, the spool (may be NULL) and, for qrsh, the parent
 * process. `argv` are the starter's arguments. */
void ge_start_read(struct ge_start *start, const struct ge_job *j,
                   const struct ge_spool *s, int argc, char **argv);

/* A program to execute. `path` and the words of `argv` belong to the arguments of
 * ge_command_make or to the command itself. */
struct ge_command {
    const char *path; /* looked up in PATH when it has no '/' */
    char **argv;
    char *argv0, *line; /* owned words */
    bool script;        /* start->job_script is a spooled script that the job reads */
};

/* What Grid Engine would have executed, had there been no starter_method that got
 * `argv` as its arguments (argv[0] is the starter's own). ERR_USAGE: too few. */
int ge_command_make(const struct ge_start *start, int argc, char **argv,
                    struct ge_command *c, struct err *e);
void ge_command_free(struct ge_command *c);
#define auto_ge_command __attribute__((cleanup(ge_command_free)))

/* Whether the command's program, and the interpreter its #! line names, can be
 * executed: what execvpe(3) would fail with, known before anything is set up for the
 * job. */
int ge_command_check(const struct ge_command *c, struct err *e);

/* Removes from the environment what only a starter_method gets. */
void ge_start_clean_environment(void);

/* ---- what the queue master knows ---- */

enum ge_presence {
    GE_ABSENT,    /* not in the list */
    GE_PRESENT,   /* it runs */
    GE_ELSEWHERE, /* it runs on another host, or waits to */
    GE_DELETED,   /* qdel was called and its end is awaited */
};

/* The running jobs of one user, from `qstat -u USER -s rs -xml`. Defaults of the site
 * or of the user (sge_qstat(5)) may hide some: one that is missing is not gone, see
 * ge_job_is_known. */
struct ge_jobs;

/* ERR_REFUSED when the queue master answers that this host is no submit or admin host.
 * Fails too when qstat cannot be found or run, says anything that is not a list of
 * jobs, or takes longer. */
struct ge_jobs *ge_jobs_ask(const char *user, unsigned timeout_ms, struct err *e);

/* The same from what qstat printed. */
struct ge_jobs *ge_jobs_parse(const char *xml, struct err *e);
void ge_jobs_free(struct ge_jobs *jobs);

/* `host` as Grid Engine calls it; NULL: any. */
enum ge_presence ge_jobs_find(const struct ge_jobs *jobs, const char *job,
                              const char *task, const char *host);
/* The same for any task of the job: GE_ABSENT or GE_PRESENT. */
enum ge_presence ge_jobs_find_any(const struct ge_jobs *jobs, const char *job);

/* Whether Grid Engine knows the job, from `qstat -j JOB -xml`, which nothing hides.
 * Fails as ge_jobs_ask does. */
int ge_job_is_known(const char *job, unsigned timeout_ms, bool *known, struct err *e);

/* The same from what qstat printed. */
int ge_job_known_parse(const char *xml, const char *job, bool *known, struct err *e);

#endif
