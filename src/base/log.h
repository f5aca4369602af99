/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Events for people: one line each, to stderr or to a sink of the program's choice.
 *
 * An error is returned or logged, not both. Never called between freezing and thawing a
 * job.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* <syslog.h> defines the same names with other values. */
#ifdef LOG_INFO
#error "base/log.h and syslog.h cannot be included together"
#endif

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO };

/* Receives every line; `arg` is what log_to was given. */
typedef void log_sink(void *arg, enum log_level level, const char *line);

/* Where lines go; NULL is stderr, as "qckpt: warning: LINE". */
void log_to(log_sink *sink, void *arg);
const char *log_level_name(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
