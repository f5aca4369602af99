/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What dmtcp_command asks of a coordinator. Not while the door holds it: nobody would
 * answer (ERR_TIMEOUT then).
 *
 * ERR_GONE: it has ended, as it does with the job's last process.
 *
 * What these programs print is for people, and another version may print something
 * else: an answer that is not exactly as known is an error that quotes it.
 */
#ifndef DMTCP_COMMAND_H
#define DMTCP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct install;

/* One process that is connected to the coordinator. */
struct command_worker {
    pid_t virtual_pid; /* as the job sees it */
    pid_t pid;         /* as its host does */
    char unique[64];   /* the id that the name of its image has too */
    char host[256];    /* as it calls itself */
};

struct command_list {
    struct command_worker *worker; /* owned */
    size_t n;
};

void command_list_free(struct command_list *list);
#define auto_command_list __attribute__((cleanup(command_list_free)))

/* How many processes are connected, and whether they all run: not while a checkpoint or
 * a restart is under way, nor without any. */
struct command_status {
    unsigned peers;
    bool running;
};

int command_status(const struct install *in, int port, struct command_status *out,
                   struct err *e);
int command_list(const struct install *in, int port, struct command_list *out,
                 struct err *e);

/* Begins a checkpoint and returns at once. ERR_REFUSED: the job does not run. */
int command_checkpoint(const struct install *in, int port, struct err *e);

/* The answers to -s and -l. */
int command_parse_status(const char *text, struct command_status *out, struct err *e);
int command_parse_list(const char *text, struct command_list *out, struct err *e);

#endif
