/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The checkpoints of one job in a directory on a shared file system.
 *
 * A generation is staged under a temporary name, completed, and then published by one
 * rename. What is published is whole and never changes; the one before stays until the
 * next is durable. Nothing needs a lock: runs of the same job are told apart by an
 * epoch, and a run that a later one has superseded can change nothing any more
 * (ERR_FENCED). doc/format/store.md specifies every file.
 *
 * Every function that takes an `epoch` checks it first and again right before the call
 * that makes the change. One thread at a time uses a store; several processes, also on
 * different hosts, may.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct json_t; /* jansson's json_t */
struct store;
struct store_stage;

enum { STORE_KEEP_DEFAULT = 2 };

/* ---- opening ---- */

/*
 * Opens <ckpt_dir>/<user>/<job>.<task>/. With `create`, what is missing below ckpt_dir
 * is made (0700); without, a missing directory is ERR_NOTHING. ckpt_dir may belong to
 * anyone but must be sticky when others can write to it; everything below is refused
 * (ERR_UNSAFE) unless it is a directory of ours (geteuid) and closed to others.
 */
struct store *store_open_job(const char *ckpt_dir, const char *user, const char *job,
                             const char *task, bool create, struct err *e);

/*
 * Opens `path` itself as a job's directory, for use without Grid Engine. The same
 * rules; a parent that everybody can write to must be sticky. With `create`, an
 * existing directory that holds something else than a job is refused (ERR_USAGE).
 */
struct store *store_open_dir(const char *path, bool create, struct err *e);

/* NULL is allowed. */
void store_close(struct store *s);
SCOPE_DEFINE(store, struct store *, store_close);
#define auto_store SCOPE_USE(store)

/* The directory as a path, for messages; as a descriptor, valid until store_close. */
const char *store_path(const struct store *s);
int store_dirfd(const struct store *s);

/* How many generations store_prune keeps; at least 1. */
void store_set_keep(struct store *s, unsigned keep);

/* ---- epochs: which run of the job is the current one ---- */

struct store_epoch {
    uint64_t epoch;
    pid_t pid; /* the supervisor's, on `host` while that has `boot_id` */
    char host[256];
    char boot_id[40];
    char socket[108]; /* abstract name without the NUL; may be empty */
    char started[STR_TIME_SIZE];
};

/*
 * Begins a run: takes an epoch higher than every one before, durably. Of several that
 * race each gets a different one, and all but the highest are ERR_FENCED now or at
 * their next check. What earlier runs had begun to write is removed, so that none of it
 * can be published afterwards. A completion record must be looked for after this call:
 * until then the run before may still have written one.
 */
int store_epoch_take(struct store *s, const char *host, pid_t pid, const char *socket,
                     uint64_t *epoch, struct err *e);

/*
 * The run that came right before the epoch that was taken: whoever must let go now.
 * That is not always what store_epoch_current said before, for it may have begun a
 * moment ago. Also set when store_epoch_take failed with ERR_FENCED. False: there was
 * none, or nothing is known of it.
 */
bool store_epoch_before(const struct store *s, struct store_epoch *before);

/* The current run; ERR_NOTHING when none ever began. */
int store_epoch_current(struct store *s, struct store_epoch *current, struct err *e);

/* ERR_FENCED unless `epoch` is the current one; the text says who took over. ERR_GONE
 * when the directory has been removed. Epoch 0 stands for "no run ever began". */
int store_epoch_check(struct store *s, uint64_t epoch, struct err *e);

/* ---- a run's own directory ---- */

/*
 * Makes a directory for this run alone, on the file system of the generations, and says
 * its absolute path; one that was made before is removed. Whoever takes the next epoch
 * removes what is left of it.
 */
int store_workdir_make(struct store *s, uint64_t epoch, char *path, size_t size,
                       struct err *e);
void store_workdir_remove(struct store *s);

/* ---- generations ---- */

/* What a manifest says about a generation. Text is UTF-8 without control characters
 * (`cpu` and `cpu_all` may have newlines and tabs). */
struct store_meta {
    uint64_t generation, epoch; /* set by store_publish */
    char time[STR_TIME_SIZE];   /* set by store_publish */
    char host[256];
    char engine[32]; /* "native", "dmtcp"; not empty */
    char label[256];
    char cpu[8192];     /* the CPU contract; the store does not look inside */
    char cpu_all[8192]; /* that of all hosts of a job that runs on several, or "" */
    uint64_t processes, threads;
    uint64_t bytes;        /* memory saved, before compression */
    uint64_t stored_bytes; /* what that takes in the store */
    uint64_t pause_us;     /* how long the job stood still */
    uint64_t time_us;      /* from the request until everything was written */
};

/* Begins a generation: an empty directory for the engine's files. Left-over staging
 * directories of this and earlier epochs are removed. */
struct store_stage *store_stage_begin(struct store *s, uint64_t epoch, struct err *e);

/* The staging directory; valid until the stage ends. The engine writes plain files X
 * with their X.sum (base/sum.h), no directories; names beginning with '.' or
 * "manifest.json" are not its own. */
int store_stage_dirfd(const struct store_stage *stage);

/*
 * Checks that every X matches X.sum in size, writes the manifest, makes all durable and
 * publishes. The stage is gone afterwards; on failure its files are too, and older
 * generations are as they were. `generation` may be NULL.
 */
int store_publish(struct store_stage *stage, const struct store_meta *meta,
                  uint64_t *generation, struct err *e);

/*
 * Removes what is older than the newest generations to keep. Those that do not verify
 * (STORE_QUICK) or could not be restarted (store_failed_note) are not counted, so that
 * they never push out what is good. Apart
 * from store_publish because it takes its time, and nobody who asked for a checkpoint
 * should wait for it.
 */
int store_prune(struct store *s, uint64_t epoch, struct err *e);

/* Gives up: the staging directory is removed. NULL is allowed. */
void store_stage_abandon(struct store_stage *stage);
SCOPE_DEFINE(stage, struct store_stage *, store_stage_abandon);
#define auto_stage SCOPE_USE(stage)

struct store_generation {
    uint64_t generation;
    struct err damage; /* ERR_NONE: the manifest is good, `meta` is set */
    struct store_meta meta;
};

/* All published generations, oldest first; damaged ones are listed too. The caller
 * frees *list. None at all is a success with *n = 0. */
int store_list(struct store *s, struct store_generation **list, size_t *n,
               struct err *e);

/* Opens the directory of a published generation for reading; the manifest is checked,
 * the files are not. `meta` may be NULL. */
int store_generation_open(struct store *s, uint64_t generation, struct store_meta *meta,
                          int *dirfd, struct err *e);

enum store_depth {
    STORE_QUICK, /* the manifest, and every file's presence, size and list of sums */
    STORE_FULL,  /* and every chunk */
};

/* Called now and then with the bytes read so far and in all. */
typedef void store_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* ERR_CORRUPT names the first thing that is wrong. ERR_NOTHING: no such generation.
 * ERR_WRONG_HOST: a newer qckpt than this one wrote it.
 * `meta` and `progress` may be NULL. */
int store_verify(struct store *s, uint64_t generation, enum store_depth depth,
                 struct store_meta *meta, store_progress *progress, void *arg,
                 struct err *e);

/* ---- records ---- */

/* Sets room aside for the completion record: the disk may be full when the job ends,
 * and a job whose end is not known is run again. */
int store_done_reserve(struct store *s, uint64_t epoch, struct err *e);

/* The completion record: the job ended by itself with `status` (0..255). Written once;
 * again with the same epoch and status is no error. */
int store_done_write(struct store *s, uint64_t epoch, int status, struct err *e);

/* ERR_NOTHING when the job has not ended. `epoch` may be NULL. */
int store_done_read(struct store *s, int *status, uint64_t *epoch, struct err *e);

/*
 * In how many runs a generation could not be restarted, for a reason that may lie in
 * it. `note` counts this run, and says how many there are now; `forget` begins at
 * nothing again. Generations that have been removed are forgotten by themselves, and so
 * is what cannot be read: 0 runs.
 */
int store_failed_note(struct store *s, uint64_t epoch, uint64_t generation,
                      unsigned *runs, struct err *e);
int store_failed_forget(struct store *s, uint64_t epoch, uint64_t generation,
                        struct err *e);
unsigned store_failed_runs(struct store *s, uint64_t generation);

/* job.json: what was started. A launch replaces it, a restart does not touch it;
 * "format" is added. `record` stays the caller's. */
int store_job_write(struct store *s, uint64_t epoch, const struct json_t *record,
                    struct err *e);

/* ERR_NOTHING when there is none. The caller has a new reference (json_decref). */
int store_job_read(struct store *s, struct json_t **record, struct err *e);

/* ---- the event log ---- */

/*
 * Appends one line to log.jsonl. `who` is the program, `event` a stable word, the rest
 * a sentence for people. `fields` are more members, or NULL; the reference is taken
 * over. Never fails the caller: a line that cannot be written is lost.
 */
void store_log(struct store *s, enum log_level level, const char *who, uint64_t epoch,
               const char *event, struct json_t *fields, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* ---- the end ---- */

/* Removes the job's directory and, when that was the last one in it, the user's. The
 * completion record goes last: cut short, this leaves a store that can be restarted
 * from, or one without generations. What is not the store's own is left, and named. */
int store_remove(struct store *s, uint64_t epoch, struct err *e);

#endif
