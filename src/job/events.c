/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/events.h"

#include "store/store.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

static const char who[] = "supervisor";

static void write_event(struct events *ev, enum log_level level, bool tell,
                        const char *event, json_t *fields, const char *fmt, va_list ap)
    __attribute__((format(printf, 6, 0)));

static void write_event(struct events *ev, enum log_level level, bool tell,
                        const char *event, json_t *fields, const char *fmt, va_list ap)
{
    char text[1536];

    vsnprintf(text, sizeof(text), fmt, ap);
    if (tell && ev->tell_stderr)
        fprintf(stderr, "qckpt: %s%s%s\n",
                level == LOG_INFO ? "" : log_level_name(level),
                level == LOG_INFO ? "" : ": ", text);
    store_log(ev->store, level, who, ev->epoch, event, fields, "%s", text);
}

void event_log(struct events *ev, enum log_level level, const char *event,
               json_t *fields, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_event(ev, level, level <= LOG_WARNING, event, fields, fmt, ap);
    va_end(ap);
}

void event_log_only(struct events *ev, enum log_level level, const char *event,
                    json_t *fields, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_event(ev, level, false, event, fields, fmt, ap);
    va_end(ap);
}

void event_tell(struct events *ev, const char *event, json_t *fields, const char *fmt,
                ...)
{
    va_list ap;

    va_start(ap, fmt);
    write_event(ev, LOG_INFO, true, event, fields, fmt, ap);
    va_end(ap);
}

json_t *event_generation(uint64_t generation)
{
    return json_pack("{s:I}", "generation", (json_int_t)generation);
}

static void log_line(void *arg, enum log_level level, const char *line)
{
    event_log(arg, level, level <= LOG_WARNING ? "warning" : "note", NULL, "%s", line);
}

void event_take_log(struct events *ev)
{
    log_to(log_line, ev);
}
