/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/protocol.h"

#include "base/err.h"

#include <jansson.h>
#include <string.h>

static const char *const ops[] = {
    [OP_CHECKPOINT] = "checkpoint", [OP_STATUS] = "status", [OP_CHECK_EPOCH] = "epoch"};
static const char *const states[] = {[JOB_STATE_RUNNING] = "running",
                                     [JOB_STATE_CHECKPOINTING] = "checkpointing",
                                     [JOB_STATE_SUSPENDED] = "stopped"};

enum { N_OPS = 3, N_STATES = 3 };

const char *job_state_name(enum job_state state)
{
    return states[state];
}

/* Takes over `object`. What we write is bounded, so it always fits; the message of an
 * error is cut to its own bound, and escapes may make it six times as long. */
static size_t write_line(json_t *object, char line[PROTOCOL_LINE_MAX])
{
    size_t size = 0;

    if (object)
        size = json_dumpb(object, line, PROTOCOL_LINE_MAX - 2, JSON_COMPACT);
    json_decref(object);
    if (size == 0 || size > PROTOCOL_LINE_MAX - 2) {
        line[0] = '\0';
        return 0;
    }
    line[size] = '\n';
    line[size + 1] = '\0';
    return size + 1;
}

size_t protocol_write_request(const struct protocol_request *r,
                              char line[PROTOCOL_LINE_MAX])
{
    return write_line(json_pack("{s:s, s:b}", "op", ops[r->op], "stop", r->stop), line);
}

size_t protocol_write_progress(uint64_t bytes, uint64_t total_bytes,
                               char line[PROTOCOL_LINE_MAX])
{
    return write_line(json_pack("{s:b, s:I, s:I}", "done", 0, "bytes",
                                (json_int_t)bytes, "total", (json_int_t)total_bytes),
                      line);
}

size_t protocol_write_checkpoint(const struct job_checkpoint *c,
                                 char line[PROTOCOL_LINE_MAX])
{
    const struct engine_stats *s = &c->stats;

    return write_line(json_pack("{s:b, s:b, s:I, s:i, s:i, s:I, s:I, s:I, s:I}", "done",
                                1, "ok", 1, "generation", (json_int_t)c->generation,
                                "processes", (int)s->processes, "threads",
                                (int)s->threads, "bytes", (json_int_t)s->bytes,
                                "stored_bytes", (json_int_t)s->stored_bytes, "pause_us",
                                (json_int_t)s->pause_us, "time_us",
                                (json_int_t)c->time_us),
                      line);
}

size_t protocol_write_status(const struct job_status *status,
                             char line[PROTOCOL_LINE_MAX])
{
    json_t *answer =
        json_pack("{s:b, s:b, s:i, s:I, s:s}", "done", 1, "ok", 1, "pid", status->pid,
                  "epoch", (json_int_t)status->epoch, "state", states[status->state]);

    if (answer && status->hosts > 0) {
        json_object_set_new(answer, "hosts", json_integer(status->hosts));
        json_object_set_new(answer, "cpu_needs", json_string(status->cpu_needs));
    }
    return write_line(answer, line);
}

/* File names in a message need not be UTF-8, JSON must. */
static void make_ascii(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
}

size_t protocol_write_error(const struct err *error, char line[PROTOCOL_LINE_MAX])
{
    struct err clean = *error;
    const char *kind = err_kind_name(clean.kind);
    json_t *text = json_string(clean.text);

    if (!text)
        make_ascii(clean.text);
    json_decref(text);
    return write_line(json_pack("{s:b, s:b, s:s, s:i, s:b, s:s}", "done", 1, "ok", 0,
                                "kind", kind, "errno", clean.sys, "momentary",
                                clean.momentary, "error", clean.text),
                      line);
}

static json_t *parse(const char *line, size_t size, struct err *e)
{
    json_error_t where;
    json_t *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &where);

    if (object && json_is_object(object))
        return object;
    json_decref(object);
    err_set(e, ERR_CORRUPT, "a line on the control socket is not a JSON object: %s",
            where.text);
    return NULL;
}

/* The place of `name` in `names`, or -1. */
static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int protocol_read_request(const char *line, size_t size, struct protocol_request *r,
                          struct err *e)
{
    json_t *object = parse(line, size, e);
    int op;

    if (!object)
        return -1;
    op = find(ops, N_OPS, json_string_value(json_object_get(object, "op")));
    if (op >= 0)
        *r = (struct protocol_request){
            .op = op, .stop = json_is_true(json_object_get(object, "stop"))};
    json_decref(object);
    if (op < 0)
        return err_set(e, ERR_CORRUPT,
                       "a request on the control socket has no "
                       "operation known here");
    return 0;
}

/* A number that is missing, negative or no integer is 0: people look at it, nothing
 * depends on it. */
static uint64_t number(json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

static void read_error(json_t *object, struct err *error)
{
    const char *text = json_string_value(json_object_get(object, "error"));
    const char *kind = json_string_value(json_object_get(object, "kind"));

    err_set(error, err_kind_from_name(kind), "%s", text ? text : "no reason given");
    if (error->kind == ERR_NONE)
        error->kind = ERR_FAILED;
    error->sys = (int)number(object, "errno");
    error->momentary = json_is_true(json_object_get(object, "momentary"));
}

static void read_result(json_t *object, struct protocol_answer *a)
{
    int state =
        find(states, N_STATES, json_string_value(json_object_get(object, "state")));

    const char *needs = json_string_value(json_object_get(object, "cpu_needs"));

    a->checkpoint = (struct job_checkpoint){
        .generation = number(object, "generation"),
        .time_us = number(object, "time_us"),
        .stats = {.processes = (uint32_t)number(object, "processes"),
                  .threads = (uint32_t)number(object, "threads"),
                  .bytes = number(object, "bytes"),
                  .stored_bytes = number(object, "stored_bytes"),
                  .pause_us = number(object, "pause_us")}};
    a->status = (struct job_status){.pid = (int)number(object, "pid"),
                                    .epoch = number(object, "epoch"),
                                    .state = state < 0 ? JOB_STATE_RUNNING : state,
                                    .hosts = (unsigned)number(object, "hosts")};
    if (needs)
        snprintf(a->status.cpu_needs, sizeof(a->status.cpu_needs), "%s", needs);
}

int protocol_read_answer(const char *line, size_t size, struct protocol_answer *a,
                         struct err *e)
{
    json_t *object = parse(line, size, e);

    if (!object)
        return -1;
    *a = (struct protocol_answer){.done = json_is_true(json_object_get(object, "done")),
                                  .bytes = number(object, "bytes"),
                                  .total_bytes = number(object, "total")};
    if (a->done && json_is_true(json_object_get(object, "ok")))
        read_result(object, a);
    else if (a->done)
        read_error(object, &a->e);
    json_decref(object);
    return 0;
}
