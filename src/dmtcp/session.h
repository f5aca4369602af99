/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a run of a job under DMTCP has: the programs, the coordinator behind its door,
 * the directories they write to, and the processes.
 *
 *     WORKDIR/images      where DMTCP writes images
 *     WORKDIR/dmtcp.log   what DMTCP says inside of the job's processes
 *     /tmp/qckpt-dmtcp-XXXXXX    what it maps and listens at: on this host
 */
#ifndef DMTCP_SESSION_H
#define DMTCP_SESSION_H

#include "dmtcp/door.h"
#include "dmtcp/hosts.h"
#include "dmtcp/install.h"
#include "dmtcp/links.h"
#include "dmtcp/local.h"
#include "dmtcp/processes.h"
#include "dmtcp/words.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct err;

/* The exit status of a process in which DMTCP has failed. */
enum { SESSION_FAIL_STATUS = 213 };

struct session {
    struct install in;
    struct door *door; /* NULL: not opened, or closed */
    char workdir[PATH_MAX], images[PATH_MAX], log[PATH_MAX], tmpdir[PATH_MAX];
    int images_fd;
    int tmpdir_fd; /* locked as long as the directory is used */
    struct local local;
    struct hosts hosts; /* n is 0 for a job on this host only */
    struct links links; /* to those hosts */
    int stdio[3];       /* copies of what the run was given */
    pid_t root;         /* the job's root process; 0: none yet */
    bool has_ended;     /* the root; `status` is how, as wait(2) gives it */
    int status;
    pid_t *ignored; /* children that the caller had before; owned */
    size_t n_ignored;
    pid_t helper;                  /* a child of ours that is not the job's, or 0 */
    bool is_closed;                /* DOOR_CLOSED has been heard */
    char why[DOOR_TEXT_SIZE];      /* ... and this */
    int coordinator_status;        /* ... see door_end_status */
    char stranger[DOOR_TEXT_SIZE]; /* to be logged; "" for none */
};

/* What a run is given; nothing is kept. */
struct session_how {
    const char *workdir;
    const char *prefix;     /* NULL: where it is found */
    const char *hosts_file; /* PE_HOSTFILE, or NULL */
    bool across_hosts;      /* the job was so, though it has but this one now */
    int stdio[3];
};

/* Makes the directories and opens the door. On failure nothing is left. */
int session_open(struct session *s, const struct session_how *how, struct err *e);

/* Connects to the other hosts. */
int session_link(struct session *s, struct err *e);

/* Asks the gate for one of them, where nothing of the job is yet; see struct gate_host.
 */
int session_use_host(struct session *s, size_t link, const char *const *kept, size_t n,
                     const struct gate *gate, struct err *e);

/* The same for all of them, of a job that is launched. NULL: any will do. */
int session_use_hosts(struct session *s, const struct gate *gate, struct err *e);

/* One of ours for DMTCP, SESSION_*_PLUGIN. ERR_REFUSED: it is not installed. */
#define SESSION_EXEC_PLUGIN "dmtcp-exec.so"   /* for every job under DMTCP 4 */
#define SESSION_PIPES_PLUGIN "dmtcp-pipes.so" /* for every job */
#define SESSION_HOSTS_PLUGIN "dmtcp-hosts.so" /* for jobs of several hosts */
int session_find_plugin(const char *name, char *out, size_t size, struct err *e);

/* This program, by which others start it once more. */
int session_find_self(char *out, size_t size, struct err *e);

/* Closes the door and removes the node-local directory. The job has ended. */
void session_close(struct session *s);

/* "-j -h ADDRESS -p PORT --ckptdir D --tmpdir T": what dmtcp_launch and dmtcp_restart
 * both take. */
int session_arguments(const struct session *s, struct words *argv, struct err *e);

/* A copy of `envp` without what another DMTCP may have set, and with what these
 * programs are to find. */
int session_environment(const struct session *s, char *const *envp, struct words *out,
                        struct err *e);

/* The next event that a checkpoint or a restart is about. Strangers are kept for
 * session_tell. */
enum door_event session_hear(struct session *s);

/* Lets a checkpoint pass that somebody else has asked the coordinator for. To be called
 * while none of ours is under way. */
void session_release_foreign(struct session *s);

/* Logs what session_hear has kept. Not while the job stands still. */
void session_tell(struct session *s);

/* The job's live processes on this host; and those of them that are to be saved. */
int session_processes(const struct session *s, struct processes *out, struct err *e);
int session_own_processes(const struct session *s, struct processes *out,
                          struct err *e);

/* Collects the job's children that have ended. Whether `root` is or was one of them. */
bool session_reap(struct session *s);

/* Whether the root has ended because DMTCP failed in it. */
bool session_has_failed(const struct session *s);

/*
 * Whether the coordinator has ended in another way than by itself: it was killed, or
 * has failed. What the job's processes make of that, its end by SIGPIPE for instance,
 * is not the job's result. A root that has ended so may be noticed first: then this
 * waits until the coordinator ends too, or some seconds have passed.
 */
bool session_lost_coordinator(struct session *s);

/* Whether DMTCP has ended any process of the job in this run. What the others have made
 * of that, as a shell that takes it for the end of a command, is not the job's result.
 */
bool session_has_error(const struct session *s);

/* Kills every process of the job, until none is left or some seconds have passed. */
void session_kill(struct session *s);

/* Removes everything in the directory of images; `all` false: only images that are
 * complete, as a process may be about to rename its own. */
int session_clear_images(struct session *s, bool all, struct err *e);

/* What DMTCP says went wrong, in one line: its first error in dmtcp.log, or the last
 * that is there. */
void session_last_words(const struct session *s, char *out, size_t size);

#endif
