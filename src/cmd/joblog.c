/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/joblog.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "store/store.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TAIL_SIZE = 256 << 10 };

/* A host that dies while it appends can leave a hole, which reads as NULs: what comes
 * behind it counts all the same. */
static void end_lines_at_holes(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!text[i])
            text[i] = '\n';
}

/* The end of the log, beginning with a whole line; NULL when there is no log. */
static char *read_tail(struct store *store)
{
    auto_fd int fd =
        openat(store_dirfd(store), "log.jsonl", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    auto_free char *text = NULL;
    struct err ignored = {0};
    struct stat st;
    off_t begin;
    char *line;

    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    begin = st.st_size > TAIL_SIZE ? st.st_size - TAIL_SIZE : 0;
    text = calloc(1, (size_t)(st.st_size - begin) + 1);
    if (!text || io_pread_exact(fd, text, (size_t)(st.st_size - begin), (uint64_t)begin,
                                &ignored) < 0)
        return NULL;
    end_lines_at_holes(text, (size_t)(st.st_size - begin));
    line = begin > 0 ? strchr(text, '\n') : NULL;
    if (line)
        memmove(text, line + 1, strlen(line + 1) + 1);
    return take_ptr(text);
}

json_t *joblog_read(struct store *store)
{
    auto_free char *text = read_tail(store);
    json_t *events = json_array();
    char *rest = text;
    char *line;

    while (events && rest && (line = strsep(&rest, "\n"))) {
        json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        if (json_is_object(event))
            json_array_append(events, event);
        json_decref(event);
    }
    return events;
}

static const char *member(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text ? text : "";
}

static void wrong_host(struct joblog_wrong_hosts *found, uint64_t after,
                       const json_t *event)
{
    if ((uint64_t)json_integer_value(json_object_get(event, "epoch")) > after)
        found->runs++;
    if (found->in_a_row++ == 0)
        snprintf(found->since, sizeof(found->since), "%s", member(event, "time"));
    snprintf(found->why, sizeof(found->why), "%s", member(event, "text"));
    found->is_waiting = false;
}

static void waits(struct joblog_wrong_hosts *found, uint64_t after, const json_t *event)
{
    uint64_t runs = (uint64_t)json_integer_value(json_object_get(event, "runs"));

    found->is_waiting = found->in_a_row > 0;
    snprintf(found->next, sizeof(found->next), "%s", member(event, "text"));
    if ((uint64_t)json_integer_value(json_object_get(event, "after")) == after &&
        runs > found->runs)
        found->runs = runs;
}

void joblog_wrong_hosts(const json_t *events, uint64_t after,
                        struct joblog_wrong_hosts *found)
{
    size_t i;
    json_t *event;

    *found = (struct joblog_wrong_hosts){0};
    json_array_foreach((json_t *)events, i, event)
    {
        const char *kind = member(event, "event");

        if (strcmp(kind, "wrong-host") == 0) {
            wrong_host(found, after, event);
        } else if (strcmp(kind, "waits") == 0) {
            waits(found, after, event);
        } else if (strcmp(kind, "launched") == 0 || strcmp(kind, "restarted") == 0 ||
                   strcmp(kind, "ended") == 0) {
            found->is_waiting = false;
            found->in_a_row = 0;
        }
    }
}
