/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs under a supervisor, each in a directory of its own, with the engine that is easy
 * to make fail (file_engine.h).
 */
#ifndef TESTS_UNIT_SUPERVISOR_FIXTURE_H
#define TESTS_UNIT_SUPERVISOR_FIXTURE_H

#include "base/err.h"
#include "file_engine.h"
#include "job/job.h"
#include "store/store.h"
#include "tap.h"

/* The last three are how a front exits when no job ended. */
enum { PATIENCE_MS = 60000, NOT_STARTED = 200, SUPERSEDED = 201, LOST = 202 };

/* Counts in "state", a line a number, up to the number in "last" as soon as there is
 * one; then exits with 5. */
extern const char counter[];

extern struct job_config config;
extern struct store *store;
extern struct err e;

/* Around all tests; the result of fixture_end is main's. */
int fixture_begin(void);
int fixture_end(void);

/* A new directory with an empty store, which is the current one from now on. */
void fresh(void);

void nap_ms(long ms);
void put(const char *name, const char *text);

/* The text of a file; static, "" when there is none. */
const char *get(const char *name);
const char *events(void);
bool wait_for(const char *name, const char *part);
pid_t pid_in(const char *name);
bool is_gone(pid_t pid);

/* Starts a front that runs `script`, in a process group of its own. */
pid_t front(const char *script);

/* The wait status of the front; -1 when it does not end. */
int end_of(pid_t pid);
int run(const char *script);

/* Starts a front that runs the counter, which has begun to count. */
pid_t counting(void);

/* Lets the counter count a little more, and end. */
void enough(void);

/* The wait status of a front whose counter has had enough. */
int counted(pid_t pid);

bool ask(bool stop, struct job_checkpoint *result);

/* Every number once, in order, to the last: nothing was lost, nothing was done twice.
 */
bool count_is_whole(void);

#endif
