/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The last resort: killing what is left of a job whose supervisor has died.
 */
#ifndef JOB_ORPHANS_H
#define JOB_ORPHANS_H

#include <stdbool.h>

/* Kills and reaps every descendant of the caller, who must be a child subreaper
 * (PR_SET_CHILD_SUBREAPER): whoever loses its parent becomes ours. False when some are
 * still there after `deadline_s`. */
bool orphans_kill(unsigned deadline_s);

#endif
