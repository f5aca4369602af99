/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/state.h"

#include "base/err.h"
#include "job/job.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum { STATUS_TIMEOUT_S = 5 };

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
    if (view->wrong_hosts.is_waiting)
        return "waiting";
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
    if (store_job_read(store, &view->record, &view->no_record) < 0)
        view->record = NULL;
    if (view->no_record.kind == ERR_NOTHING)
        err_clear(&view->no_record);
    if (view->count == 0)
        view->no_checkpoints =
            json_string_value(json_object_get(view->record, "no_checkpoints"));
    view->events = joblog_read(store);
    joblog_wrong_hosts(view->events, 0, &view->wrong_hosts);
    while (json_array_size(view->events) > max_events)
        json_array_remove(view->events, 0);
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
