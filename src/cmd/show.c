/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "cmd/cmd.h"
#include "cmd/show_cpu.h"
#include "cmd/state.h"
#include "cpu/cpu.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS_SHOWN = 10 };

static const char *directory = CMD_DEFAULT_DIR;
static bool json;

static const struct opt options[] = {{'d', "directory", "DIR", OPT_STRING, &directory,
                                      "where the checkpoints are (" CMD_DEFAULT_DIR
                                      ")"},
                                     {0, "json", NULL, OPT_FLAG, &json, "print JSON"},
                                     {0}};

static json_t *generation_json(const struct store_generation *g, const struct cpu *here)
{
    const struct store_meta *m = &g->meta;

    if (g->damage.kind != ERR_NONE)
        return json_pack("{s:I, s:b, s:s}", "generation", (json_int_t)g->generation,
                         "ok", 0, "error", g->damage.text);
    return json_pack(
        "{s:I, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
        "generation", (json_int_t)g->generation, "ok", 1, "time", m->time, "host",
        m->host, "engine", m->engine, "epoch", (json_int_t)m->epoch, "processes",
        (json_int_t)m->processes, "threads", (json_int_t)m->threads, "bytes",
        (json_int_t)m->bytes, "stored_bytes", (json_int_t)m->stored_bytes, "pause_us",
        (json_int_t)m->pause_us, "time_us", (json_int_t)m->time_us, "cpu",
        show_cpu_json(m, here));
}

static json_t *waiting_json(const struct joblog_wrong_hosts *w)
{
    return json_pack("{s:s, s:i, s:s, s:s}", "since", w->since, "times",
                     (int)w->in_a_row, "reason", w->why, "next", w->next);
}

static int print_json(struct store *store, const struct job_view *view,
                      const struct cpu *here, struct err *e)
{
    json_t *out = json_pack("{s:i, s:s, s:s}", "format", 1, "directory",
                            store_path(store), "state", view->state);
    json_t *generations = json_array();

    for (size_t i = 0; i < view->count; i++)
        json_array_append_new(generations,
                              generation_json(&view->generations[i], here));
    if (out && strcmp(view->state, "waiting") == 0)
        json_object_set_new(out, "waiting", waiting_json(&view->wrong_hosts));
    if (out && strcmp(view->state, "ended") == 0)
        json_object_set_new(out, "status", json_integer(view->status));
    if (out && view->has_epoch)
        json_object_set_new(out, "run",
                            json_pack("{s:I, s:s, s:i, s:s}", "epoch",
                                      (json_int_t)view->epoch.epoch, "host",
                                      view->epoch.host, "pid", (int)view->epoch.pid,
                                      "started", view->epoch.started));
    if (out && view->no_checkpoints)
        json_object_set_new(out, "no_checkpoints", json_string(view->no_checkpoints));
    if (view->record)
        json_object_set(out, "job", view->record);
    json_object_set_new(out, "generations", generations);
    json_object_set(out, "events", view->events);
    return cmd_print_json(out, e);
}

static void print_words(const char *title, json_t *list)
{
    size_t i;
    json_t *word;

    if (json_array_size(list) == 0)
        return;
    printf("%-10s", title);
    json_array_foreach(list, i, word)
    {
        putchar(' ');
        cmd_print_safe(json_is_string(word) ? json_string_value(word) : "?");
    }
    putchar('\n');
}

static void print_member(const char *title, json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));

    if (!text)
        return;
    printf("%-10s ", title);
    cmd_print_safe(text);
    putchar('\n');
}

/* The engine of the newest checkpoint is the one that the job has. */
static const char *engine_name(const struct job_view *view)
{
    for (size_t i = view->count; i-- > 0;)
        if (view->generations[i].damage.kind == ERR_NONE)
            return view->generations[i].meta.engine;
    return json_string_value(json_object_get(view->record, "engine"));
}

static void print_waiting(const struct joblog_wrong_hosts *w)
{
    fputs(" for another host: ", stdout);
    cmd_print_safe(w->why);
    printf("\nsince      %s, %u run%s; ", w->since, w->in_a_row,
           w->in_a_row == 1 ? "" : "s in a row");
    cmd_print_safe(w->next);
}

static void print_state(const struct job_view *view)
{
    bool is_running = strcmp(view->state, "running") == 0;

    if (strcmp(view->state, "unsupervised") == 0) {
        printf("state      unsupervised: ");
        cmd_print_safe(view->unsupervised);
        putchar('\n');
        return;
    }

    printf("state      %s", is_running && view->no_checkpoints ? "runs" : view->state);
    if (strcmp(view->state, "elsewhere") == 0) {
        printf(": ask on ");
        cmd_print_safe(view->epoch.host);
    }
    if (strcmp(view->state, "waiting") == 0)
        print_waiting(&view->wrong_hosts);
    if (strcmp(view->state, "ended") == 0)
        printf(" with status %d%s", view->status, view->no_checkpoints ? "," : "");
    if (view->no_checkpoints) {
        printf(" without checkpoints: ");
        cmd_print_safe(view->no_checkpoints);
    }
    putchar('\n');
}

static void print_head(struct store *store, const struct job_view *view)
{
    const char *engine = engine_name(view);

    printf("directory  ");
    cmd_print_safe(store_path(store));
    putchar('\n');
    print_state(view);
    if (engine) {
        printf("engine     ");
        cmd_print_safe(engine);
        putchar('\n');
    }
    if (view->no_record.kind != ERR_NONE) {
        printf("record     ");
        cmd_print_safe(view->no_record.text);
        putchar('\n');
    }
    print_words("command", json_object_get(view->record, "argv"));
    print_member("in", view->record, "cwd");
    print_member("job", view->record, "job");
    print_member("task", view->record, "task");
    print_member("user", view->record, "user");
    print_words("names", json_object_get(view->record, "names"));
    if (view->has_epoch)
        printf("run        %" PRIu64 ", started %s by process %d on %s\n",
               view->epoch.epoch, view->epoch.started, (int)view->epoch.pid,
               view->epoch.host);
}

static void print_generation(const struct store_generation *g, const struct cpu *here)
{
    const struct store_meta *m = &g->meta;
    char bytes[32], stored[32], pause[32], time[32];

    if (g->damage.kind != ERR_NONE) {
        printf("%10" PRIu64 "  %s: ", g->generation,
               g->damage.kind == ERR_WRONG_HOST ? "TOO NEW" : "DAMAGED");
        cmd_print_safe(g->damage.text);
        putchar('\n');
        return;
    }
    printf("%10" PRIu64 "  %-24s  %9" PRIu64 "  %10s  %10s  %9s  %9s  ", g->generation,
           m->time, m->processes, str_bytes(m->bytes, bytes),
           str_bytes(m->stored_bytes, stored), str_duration_us(m->pause_us, pause),
           str_duration_us(m->time_us, time));
    cmd_print_safe(m->host);
    putchar('\n');
    show_cpu_print(m, here);
}

static void print_generations(const struct job_view *view, const struct cpu *here)
{
    if (view->count == 0) {
        printf("\nno checkpoint\n");
        return;
    }
    printf("\n%10s  %-24s  %9s  %10s  %10s  %9s  %9s  %s\n", "generation", "time",
           "processes", "memory", "stored", "pause", "durable", "host");
    for (size_t i = 0; i < view->count; i++)
        print_generation(&view->generations[i], here);
}

static const char *member(json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));

    return text ? text : "";
}

static void print_events(const struct job_view *view)
{
    size_t i;
    json_t *event;

    if (json_array_size(view->events) > 0)
        printf("\nlast events\n");
    json_array_foreach(view->events, i, event)
    {
        const char *level = member(event, "level");

        fputs("  ", stdout);
        cmd_print_safe(member(event, "time"));
        fputs("  ", stdout);
        cmd_print_safe(member(event, "host"));
        fputs("  ", stdout);
        if (strcmp(level, "warning") == 0 || strcmp(level, "error") == 0)
            printf("%s: ", level);
        cmd_print_safe(member(event, "text"));
        putchar('\n');
    }
}

static int run(int count, char **words, struct err *e)
{
    auto_store struct store *store = NULL;
    struct job_view view;
    struct cpu cpu;
    const struct cpu *here;
    struct err ignored = {0};
    int result = 0;

    if (cmd_no_words(count, words, e) < 0)
        return -1;
    store = cmd_open_job(directory, e);
    if (!store || job_view_read(store, EVENTS_SHOWN, &view, e) < 0)
        return -1;
    here = cpu_read(&cpu, &ignored) == 0 ? &cpu : NULL;
    if (json) {
        result = print_json(store, &view, here, e);
    } else {
        print_head(store, &view);
        print_generations(&view, here);
        print_events(&view);
    }
    job_view_release(&view);
    return result;
}

const struct command cmd_show = {.name = "show",
                                 .arguments = "[OPTION]...",
                                 .summary =
                                     "Tell what a job does and list its checkpoints",
                                 .options = options,
                                 .run = run};
