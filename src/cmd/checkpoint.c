/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "job/job.h"
#include "store/store.h"

#include <inttypes.h>
#include <jansson.h>

static const char *directory = CMD_DEFAULT_DIR;
static bool stop, json;
static unsigned timeout_s;

static const struct opt options[] = {
    {'d', "directory", "DIR", OPT_STRING, &directory,
     "where the job's checkpoints are (" CMD_DEFAULT_DIR ")"},
    {0, "stop", NULL, OPT_FLAG, &stop, "end the job at the checkpoint"},
    {0, "timeout", "TIME", OPT_SECONDS, &timeout_s, "give up waiting after TIME"},
    {0, "json", NULL, OPT_FLAG, &json, "print JSON"},
    {0}};

static int print_json(const struct job_checkpoint *c, struct err *e)
{
    const struct engine_stats *s = &c->stats;

    return cmd_print_json(
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "generation",
                  (json_int_t)c->generation, "processes", (json_int_t)s->processes,
                  "threads", (json_int_t)s->threads, "bytes", (json_int_t)s->bytes,
                  "stored_bytes", (json_int_t)s->stored_bytes, "pause_us",
                  (json_int_t)s->pause_us, "time_us", (json_int_t)c->time_us, "stopped",
                  stop),
        e);
}

static void print_text(const struct job_checkpoint *c)
{
    const struct engine_stats *s = &c->stats;
    char text[32];

    printf("generation: %" PRIu64 "\n", c->generation);
    printf("processes:  %" PRIu32 " (%" PRIu32 " thread%s)\n", s->processes, s->threads,
           s->threads == 1 ? "" : "s");
    printf("memory:     %s\n", str_bytes(s->bytes, text));
    printf("stored:     %s\n", str_bytes(s->stored_bytes, text));
    printf("pause:      %s\n", str_duration_us(s->pause_us, text));
    printf("durable in: %s\n", str_duration_us(c->time_us, text));
}

static int run(int count, char **words, struct err *e)
{
    auto_store struct store *store = NULL;
    struct job_checkpoint result;
    struct progress progress;
    int status;

    if (cmd_no_words(count, words, e) < 0)
        return -1;
    store = cmd_open_job(directory, e);
    if (!store)
        return -1;
    progress_begin(&progress, "writing");
    status = job_request_checkpoint(store, stop, timeout_s, progress_show, &progress,
                                    &result, e);
    progress_end(&progress);
    if (status < 0)
        return -1;
    if (json)
        return print_json(&result, e);
    print_text(&result);
    return 0;
}

const struct command cmd_checkpoint = {
    .name = "checkpoint",
    .arguments = "[OPTION]...",
    .summary = "Save the running job now and wait until that is durable",
    .options = options,
    .run = run};
