/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A job's first run under DMTCP: dmtcp_launch, which becomes this program once more,
 * which becomes the job.
 *
 * The step in between is there because dmtcp_launch takes a program's name for its
 * argv[0], so that a login shell could not be told that it is one; takes a name that
 * begins with '-' for an option of its own; and ends with a status of its own when it
 * cannot execute the program. launch_as_told does all that as the kernel does.
 */
#ifndef DMTCP_LAUNCH_H
#define DMTCP_LAUNCH_H

#include "base/start.h"

#include <stdbool.h>

struct err;
struct session;
struct words;

struct launch_how {
    const struct start_how *job; /* path, argv, envp, stdio...: of the job itself */
    const char *self;            /* a program whose main calls launch_as_told */
    const char *plugins;         /* separated by colons, or NULL */
    const char *arguments; /* more of dmtcp_launch, separated by blanks, or NULL */
    bool gzip;             /* images are compressed */
};

/* The word after `self` by which it knows that it is to call launch_as_told. */
extern const char launch_word[];

/* Starts the job; s->root is it. Errors as start_program. */
int launch_job(struct session *s, const struct launch_how *how, struct err *e);

/* The arguments of dmtcp_launch, its name first. */
int launch_arguments(const struct session *s, const struct launch_how *how,
                     struct words *argv, struct err *e);

/* argv: self, launch_word, PATH, ARGV0, ARGUMENT...; returns when that is not so. */
void launch_as_told(int argc, char **argv);

#endif
