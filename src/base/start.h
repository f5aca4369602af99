/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting a job: a child with a session, standard files, terminal and signals of its
 * own. Whether execve succeeded is learnt from a pipe that closes on exec, so that a
 * program which cannot be started is an error here and not an exit status that the job
 * might have had itself.
 */
#ifndef BASE_START_H
#define BASE_START_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Nothing is kept after start_program. */
struct start_how {
    const char *path; /* looked up in PATH when it has no '/' */
    char *const *argv;
    char *const *envp;
    int stdio[3];           /* become descriptors 0, 1, 2 */
    bool take_tty;          /* stdio[0] becomes the controlling terminal: it must not be
                             * anybody's at this moment (TIOCNOTTY is the caller's) */
    sigset_t mask, ignored; /* every signal not in `ignored` gets its default action */
    const char *name;       /* for messages; NULL: path */

    /* NULL, or called in the child, single-threaded as it is, before anything else is
     * done to it. When it fails, start_program fails with its error. */
    int (*prepare)(void *arg, struct err *e);
    void *arg;

    /* Not 0: `path` is a program that ends in start_exec, which finds the pipe under
     * this number. The start has succeeded when start_exec has executed its program. */
    int report_fd;
};

/*
 * Starts it; it dies with the calling thread (PR_SET_PDEATHSIG). ERR_SYS with execve's
 * errno in e->sys when the program cannot be executed; ERR_FAILED when a program with
 * report_fd has ended without coming to start_exec: *status, if not NULL, is how, as
 * wait(2) gives it. Nothing is left of a failed start.
 */
int start_program(const struct start_how *how, pid_t *pid, int *status, struct err *e);

/* In a program that was started with this report_fd: becomes `path`, or reports why not
 * and ends as a shell would, with 127 or 126. */
_Noreturn void start_exec(int report_fd, const char *path, char *const *argv);

#endif
