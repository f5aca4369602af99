/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A warning to syslog(3), for what a hook cannot say in an event log. */
#ifndef CMD_HOOK_SYSLOG_H
#define CMD_HOOK_SYSLOG_H

void hook_syslog(const char *name, const char *text);

#endif
