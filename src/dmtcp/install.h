/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where DMTCP is installed, and which one.
 */
#ifndef DMTCP_INSTALL_H
#define DMTCP_INSTALL_H

#include <limits.h>

struct err;

struct install {
    char coordinator[PATH_MAX], launch[PATH_MAX], restart[PATH_MAX], command[PATH_MAX];
    unsigned major, minor;
};

/*
 * Finds it: in bin/ below `prefix`; without one (NULL) in the directories of PATH, then
 * below /usr, /usr/local and /opt/dmtcp. All programs that are needed must lie in one
 * directory, and dmtcp_launch must say that it is of version 3 or 4. ERR_REFUSED names
 * what is missing, or the version, and what to do.
 */
int install_find(const char *prefix, struct install *out, struct err *e);

/* The version that `dmtcp_launch --version` prints. `path` is for messages. */
int install_parse_version(const char *path, const char *text, unsigned *major,
                          unsigned *minor, struct err *e);

#endif
