/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the door share: a directory that every user can enter, the next
 * event, the coordinator behind the door, other users.
 */
#ifndef TESTS_UNIT_DOOR_RIG_H
#define TESTS_UNIT_DOOR_RIG_H

#include "dmtcp/door.h"

#include <stdbool.h>

enum { STRANGER = 65534, WAIT_MS = 60000 };

struct rig {
    char dir[64];
    struct door *door;
    pid_t coordinator;
    char text[DOOR_TEXT_SIZE]; /* of the last event */
    char error[1100];          /* of a door that did not open: KIND: TEXT */
};

/* Opens a door before the program; NULL in rig.door and rig.error when it does not
 * open. `dir` is made, or kept when it is set already. */
struct rig rig_open(const char *program, unsigned timeout_s);
void rig_close(struct rig *r); /* and removes the directory */

/* Waits up to `ms` for the next event. */
enum door_event rig_event(struct rig *r, int ms);

/* A message as those of DMTCP begin, with `word` for the stand-in. */
enum { RIG_HELLO_SIZE = 208, RIG_HELLO_WORD = 120 };
void rig_hello(char hello[RIG_HELLO_SIZE], char word);

/* Connects to the coordinator and says `word` in such a message; 0: says nothing. -1:
 * refused. */
int rig_connect(const struct rig *r, char word);

/* One number of /proc/PID/status, in the given base; -1: not there. */
long long proc_status(pid_t pid, const char *key, int base);

/* Whether the process ends within WAIT_MS. It need not be a child. */
bool ends(pid_t pid);

/* A child as the given user; runs `body` and ends with its result. */
pid_t as_user(unsigned uid, int (*body)(void *), void *arg);
int status_of(pid_t pid); /* its exit status, or -1 */

#endif
