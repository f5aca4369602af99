/* SPDX-License-Identifier: GPL-3.0-or-later */
/* By itself: the names of syslog(3)'s levels are those of base/log.h, with other
 * values. */
#include "cmd/hook_syslog.h"

#include <syslog.h>

void hook_syslog(const char *name, const char *text)
{
    openlog(name, LOG_PID, LOG_USER);
    syslog(LOG_WARNING, "%s", text);
    closelog();
}
