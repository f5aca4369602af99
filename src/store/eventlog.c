/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* Text from outside need not be UTF-8; a line must be. */
static json_t *any_text(char *text)
{
    json_t *string = json_string(text);

    if (string)
        return string;
    for (char *c = text; *c; c++)
        if (*c & 0x80)
            *c = '?';
    return json_string(text);
}

static char *make_line(enum log_level level, const char *who, uint64_t epoch,
                       const char *event, const json_t *fields, char *text)
{
    auto_json json_t *o = json_object();
    char now[STR_TIME_SIZE];
    struct utsname host = {0};

    str_time_now(now);
    uname(&host);
    if (!o || json_object_set_new(o, "time", json_string(now)) < 0 ||
        json_object_set_new(o, "host", any_text(host.nodename)) < 0 ||
        json_object_set_new(o, "epoch", json_integer(epoch)) < 0 ||
        json_object_set_new(o, "who", json_string(who)) < 0 ||
        json_object_set_new(o, "level", json_string(log_level_name(level))) < 0 ||
        json_object_set_new(o, "event", json_string(event)) < 0 ||
        (fields && json_object_update_missing(o, (json_t *)fields) < 0) ||
        json_object_set_new(o, "text", any_text(text)) < 0)
        return NULL;
    return json_dumps(o, JSON_COMPACT);
}

/*
 * Opened for each line: an NFS client sends what was written at close, and a file that
 * nobody holds open can be removed there. One write(2), so that lines of several
 * processes do not mix.
 */
static int append(struct store *s, const char *line, size_t size, struct err *e)
{
    auto_fd int fd = openat(
        s->dir, "log.jsonl",
        O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "open log.jsonl");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_UNSAFE, "log.jsonl is not a regular file");
    do
        n = write(fd, line, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(e, "write log.jsonl");
    s->log_torn = (size_t)n < size;
    if (s->log_torn)
        return err_set(e, ERR_FAILED, "log.jsonl: the line is cut off");
    return io_close(&fd, e);
}

void store_log(struct store *s, enum log_level level, const char *who, uint64_t epoch,
               const char *event, struct json_t *fields, const char *fmt, ...)
{
    auto_free char *body = NULL, *line = NULL;
    char text[1024];
    struct err ignored;
    va_list ap;
    int size;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    body = make_line(level, who, epoch, event, fields, text);
    size = body ? asprintf(&line, "%s%s\n", s->log_torn ? "\n" : "", body) : -1;
    if (size < 0)
        line = NULL;
    else
        append(s, line, size, &ignored);
    json_decref(fields);
}
