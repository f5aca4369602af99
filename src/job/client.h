/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's end of the control socket; job.h has what hooks and commands use.
 */
#ifndef JOB_CLIENT_H
#define JOB_CLIENT_H

struct err;
struct store;
struct store_epoch;

/* Tells the supervisor of a run that has been superseded, if it is on this host, and
 * waits until it has ended its copy of the job. One that does not answer for some
 * seconds is killed, and with it its copy. ERR_TIMEOUT when it cannot die: the job must
 * not be started now; ERR_FENCED when it has become the current run again. On another
 * host it will notice by itself. */
int client_dislodge(struct store *store, const struct store_epoch *before,
                    struct err *e);

#endif
