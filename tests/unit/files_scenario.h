/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Saves the descriptors of stopped processes and restores them into others.
 *
 * A scenario sets up descriptors in a process of its own (and in more that it forks by
 * scenario_fork), which then stops. They are saved and killed; a new process restores
 * them, and each restored process calls `check` with its number. No namespaces: pids
 * differ, which nothing here depends on.
 */
#ifndef TESTS_UNIT_FILES_SCENARIO_H
#define TESTS_UNIT_FILES_SCENARIO_H

#include "base/err.h"
#include "image/image.h"

#include <stdbool.h>
#include <sys/types.h>

struct scenario {
    void (*set_up)(void);       /* in process 0; then it stops */
    void (*check)(int process); /* in each restored process */
    void (*meanwhile)(void);    /* between saving and restoring, or NULL */
    bool live;    /* after saving, the processes go on and make the checks */
    struct err e; /* why saving or restoring failed */
    bool live_failed;
    struct image *image; /* as it was saved */
};

/* In set_up: a further process of the job. As fork(2). The child must end its part of
 * set_up by scenario_stop. */
pid_t scenario_fork(void);
void scenario_stop(void) __attribute__((noreturn));

/* Saves only; 0 or -1 and s->e. The image is the caller's to free. */
int scenario_save(struct scenario *s);

/* All of it. True when every check passed. */
bool scenario_run(struct scenario *s);

/* A fresh directory for the test, removed at its end by scenario_clean. */
const char *scenario_dir(void);
const char *scenario_path(const char *name); /* static buffers, four of them */
void scenario_clean(void);

/* ---- what most set-ups and checks are written with ---- */

/* Descriptors of the set-ups, above what the test program uses itself. */
enum { A = 10, B, C, D, F };

/* Gives the descriptor this number; aborts if it is -1. */
void put(int at, int fd);

/* What one read(2) got, or the name of its errno; a static buffer. */
const char *read_fd(int fd);

/* Writes all of it. */
void say(int fd, const char *text);

/* All of a scenario, in a directory of its own; counts as a check. */
void run(void (*set_up)(void), void (*check)(int), void (*meanwhile)(void));

/* Also without a restart: saving must leave no trace. */
void run_twice(void (*set_up)(void), void (*check)(int));

/* Saving is refused for descriptor A, with this in the text. */
void refuse(void (*set_up)(void), const char *part);

#endif
