/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The commands of `qckpt`: each file defines one, main.c lists them, and the table is
 * what parses the options and prints the help.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "base/opt.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store;

struct command {
    const char *name;
    const char *arguments; /* as the usage line shows them */
    const char *summary;   /* one line */
    const char *more;      /* further help, or NULL */
    const struct opt *options;
    /* `words` are those after the options, ended by NULL. Returns 0, or -1 and `e`, or
     * ends the process as the job ended. */
    int (*run)(int count, char **words, struct err *e);
};

extern const struct command cmd_run, cmd_checkpoint, cmd_restart, cmd_show, cmd_verify,
    cmd_complexes;

/* Where checkpoints are kept when -d does not say. */
#define CMD_DEFAULT_DIR "qckpt.ckpt"

/* ERR_USAGE when words are left over. */
int cmd_no_words(int count, char **words, struct err *e);

/* The job's directory that -d names; NULL and `e` on failure. ERR_NOTHING, which says
 * how one is named, when there is none. The caller closes it. */
struct store *cmd_open_job(const char *directory, struct err *e);

/* ---- output ---- */

struct json_t;

/* Prints `object` and a newline; takes the reference over. */
int cmd_print_json(struct json_t *object, struct err *e);

/* Text from a store, for a terminal: control characters become '?'. */
void cmd_print_safe(const char *text);

/* A line on the terminal for what takes longer than a second; nothing when stderr is no
 * terminal. */
struct progress {
    const char *what; /* "writing" */
    uint64_t begun_us, shown_us;
    bool is_shown;
};

void progress_begin(struct progress *p, const char *what);
/* Has the type of store_progress and job_progress; `arg` is the struct progress. */
void progress_show(void *arg, uint64_t done_bytes, uint64_t total_bytes);
/* Removes the line. */
void progress_end(struct progress *p);

#endif
