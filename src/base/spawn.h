/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other programs, started by an argument vector: no shell, a deadline, limited output.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <signal.h>
#include <stddef.h>

struct err;

/* What a program printed and how it ended. Both texts have a NUL behind them. */
struct spawn_output {
    int status; /* as wait(2) gives it */
    char *out, *err;
    size_t out_size, err_size;
};

/* How a program is run. Nothing is copied or kept. */
struct spawn_how {
    const char *path;    /* not looked up in PATH */
    char *const *argv;   /* ends with NULL */
    char *const *envp;   /* NULL: this process's environment */
    unsigned timeout_ms; /* at least 1 */
    size_t max_size;     /* of its output and of its messages, in bytes */
};

/*
 * What a program blocks that helps with a job. Grid Engine's warnings (-notify, s_rt,
 * s_cpu) are sent to every process with the job's additional group id, not only to its
 * process group, and would end one that does not expect them. What a program uses for
 * itself, and what the kernel sends for a fault, is not in the set.
 */
void spawn_helper_mask(sigset_t *mask);

/*
 * Runs the program with /dev/null as input, default signal actions, that mask and
 * in a process group of its own, and waits for its end. A program that ended is a
 * success whatever its status. ERR_TIMEOUT after the deadline and ERR_FAILED when it
 * printed more than max_size: its process group is killed then. SIGCHLD must not be
 * ignored. The caller ends `output` with spawn_output_free.
 */
int spawn_run(const struct spawn_how *how, struct spawn_output *output, struct err *e);

void spawn_output_free(struct spawn_output *output);
#define auto_spawn_output __attribute__((cleanup(spawn_output_free)))

#endif
