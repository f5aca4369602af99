/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static struct {
    log_sink *sink;
    void *arg;
} logger;

void log_to(log_sink *sink, void *arg)
{
    logger.sink = sink;
    logger.arg = arg;
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info"};

    return names[level];
}

__attribute__((format(printf, 2, 0))) static void log_line(enum log_level level,
                                                           const char *fmt, va_list ap)
{
    char line[2048];

    vsnprintf(line, sizeof(line), fmt, ap);
    if (logger.sink)
        logger.sink(logger.arg, level, line);
    else
        fprintf(stderr, "qckpt: %s%s%s\n",
                level == LOG_INFO ? "" : log_level_name(level),
                level == LOG_INFO ? "" : ": ", line);
}

#define DEFINE_LOG(name, level)           \
    void log_##name(const char *fmt, ...) \
    {                                     \
        va_list ap;                       \
                                          \
        va_start(ap, fmt);                \
        log_line(level, fmt, ap);         \
        va_end(ap);                       \
    }

DEFINE_LOG(error, LOG_ERROR)
DEFINE_LOG(warning, LOG_WARNING)
DEFINE_LOG(info, LOG_INFO)
