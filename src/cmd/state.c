/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/state.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "job/job.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

enum { STATUS_TIMEOUT_S = 5, LOG_TAIL_SIZE = 256 << 10 };

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
    begin = st.st_size > LOG_TAIL_SIZE ? st.st_size - LOG_TAIL_SIZE : 0;
    text = calloc(1, (size_t)(st.st_size - begin) + 1);
    if (!text || io_pread_exact(fd, text, (size_t)(st.st_size - begin), (uint64_t)begin,
                                &ignored) < 0)
        return NULL;
    line = begin > 0 ? strchr(text, '\n') : NULL;
    if (line)
        memmove(text, line + 1, strlen(line + 1) + 1);
    return take_ptr(text);
}

/* A line that a full disk cut short is left out. */
static json_t *read_events(struct store *store, size_t max_events)
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
        if (json_array_size(events) > max_events)
            json_array_remove(events, 0);
    }
    return events;
}

static bool has_good(const struct job_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        if (view->generations[i].damage.kind == ERR_NONE)
            return true;
    return false;
}

/* What a starter says last before it becomes the job, which it cannot supervise. */
static const char *find_unsupervised(json_t *events)
{
    for (size_t i = json_array_size(events); i-- > 0;) {
        json_t *event = json_array_get(events, i);
        const char *kind = json_string_value(json_object_get(event, "event"));

        if (!kind)
            continue;
        if (strcmp(kind, "unsupervised") == 0)
            return json_string_value(json_object_get(event, "text"));
        if (strcmp(kind, "launched") == 0 || strcmp(kind, "restarted") == 0)
            return NULL;
    }
    return NULL;
}

static const char *find_state(struct store *store, const struct job_view *view)
{
    struct job_status status;
    struct err none = {0};
    struct utsname here;

    if (view->unsupervised)
        return "unsupervised";
    if (!view->has_epoch)
        return "new";
    if (job_request_status(store, STATUS_TIMEOUT_S, &status, &none) == 0)
        return status.state == JOB_STATE_SUSPENDED ? "suspended"
                                                   : job_state_name(status.state);
    if (none.kind != ERR_GONE)
        return "unknown";
    if (uname(&here) == 0 && strcmp(here.nodename, view->epoch.host) != 0)
        return "elsewhere";
    return has_good(view) ? "stopped" : "lost";
}

int job_view_read(struct store *store, size_t max_events, struct job_view *view,
                  struct err *e)
{
    struct err none = {0};

    *view = (struct job_view){0};
    if (store_list(store, &view->generations, &view->count, e) < 0)
        return -1;
    view->has_epoch = store_epoch_current(store, &view->epoch, &none) == 0;
    if (!view->has_epoch && none.kind != ERR_NOTHING) {
        *e = none;
        job_view_release(view);
        return -1;
    }
    if (store_job_read(store, &view->record, &none) < 0)
        view->record = NULL;
    if (view->count == 0)
        view->no_checkpoints =
            json_string_value(json_object_get(view->record, "no_checkpoints"));
    view->events = read_events(store, max_events);
    view->unsupervised = find_unsupervised(view->events);
    if (store_done_read(store, &view->status, NULL, &none) == 0)
        view->state = "ended";
    else
        view->state = find_state(store, view);
    return 0;
}

void job_view_release(struct job_view *view)
{
    free(view->generations);
    json_decref(view->record);
    json_decref(view->events);
    *view = (struct job_view){0};
}
