/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens to a job, for its event log and, without Grid Engine, for stderr.
 */
#ifndef JOB_EVENTS_H
#define JOB_EVENTS_H

#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct json_t;
struct store;

struct events {
    struct store *store;
    uint64_t epoch;
    bool tell_stderr; /* warnings and what event_tell says go to stderr too */
};

/* Logs one event; `fields` as in store_log. */
void event_log(struct events *ev, enum log_level level, const char *event,
               struct json_t *fields, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The same without stderr: for what the caller is told by an error, and will print. */
void event_log_only(struct events *ev, enum log_level level, const char *event,
                    struct json_t *fields, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The same at level info, and on stderr when people are there. */
void event_tell(struct events *ev, const char *event, struct json_t *fields,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The member {"generation": N}. */
struct json_t *event_generation(uint64_t generation);

/* Sends what base/log.h is told, an engine's warnings for instance, to the event log:
 * stderr is the job's. */
void event_take_log(struct events *ev);

#endif
