/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What users and sites set.
 *
 * A setting has a variable in the environment, QCKPT_KEEP, and a line in the site's
 * file, "keep = 3" (qckpt.conf(5)). The variable comes before the file, and the file
 * before what is built in.
 *
 * The file never costs anybody a job: what is wrong in it is left out and kept as a
 * problem, for the caller to tell.
 */
#ifndef JOB_SETTINGS_H
#define JOB_SETTINGS_H

#include <stddef.h>

struct err;
struct settings;

/* Reads the site's file: QCKPT_CONFIG; else PREFIX/etc/qckpt.conf for a program in
 * PREFIX/bin; else the one of the prefix that this was built for. It must belong to
 * root or to the owner of this program and be writable by nobody else. One that does
 * not exist is as an empty one, but a problem when QCKPT_CONFIG names it. The result is
 * never NULL; strings that come from it live as long as it does. Variables of the
 * environment that are nearly ours are problems too. */
struct settings *settings_read(void);

/* The same from text; `path` is for messages. */
struct settings *settings_parse(const char *path, const char *text, size_t size);

void settings_free(struct settings *s);

/* What is wrong, one sentence each; NULL after the last. */
const char *settings_problem(const struct settings *s, size_t i);

/* One more, from the environment for instance. */
void settings_add_problem(struct settings *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes over one value, or refuses it with ERR_USAGE and leaves all as it was. `arg` is
 * the caller's. */
typedef int settings_take(void *arg, const char *value, struct err *e);

/* Gives `take` the file's value, if there is one, and then the variable's. What it
 * refuses of the file becomes a problem; -1 is a variable that is wrong, which `e`
 * names. A variable that is set but empty is as one that is not set. */
int settings_apply(struct settings *s, const char *variable, settings_take *take,
                   void *arg, struct err *e);

/* The same for the file or the variable alone. */
void settings_apply_file(struct settings *s, const char *variable, settings_take *take,
                         void *arg);
int settings_apply_variable(const char *variable, settings_take *take, void *arg,
                            struct err *e);

/* Gives `take` the value of the first line "name[PATTERN] = value" whose pattern
 * (fnmatch(3)) fits `subject`. */
void settings_apply_pattern(struct settings *s, const char *variable,
                            const char *subject, settings_take *take, void *arg);

#endif
