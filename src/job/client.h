/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's end of the control socket; job.h has what hooks and commands use.
 */
#ifndef JOB_CLIENT_H
#define JOB_CLIENT_H

struct store_epoch;

/* Tells the supervisor of a run that has been superseded, if it is on this host, and
 * waits until it has ended its copy of the job: for some seconds at most, and without
 * minding failures, since it will notice by itself. */
void client_dislodge(const struct store_epoch *before);

#endif
