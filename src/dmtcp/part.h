/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * This program on another host of a job: it looks after the job's processes there, as
 * the supervisor cannot. The supervisor starts it by ssh (dmtcp/links.h) and talks to
 * it through that connection.
 *
 *     QCKPT --dmtcp-part WORKDIR TMPDIR
 *
 * It makes TMPDIR, of which DMTCP has files open in each process: so the job's
 * processes are known, whoever started them, and those below them. One
 * program (dmtcp_restart) it executes when it is told to. When the connection ends, or
 * nothing has come for a minute, it kills all of the job there and ends: nothing of a
 * job outlives its supervisor.
 *
 * It says lines:
 *     cpu TEXT                       at first: what this host's CPU offers, as
 *                                    cpu_format has it, with tabs for its newlines
 *     ready HOST                     then; HOST as gethostname(2) has it
 *     refused TEXT                   instead, and ends
 *     count UNDER FOREIGN BYTES NAME for each 'c' it reads: processes under DMTCP, and
 *                                    not, the size of their images at most, and the
 *                                    name of one that is not
 *     gone                           for each 'k': it has killed them all
 *     empty 1, empty 0               nothing of the job runs here, or something does:
 *                                    when that changes; at first something may
 *     ended STATUS                   the program has, wait(2)
 * It is told of that by a letter from 'A' to 'P' for each four bits of its arguments,
 * the higher first, each with its NUL; and 's' starts it. Any other byte it reads only
 * tells that the other side lives. An old TMPDIR that nobody holds is taken over, and
 * what lives of it killed.
 */
#ifndef DMTCP_PART_H
#define DMTCP_PART_H

/* The word behind the program by which it knows. */
extern const char part_word[];

enum { PART_SILENCE_S = 60 };

/* Returns when the arguments are not those above. */
void part_as_told(int argc, char **argv);

#endif
