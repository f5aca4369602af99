/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

#include <jansson.h>
#include <limits.h>

static void a_generation_is_published_and_read_back(void)
{
    struct fixture f = fixture_make();
    struct store_meta meta = {0}, again = {0};
    struct err e = {0};
    uint64_t generation = 0;
    int dir = -1;
    auto_free char *data = NULL;

    CHECK_INT(fixture_publish(f.s, f.epoch, &generation, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(generation, 1);
    CHECK_INT(store_verify(f.s, 1, STORE_FULL, &meta, NULL, NULL, &e), 0);
    CHECK_INT(meta.generation, 1);
    CHECK_INT(meta.epoch, f.epoch);
    CHECK_STR(meta.host, "alpha");
    CHECK_STR(meta.engine, "native");
    CHECK_STR(meta.label, "blast \xc3\xbc");
    CHECK_STR(meta.cpu, "x86_64\n\tavx2");
    CHECK_INT(meta.processes, 3);
    CHECK_INT(meta.threads, 9);
    CHECK_INT(meta.bytes, 1000);
    CHECK_INT(meta.stored_bytes, 900);
    CHECK_INT(meta.pause_us, 5);
    CHECK_INT(meta.time_us, 50);
    CHECK_INT(strlen(meta.time), 24);
    CHECK_INT(store_generation_open(f.s, 1, &again, &dir, &e), 0);
    CHECK(memcmp(&again, &meta, sizeof(meta)) == 0);
    CHECK_INT(io_read_file(dir, "tree", 100, &data, NULL, &e), 0);
    CHECK_STR(data, "tttttttttt");
    close(dir);
    fixture_drop(&f);
}

static void the_newest_generations_are_kept(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    for (int i = 0; i < 4; i++)
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "3 4");
    store_set_keep(f.s, 3);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "3 4 5");
    store_set_keep(f.s, 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "6");
    fixture_drop(&f);
}

static void a_damaged_generation_does_not_push_out_a_good_one(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK(scratch_flip(store_dirfd(f.s), "gen/000002/manifest.json", 40, 3));
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "1 2! 3");
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "3 4");
    fixture_drop(&f);
}

static void failed_runs_are_counted_until_forgotten(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    unsigned runs = 0;

    for (int i = 0; i < 2; i++)
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_failed_runs(f.s, 2), 0);
    CHECK_INT(store_failed_forget(f.s, f.epoch, 2, &e), 0);
    CHECK_INT(store_failed_note(f.s, f.epoch, 2, &runs, &e), 0);
    CHECK_INT(runs, 1);
    f.epoch = fixture_take(f.s);
    CHECK_INT(store_failed_note(f.s, f.epoch, 1, &runs, &e), 0);
    CHECK_INT(store_failed_note(f.s, f.epoch, 2, &runs, &e), 0);
    CHECK_INT(runs, 2);
    CHECK_INT(store_failed_forget(f.s, f.epoch, 2, &e), 0);
    CHECK_INT(store_failed_runs(f.s, 2), 0);
    CHECK_INT(store_failed_runs(f.s, 1), 1);
    CHECK_INT(store_failed_note(f.s, f.epoch - 1, 1, &runs, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_INT(store_failed_runs(f.s, 1), 1);
    CHECK_INT(store_remove(f.s, f.epoch, &e), 0);
    CHECK_INT(fixture_entries(f.job), -1);
    fixture_drop(&f);
}

static void a_count_that_is_damaged_begins_again(void)
{
    static const char *const texts[] = {
        "{\"format\":1,", "{\"format\":1}", "{\"format\":1,\"failed\":3}",
        "{\"format\":1,\"failed\":[7,{\"generation\":1,\"runs\":\"x\"}]}",
        "{\"format\":1,\"failed\":[{\"generation\":1,\"runs\":-5}]}"};
    struct fixture f = fixture_make();
    struct err e = {0};
    unsigned runs = 0;

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        unlinkat(store_dirfd(f.s), "failed.json", 0);
        CHECK_INT(io_create_file(store_dirfd(f.s), "failed.json", texts[i],
                                 strlen(texts[i]), &e),
                  0);
        CHECK_INT(store_failed_runs(f.s, 1), 0);
        CHECK_INT(store_failed_note(f.s, f.epoch, 1, &runs, &e), 0);
        CHECK_INT(runs, 1);
        CHECK_INT(store_failed_runs(f.s, 1), 1);
    }
    fixture_drop(&f);
}

static void a_generation_that_fails_does_not_push_out_a_good_one(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    unsigned runs;

    for (int i = 0; i < 2; i++)
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_failed_note(f.s, f.epoch, 2, &runs, &e), 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "1 2 3");
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_STR(fixture_list(f.s), "3 4");
    CHECK_INT(store_failed_note(f.s, f.epoch, 4, &runs, &e), 0);
    CHECK_INT(store_failed_runs(f.s, 2), 0);
    fixture_drop(&f);
}

/* One that a person has removed: the next gets its number, and nothing else of it. */
static void a_new_generation_has_not_failed(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    uint64_t generation = 0;
    char path[200];
    unsigned runs;

    for (int i = 0; i < 2; i++)
        CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(store_failed_note(f.s, f.epoch, 2, &runs, &e), 0);
    CHECK_INT(store_failed_note(f.s, f.epoch, 1, &runs, &e), 0);
    snprintf(path, sizeof(path), "%s/gen/000002", f.job);
    CHECK_INT(io_remove_tree(AT_FDCWD, path, &e), 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, &generation, &e), 0);
    CHECK_INT(generation, 2);
    CHECK_INT(store_failed_runs(f.s, 2), 0);
    CHECK_INT(store_failed_runs(f.s, 1), 1);
    fixture_drop(&f);
}

static void an_empty_store_has_no_generations(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    int dir = -1;

    CHECK_STR(fixture_list(f.s), "");
    CHECK_INT(store_verify(f.s, 7, STORE_QUICK, NULL, NULL, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_HAS(e.text, "has no generation 7");
    CHECK_INT(store_generation_open(f.s, 7, NULL, &dir, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    fixture_drop(&f);
}

static void only_files_with_sums_are_published(void)
{
    struct fixture f = fixture_make();
    struct store_meta meta = fixture_meta();
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"notes", "notes.sum is missing"},
        {"pages.sum", "pages.sum has no file"},
        {".hidden", "'.hidden' is not a name for an engine's file"},
        {"manifest.json", "'manifest.json' is not a name for an engine's file"},
        {"ctl\x1b[2J", "is not a name for an engine's file"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        struct store_stage *stage = store_stage_begin(f.s, f.epoch, &e);

        CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
        scratch_put(store_stage_dirfd(stage), cases[i].name, "x", 1);
        CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
        CHECK_HAS(e.text, cases[i].text);
    }
    CHECK_STR(fixture_list(f.s), "");
    fixture_drop(&f);
}

static void a_directory_an_empty_stage_or_a_wrong_size_is_not_published(void)
{
    struct fixture f = fixture_make();
    struct store_meta meta = fixture_meta();
    struct err e = {0};
    char gen[160];
    struct store_stage *stage = store_stage_begin(f.s, f.epoch, &e);

    CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
    CHECK_HAS(e.text, "generation 1: the engine wrote no file");
    stage = store_stage_begin(f.s, f.epoch, &e);
    CHECK_INT(mkdirat(store_stage_dirfd(stage), "sub", 0700), 0);
    CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
    CHECK_HAS(e.text, "sub is not a regular file");
    stage = store_stage_begin(f.s, f.epoch, &e);
    CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
    scratch_put(store_stage_dirfd(stage), "tree", "short", 5);
    CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
    CHECK_HAS(e.text, "tree has 5 bytes, its checksums are for 10");
    snprintf(gen, sizeof(gen), "%s/gen", f.job);
    CHECK_INT(fixture_entries(gen), 0);
    fixture_drop(&f);
}

static void a_manifest_that_nobody_could_read_is_not_published(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    struct store_meta bad[] = {fixture_meta(), fixture_meta(), fixture_meta(),
                               fixture_meta()};

    strcpy(bad[0].label, "\xff\xfe");
    strcpy(bad[1].label, "clear\x1b[2J");
    bad[2].engine[0] = '\0';
    bad[3].bytes = UINT64_MAX;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct store_stage *stage = store_stage_begin(f.s, f.epoch, &e);

        CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
        CHECK_INT(store_publish(stage, &bad[i], NULL, &e), -1);
        CHECK_HAS(e.text, "manifest.json: '");
    }
    CHECK_STR(fixture_list(f.s), "");
    fixture_drop(&f);
}

static void an_abandoned_stage_leaves_nothing(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    char gen[160];
    struct store_stage *stage = store_stage_begin(f.s, f.epoch, &e);

    CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
    snprintf(gen, sizeof(gen), "%s/gen", f.job);
    CHECK_INT(fixture_entries(gen), 1);
    store_stage_abandon(stage);
    CHECK_INT(fixture_entries(gen), 0);
    store_stage_abandon(NULL);
    fixture_drop(&f);
}

static void the_completion_record_is_written_once(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    uint64_t epoch = 0;
    int status = -1;

    CHECK_INT(store_done_read(f.s, &status, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_INT(store_done_write(f.s, f.epoch, 256, &e), -1);
    CHECK_INT(store_done_write(f.s, f.epoch, 17, &e), 0);
    CHECK_INT(store_done_write(f.s, f.epoch, 17, &e), 0);
    CHECK_INT(store_done_write(f.s, f.epoch, 18, &e), -1);
    CHECK_HAS(e.text, "the job ended before, with status 17 in run 1");
    CHECK_INT(store_done_read(f.s, &status, &epoch, &e), 0);
    CHECK_INT(status, 17);
    CHECK_INT(epoch, f.epoch);
    fixture_drop(&f);
}

static void the_record_of_the_job_is_kept(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    json_t *in = json_pack("{s:[s,s], s:s}", "argv", "sh", "-c", "cwd", "/home/ann");
    json_t *out = NULL;

    CHECK_INT(store_job_read(f.s, &out, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_INT(store_job_write(f.s, f.epoch, in, &e), 0);
    CHECK_INT(store_job_read(f.s, &out, &e), 0);
    CHECK_STR(json_string_value(json_object_get(out, "cwd")), "/home/ann");
    CHECK_INT(json_integer_value(json_object_get(out, "format")), 1);
    CHECK_INT(json_array_size(json_object_get(out, "argv")), 2);
    json_decref(in);
    json_decref(out);
    fixture_drop(&f);
}

static void an_event_is_one_line(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    auto_free char *log = NULL;
    json_t *line;
    size_t size = 0;

    store_log(f.s, LOG_INFO, "supervisor", 1, "launched", NULL, "%s", "two\nlines");
    store_log(f.s, LOG_ERROR, "qckpt-migrate", 1, "checkpoint-failed",
              json_pack("{s:i, s:s}", "generation", 8, "event", "forged"), "bad \xff");
    CHECK_INT(io_read_file(store_dirfd(f.s), "log.jsonl", 10000, &log, &size, &e), 0);
    line = json_loads(log, JSON_DISABLE_EOF_CHECK, NULL);
    CHECK_STR(json_string_value(json_object_get(line, "text")), "two\nlines");
    CHECK_STR(json_string_value(json_object_get(line, "level")), "info");
    CHECK_STR(json_string_value(json_object_get(line, "who")), "supervisor");
    json_decref(line);
    line = json_loads(strchr(log, '\n') + 1, JSON_DISABLE_EOF_CHECK, NULL);
    CHECK_STR(json_string_value(json_object_get(line, "event")), "checkpoint-failed");
    CHECK_STR(json_string_value(json_object_get(line, "text")), "bad ?");
    CHECK_INT(json_integer_value(json_object_get(line, "generation")), 8);
    CHECK_INT(json_integer_value(json_object_get(line, "epoch")), 1);
    json_decref(line);
    CHECK(size > 0 && log[size - 1] == '\n');
    fixture_drop(&f);
}

static void a_log_that_is_a_link_is_not_followed(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    auto_free char *log = NULL;

    CHECK_INT(symlinkat("elsewhere", store_dirfd(f.s), "log.jsonl"), 0);
    store_log(f.s, LOG_INFO, "supervisor", 1, "launched", NULL, "hello");
    CHECK_INT(faccessat(store_dirfd(f.s), "elsewhere", F_OK, 0), -1);
    CHECK_INT(unlinkat(store_dirfd(f.s), "log.jsonl", 0), 0);
    store_log(f.s, LOG_INFO, "supervisor", 1, "launched", NULL, "hello");
    CHECK_INT(io_read_file(store_dirfd(f.s), "log.jsonl", 1000, &log, NULL, &e), 0);
    CHECK_HAS(log, "hello");
    fixture_drop(&f);
}

static int make_workdir(struct fixture *f, char *path, struct err *e)
{
    return store_workdir_make(f->s, f->epoch, path, PATH_MAX, e);
}

static void a_run_works_in_its_own_directory_until_the_next(void)
{
    char first[PATH_MAX], second[PATH_MAX];
    struct fixture f = fixture_make();
    struct err e = {0};

    CHECK_INT(make_workdir(&f, first, &e), 0);
    CHECK_INT(make_workdir(&f, second, &e), 0);
    CHECK(second[0] == '/' && access(first, F_OK) < 0 && access(second, W_OK) == 0);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0); /* sweeps */
    CHECK(access(second, W_OK) == 0);
    store_workdir_remove(f.s);
    CHECK(access(second, F_OK) < 0);
    CHECK_INT(make_workdir(&f, first, &e), 0);
    CHECK_INT(store_epoch_take(f.s, "beta", 2, "", &f.epoch, &e), 0);
    CHECK_INT(make_workdir(&f, second, &e), 0);
    CHECK(access(first, F_OK) < 0 && access(second, W_OK) == 0);
    f.epoch--;
    CHECK_INT(make_workdir(&f, first, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    fixture_drop(&f);
}

static void removing_leaves_nothing_of_the_job(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    struct store *other = store_open_job(f.ckpt, "ann", "4712", "3", true, &e);

    CHECK(other != NULL);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_done_write(f.s, f.epoch, 0, &e), 0);
    store_log(f.s, LOG_INFO, "supervisor", 1, "ended", NULL, "status 0");
    CHECK_INT(store_remove(f.s, f.epoch, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(fixture_entries(f.job), -1);
    CHECK_INT(store_epoch_check(f.s, f.epoch, &e), -1);
    CHECK_INT(e.kind, ERR_GONE);
    CHECK_INT(fixture_entries(f.ckpt), 1);
    CHECK_INT(store_remove(other, 0, &e), 0);
    CHECK_INT(fixture_entries(f.ckpt), 0);
    store_close(other);
    fixture_drop(&f);
}

static void removing_keeps_what_is_not_the_stores(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    scratch_put(store_dirfd(f.s), "thesis.tex", "x", 1);
    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_remove(f.s, f.epoch, &e), -1);
    CHECK_HAS(e.text, "holds 'thesis.tex', which is not the store's: kept");
    CHECK_INT(fixture_entries(f.job), 1);
    /* Asked again, it goes on where it was. */
    CHECK_INT(unlinkat(store_dirfd(f.s), "thesis.tex", 0), 0);
    CHECK_INT(store_remove(f.s, f.epoch, &e), 0);
    CHECK_INT(fixture_entries(f.job), -1);
    fixture_drop(&f);
}

int main(void)
{
    RUN(a_generation_is_published_and_read_back);
    RUN(the_newest_generations_are_kept);
    RUN(a_damaged_generation_does_not_push_out_a_good_one);
    RUN(failed_runs_are_counted_until_forgotten);
    RUN(a_count_that_is_damaged_begins_again);
    RUN(a_generation_that_fails_does_not_push_out_a_good_one);
    RUN(a_new_generation_has_not_failed);
    RUN(an_empty_store_has_no_generations);
    RUN(only_files_with_sums_are_published);
    RUN(a_directory_an_empty_stage_or_a_wrong_size_is_not_published);
    RUN(a_manifest_that_nobody_could_read_is_not_published);
    RUN(an_abandoned_stage_leaves_nothing);
    RUN(the_completion_record_is_written_once);
    RUN(the_record_of_the_job_is_kept);
    RUN(an_event_is_one_line);
    RUN(a_log_that_is_a_link_is_not_followed);
    RUN(a_run_works_in_its_own_directory_until_the_next);
    RUN(removing_leaves_nothing_of_the_job);
    RUN(removing_keeps_what_is_not_the_stores);
    return tap_done();
}
