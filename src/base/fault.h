/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Named points at which a test makes the program die or fail.
 *
 * QCKPT_FAULT=POINT kills the process (SIGKILL to itself) the first time it passes
 * FAULT(POINT); QCKPT_FAULT=POINT:fail makes fault_fails(POINT) true there instead.
 * Only honoured when QCKPT_TESTING=1 is set too, so that a stray variable in a job's
 * environment does nothing.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>

/* Dies here when the test asks for it. */
void fault_point(const char *point);

/* True when the test asks that what follows fails. */
bool fault_fails(const char *point);

#endif
