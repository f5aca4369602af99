/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "store/store.h"

#include <inttypes.h>
#include <jansson.h>

static const char *directory = CMD_DEFAULT_DIR;
static uint64_t generation;
static bool json;

static const struct opt options[] = {
    {'d', "directory", "DIR", OPT_STRING, &directory,
     "where the checkpoints are (" CMD_DEFAULT_DIR ")"},
    {'g', "generation", "N", OPT_NUMBER, &generation, "only this one"},
    {0, "json", NULL, OPT_FLAG, &json, "print JSON"},
    {0}};

struct tally {
    json_t *results; /* NULL: print text */
    size_t bad;
    uint64_t first_bad;
};

static void report(struct tally *tally, uint64_t number, const struct store_meta *meta,
                   const struct err *e)
{
    char bytes[32];

    if (e->kind != ERR_NONE && tally->bad++ == 0)
        tally->first_bad = number;
    if (tally->results) {
        json_array_append_new(tally->results,
                              json_pack("{s:I, s:b, s:s*}", "generation",
                                        (json_int_t)number, "ok", e->kind == ERR_NONE,
                                        "error", e->kind == ERR_NONE ? NULL : e->text));
        return;
    }
    printf("generation %" PRIu64 ": ", number);
    if (e->kind == ERR_NONE)
        printf("good, %s\n", str_bytes(meta->stored_bytes, bytes));
    else {
        fputs("DAMAGED: ", stdout);
        cmd_print_safe(e->text);
        putchar('\n');
    }
}

static void verify_one(struct store *store, uint64_t number, struct tally *tally)
{
    struct store_meta meta = {0};
    struct progress progress;
    struct err found = {0};

    progress_begin(&progress, "reading");
    if (store_verify(store, number, STORE_FULL, &meta, progress_show, &progress,
                     &found) < 0 &&
        found.kind == ERR_NONE)
        found.kind = ERR_FAILED;
    progress_end(&progress);
    report(tally, number, &meta, &found);
}

static int verify_all(struct store *store, struct tally *tally, struct err *e)
{
    auto_free struct store_generation *list = NULL;
    size_t count, seen = 0;

    if (store_list(store, &list, &count, e) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (generation == 0 || list[i].generation == generation) {
            verify_one(store, list[i].generation, tally);
            seen++;
        }
    if (seen == 0 && generation != 0)
        return err_set(e, ERR_NOTHING, "%s holds no generation %" PRIu64,
                       store_path(store), generation);
    if (seen == 0)
        return err_set(e, ERR_NOTHING, "%s holds no checkpoint", store_path(store));
    return 0;
}

static int run(int count, char **words, struct err *e)
{
    auto_store struct store *store = NULL;
    struct tally tally = {0};

    if (cmd_no_words(count, words, e) < 0)
        return -1;
    store = cmd_open_job(directory, e);
    if (!store)
        return -1;
    if (json)
        tally.results = json_array();
    if (verify_all(store, &tally, e) < 0) {
        json_decref(tally.results);
        return -1;
    }
    if (json &&
        cmd_print_json(
            json_pack("{s:i, s:o}", "format", 1, "generations", tally.results), e) < 0)
        return -1;
    if (tally.bad > 0)
        return err_set(e, ERR_CORRUPT,
                       "%zu of the generations cannot be used, the first is %" PRIu64,
                       tally.bad, tally.first_bad);
    return 0;
}

const struct command cmd_verify = {
    .name = "verify",
    .arguments = "[OPTION]...",
    .summary = "Read checkpoints again and compare every checksum",
    .options = options,
    .run = run};
