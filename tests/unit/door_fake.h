/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the door before a stand-in for dmtcp_coordinator share: talking to
 * it (fake_coordinator.c).
 */
#ifndef TESTS_UNIT_DOOR_FAKE_H
#define TESTS_UNIT_DOOR_FAKE_H

#include "door_rig.h"

#include <stdbool.h>

/* The stand-in: a copy where every user can execute it, in `dir`, which is a template
 * of mkdtemp(3). */
extern char fake_program[64];
void fake_prepare(char dir[64]);

/* Says why it has not. */
bool fake_opened(const struct rig *r);

/* A worker that has been welcomed. */
int fake_join(const struct rig *r);

/* Does not wait for the end of it, but does not hang up either. */
void fake_request(const struct rig *r, char word);

/* A request that the coordinator has served when this returns. */
void fake_ask(const struct rig *r, char word);

/* Whether the worker has still not got the barrier's name after a while: the message
 * before it has come. */
bool fake_stands_still(int worker, int ms);

/* The barrier that lets the worker pass, or "" when none comes. */
const char *fake_passed(int worker, int ms);

void fake_release(struct rig *r);

#endif
