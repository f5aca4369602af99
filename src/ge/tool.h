/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Grid Engine's own programs (qstat, qconf, qalter), which are not in a job's PATH.
 */
#ifndef GE_TOOL_H
#define GE_TOOL_H

struct err;
struct spawn_output;

/*
 * Runs the program that argv[0] names, from SGE_BINARY_PATH, below SGE_ROOT, or where
 * bootstrap(5) says that the programs are. Success: it ended with 0 and printed a text.
 * ERR_NOTHING: it is not there. ERR_REFUSED: the queue master answers "denied", as it
 * does to a host that is no submit or admin host. ERR_FAILED has the first line that
 * it said. Else fails as spawn_run does.
 */
int ge_tool_run(char *const *argv, unsigned timeout_ms, struct spawn_output *output,
                struct err *e);

#endif
