/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pid 1 of the new namespaces, and the replica: the process with the pid that the job
 * knows as its parent.
 */
#ifndef NATIVE_RESTORE_INIT_H
#define NATIVE_RESTORE_INIT_H

struct setup;

/* In the child of namespaces_clone: opens what the job needs, forks the replica and
 * with it the stubs, commits when told so, and then only collects children. The root's
 * wait status (an int) is written to status_fd. */
_Noreturn void init_run(struct setup *s);

#endif
