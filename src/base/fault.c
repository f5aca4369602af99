/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool asked(const char *point, const char *how)
{
    const char *testing = getenv("QCKPT_TESTING");
    const char *fault = getenv("QCKPT_FAULT");
    size_t length = strlen(point);

    if (!testing || strcmp(testing, "1") != 0 || !fault)
        return false;
    return strncmp(fault, point, length) == 0 && strcmp(fault + length, how) == 0;
}

void fault_point(const char *point)
{
    if (asked(point, ""))
        kill(getpid(), SIGKILL);
}

bool fault_fails(const char *point)
{
    return asked(point, ":fail");
}
