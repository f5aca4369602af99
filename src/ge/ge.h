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
    unsigned hosts;         /* how many, then; else 1 */
    const char *pe;         /* its parallel environment */
    bool is_array;          /* one of the tasks of an array job */
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

/* The same with those that wait (-s prs). */
struct ge_jobs *ge_jobs_ask_all(const char *user, unsigned timeout_ms, struct err *e);

/* The same from what qstat printed. */
struct ge_jobs *ge_jobs_parse(const char *xml, struct err *e);
void ge_jobs_free(struct ge_jobs *jobs);

/* `host` as Grid Engine calls it; NULL: any. */
enum ge_presence ge_jobs_find(const struct ge_jobs *jobs, const char *job,
                              const char *task, const char *host);
/* The same for any task of the job: GE_ABSENT or GE_PRESENT. */
enum ge_presence ge_jobs_find_any(const struct ge_jobs *jobs, const char *job);

/* Whether the job, or one of its tasks, waits for its first start. */
bool ge_jobs_has_new(const struct ge_jobs *jobs, const char *job);

/* Whether Grid Engine knows the job, from `qstat -j JOB -xml`, which nothing hides.
 * Fails as ge_jobs_ask does. */
int ge_job_is_known(const char *job, unsigned timeout_ms, bool *known, struct err *e);

/* The same from what qstat printed. */
int ge_job_known_parse(const char *xml, const char *job, bool *known, struct err *e);

/* ---- what a job asks for ---- */

/* A resource that a job shall ask for with -l, so that only hosts which have it take
 * the job. The strings stay the caller's. */
struct ge_request {
    const char *name, *value;
    bool at_least;      /* of an INT complex with the relation <=; else BOOL with == */
    const char *unless; /* not needed where the cluster has this INT complex: a request
                           for it says the same; or NULL */
};

/* The number that Grid Engine makes of a request for an INT or a BOOL; false when it
 * takes it for none. */
bool ge_request_number(const char *value, double *number);

/*
 * Raising a job's hard requests: what it asks for, and what it will ask for, when the
 * wanted requests are added.
 *
 * `qalter -l` replaces the whole hard list, of the whole job also when it is an array,
 * so the list is read first (qstat -j), and read again afterwards. What the job asks
 * for stays as it is, but for a wanted INT complex of which it asks less. What the
 * cluster does not have as a complex (qconf -sc) of the kind that is wanted is left
 * out: one unknown name, and qalter refuses everything.
 */
struct ge_raise;

/* Asks Grid Engine and changes nothing yet. ERR_REFUSED: this host is no submit or
 * admin host. ERR_GONE: there is no such job. ERR_CORRUPT: what qstat or qconf say
 * cannot be understood, or a request of the job's could not be given to qalter as it
 * is. Else fails as ge_jobs_ask. */
struct ge_raise *ge_raise_plan(const char *job, const struct ge_request *wanted,
                               size_t n, unsigned timeout_ms, struct err *e);

/* The same from what `qstat -j JOB -xml` and `qconf -sc` printed. */
struct ge_raise *ge_raise_parse(const char *job, const char *xml, const char *complexes,
                                const struct ge_request *wanted, size_t n,
                                struct err *e);
void ge_raise_free(struct ge_raise *r);

/* Names of complexes with spaces between them, for people; "": none. */
struct ge_raise_report {
    bool changes;       /* the job does not ask for all of it yet */
    unsigned asks;      /* for so many of the wanted it asks, or will */
    char added[512];    /* with their values */
    char unknown[512];  /* the cluster has no such complex */
    char unusable[512]; /* it has, but of another kind, or not requestable */
    char contrary[512]; /* the job asks for hosts without it, and will further on */
};
const struct ge_raise_report *ge_raise_report(const struct ge_raise *r);

/* The list for qalter, "h_rt=3600,cpu_level=3", when something changes; valid until
 * ge_raise_free. */
const char *ge_raise_list(const struct ge_raise *r);

/* Of what is wanted all that the cluster has as complexes, "cpu_level=3
 * cpuflag_avx512f=1". */
const char *ge_raise_required(const struct ge_raise *r);

/* What the cluster has of it. */
struct ge_offers {
    unsigned queues;    /* queue instances that qstat shows */
    unsigned enough;    /* of them those that have all that is wanted and known here */
    unsigned elsewhere; /* of those the ones on other hosts than `host` */
    unsigned hosts;     /* how many hosts those are on */
};

/*
 * From `qstat -F`, which has the values of hosts, of queues and of load sensors, as the
 * scheduler sees them. Nothing else that the job asks for is looked at, nor whether
 * there is room now. A host that does not answer has no values of load sensors.
 * `qalter -w v` answers nothing for a running job, and does not know load sensors.
 * With `only_there` the queue instances of `host` alone are looked at: in a cluster of
 * thousands of hosts that is far less for the queue master and for the network.
 */
int ge_raise_offers(const struct ge_raise *r, const char *host, bool only_there,
                    unsigned timeout_ms, struct ge_offers *offers, struct err *e);

/* The same from what qstat printed. */
int ge_offers_parse(const struct ge_raise *r, const char *xml, const char *host,
                    struct ge_offers *offers, struct err *e);

/* Calls qalter, unless nothing changes, and looks with qstat whether it took.
 * ERR_FAILED and ERR_REFUSED have qalter's words, or what is missing afterwards. */
int ge_raise_write(const struct ge_raise *r, unsigned timeout_ms, struct err *e);

/* ---- parallel environments ---- */

/* Whether Grid Engine itself starts the job's processes on other hosts (qrsh -inherit):
 * control_slaves in `qconf -sp PE`, sge_pe(5). Fails as ge_jobs_ask does. */
int ge_pe_controls_slaves(const char *pe, unsigned timeout_ms, bool *controls,
                          struct err *e);

/* The same from what qconf printed. */
int ge_pe_parse(const char *text, bool *controls, struct err *e);

#endif
