/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { RACERS = 8, ROUNDS = 2 };

static void each_run_has_a_higher_epoch(void)
{
    struct fixture f = fixture_make();
    struct store_epoch now = {0};
    struct err e = {0};

    CHECK_INT(f.epoch, 1);
    CHECK_INT(store_epoch_check(f.s, 1, &e), 0);
    CHECK_INT(fixture_take(f.s), 2);
    CHECK_INT(store_epoch_check(f.s, 1, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_HAS(e.text,
              "run 1 of this job has been superseded by run 2 (host alpha, pid 77");
    CHECK_INT(store_epoch_current(f.s, &now, &e), 0);
    CHECK_INT(now.epoch, 2);
    CHECK_INT(now.pid, 77);
    CHECK_STR(now.host, "alpha");
    CHECK_STR(now.socket, "qckpt-socket");
    CHECK_INT(strlen(now.boot_id), 36);
    CHECK_INT(strlen(now.started), 24);
    fixture_drop(&f);
}

static void before_the_first_run_there_is_none(void)
{
    struct scratch dir = scratch_make();
    struct err e = {0};
    struct store_epoch now;
    struct store *s;

    s = store_open_dir(dir.path, true, &e);
    CHECK_INT(store_epoch_current(s, &now, &e), -1);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_INT(store_epoch_check(s, 0, &e), 0);
    CHECK_INT(store_epoch_check(s, 1, &e), -1);
    CHECK_INT(e.kind, ERR_GONE);
    CHECK_INT(fixture_take(s), 1);
    CHECK_INT(store_epoch_check(s, 0, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    store_close(s);
    scratch_drop(&dir);
}

static void a_superseded_run_changes_nothing(void)
{
    struct fixture f = fixture_make();
    struct store *old = fixture_open(&f, false, &(struct err){0});
    struct store_meta meta = fixture_meta();
    struct err e = {0};
    struct store_stage *stage;
    json_t *none = NULL;
    int status;

    CHECK_INT(fixture_publish(f.s, 1, NULL, &e), 0);
    stage = store_stage_begin(old, 1, &e);
    CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
    CHECK_INT(fixture_take(f.s), 2);
    CHECK_INT(store_publish(stage, &meta, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK(store_stage_begin(old, 1, &e) == NULL);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_INT(store_done_write(old, 1, 0, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_INT(store_done_read(old, &status, NULL, &e), -1);
    none = json_object();
    CHECK_INT(store_job_write(old, 1, none, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    json_decref(none);
    CHECK_INT(store_remove(old, 1, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_STR(fixture_list(f.s), "1");
    CHECK_INT(store_verify(f.s, 1, STORE_FULL, NULL, NULL, NULL, &e), 0);
    store_close(old);
    fixture_drop(&f);
}

/* A run that has claimed its epoch, and not yet told the readers of `epoch`. */
static void who_came_before_is_known_at_once(void)
{
    struct fixture f = fixture_make();
    static const char claim[] =
        "{\"format\":1,\"epoch\":2,\"host\":\"n2\",\"pid\":77,\"boot_id\":\"b\","
        "\"socket\":\"qckpt-2\",\"started\":\"2026-11-22T11:00:00.000Z\"}\n";
    struct store_epoch before = {0};

    CHECK(!store_epoch_before(f.s, &before));
    scratch_put(store_dirfd(f.s), "epoch.2", claim, sizeof(claim) - 1);
    CHECK_INT(fixture_take(f.s), 3);
    CHECK(store_epoch_before(f.s, &before));
    CHECK_INT(before.epoch, 2);
    CHECK_STR(before.socket, "qckpt-2");
    CHECK_INT(fixture_take(f.s), 4);
    CHECK(store_epoch_before(f.s, &before));
    CHECK_INT(before.epoch, 3);
    fixture_drop(&f);
}

static void an_equal_number_is_not_the_same_run(void)
{
    struct fixture f = fixture_make();
    struct store *again = fixture_open(&f, false, &(struct err){0});
    struct err e = {0};

    CHECK_INT(unlinkat(store_dirfd(f.s), "epoch", 0), 0);
    CHECK_INT(unlinkat(store_dirfd(f.s), "epoch.1", 0), 0);
    CHECK_INT(fixture_take(again), 1);
    CHECK_INT(store_epoch_check(f.s, 1, &e), -1);
    CHECK_INT(e.kind, ERR_FENCED);
    CHECK_INT(store_epoch_check(again, 1, &e), 0);
    store_close(again);
    fixture_drop(&f);
}

static void taking_an_epoch_sweeps_what_earlier_runs_had_begun(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    struct store_stage *stage = store_stage_begin(f.s, 1, &e);
    char gen[160], name[] = ".done.json.1-0123456789abcdef0123456789abcdef";

    snprintf(gen, sizeof(gen), "%s/gen", f.job);
    CHECK_INT(fixture_write(store_stage_dirfd(stage), "tree", 10, 't', &e), 0);
    scratch_put(store_dirfd(f.s), name, "{}", 2);
    scratch_put(store_dirfd(f.s), ".notes", "mine", 4);
    CHECK_INT(fixture_entries(gen), 1);
    CHECK_INT(fixture_take(f.s), 2);
    CHECK_INT(fixture_entries(gen), 0);
    CHECK_INT(scratch_size(store_dirfd(f.s), name), -1);
    CHECK_INT(scratch_size(store_dirfd(f.s), ".notes"), 4);
    store_stage_abandon(stage);
    fixture_drop(&f);
}

/* Runs `racer` in RACERS processes that start together; each result is written as one
 * number. Returns how many failed. */
static int race(const struct fixture *f, uint64_t (*racer)(struct store *),
                uint64_t results[RACERS])
{
    int go[2], out[2], failed = 0;
    pid_t pids[RACERS];

    if (pipe(go) < 0 || pipe(out) < 0)
        return RACERS;
    fflush(stdout);
    for (int i = 0; i < RACERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct err e = {0};
            struct store *s = fixture_open(f, false, &e);
            uint64_t result;
            char c;

            close(go[1]);
            if (!s || read(go[0], &c, 1) != 0)
                _exit(1);
            result = racer(s);
            store_close(s);
            _exit(write(out[1], &result, sizeof(result)) != sizeof(result));
        }
    }
    close(go[0]);
    close(go[1]);
    for (int i = 0; i < RACERS; i++) {
        int status = -1;

        waitpid(pids[i], &status, 0);
        failed += status != 0;
        if (status == 0 && read(out[0], &results[i], sizeof(results[i])) < 0)
            failed++;
    }
    close(out[0]);
    close(out[1]);
    return failed;
}

/* The epoch, or 0 when somebody else was later. */
static uint64_t take_one(struct store *s)
{
    struct err e = {0};
    uint64_t epoch = 0;

    if (store_epoch_take(s, "alpha", getpid(), "", &epoch, &e) == 0)
        return epoch;
    if (e.kind == ERR_FENCED)
        return 0;
    printf("# %s\n", e.text);
    fflush(stdout);
    _exit(1);
}

enum { TAKES = 25 };

/* Shared by the racers: who took which epoch. */
static unsigned char *taken;

/* Takes one epoch after the other; the highest is returned. */
static uint64_t take_many(struct store *s)
{
    uint64_t highest = 0;

    for (int i = 0; i < TAKES; i++) {
        uint64_t epoch = take_one(s);

        if (epoch > 0)
            __atomic_add_fetch(&taken[epoch % 4096], 1, __ATOMIC_SEQ_CST);
        if (epoch > highest)
            highest = epoch;
    }
    return highest;
}

static void check_race(struct fixture *f)
{
    uint64_t results[RACERS] = {0}, highest = 0;
    struct store_epoch now = {0};
    struct err e = {0};

    memset(taken, 0, 4096);
    CHECK_INT(race(f, take_many, results), 0);
    for (int i = 0; i < RACERS; i++)
        if (results[i] > highest)
            highest = results[i];
    CHECK(highest > 0 && highest < 4096);
    for (int i = 0; i < 4096; i++)
        CHECK(taken[i] <= 1);
    CHECK_INT(store_epoch_current(f->s, &now, &e), 0);
    CHECK_INT(now.epoch, highest);
    CHECK_INT(store_epoch_check(f->s, highest, &e), 0);
    for (int i = 0; i < RACERS; i++)
        if (results[i] > 0 && results[i] != highest)
            CHECK_INT(store_epoch_check(f->s, results[i], &e), -1);
}

static void of_racing_starters_each_has_its_own_epoch(void)
{
    taken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture f = fixture_make();

        check_race(&f);
        fixture_drop(&f);
    }
    munmap(taken, 4096);
}

/* Takes an epoch and publishes until superseded, several times over. */
static uint64_t take_and_publish(struct store *s)
{
    uint64_t published = 0;

    store_set_keep(s, 10000);
    for (int i = 0; i < 3; i++) {
        uint64_t epoch = take_one(s);
        struct err e = {0};

        for (int k = 0; epoch > 0 && k < 10; k++) {
            uint64_t generation = 0;
            int rc = fixture_publish(s, epoch, &generation, &e);

            /* Superseded while pruning: it was published all the same. */
            if (generation > 0)
                published++;
            if (rc == 0)
                continue;
            if (e.kind == ERR_FENCED)
                break;
            /* The files were swept from under the engine's hands. */
            if (e.kind == ERR_SYS && e.sys == ENOENT)
                break;
            if (e.kind == ERR_CORRUPT || e.kind == ERR_FAILED || e.kind == ERR_NOTHING)
                break;
            printf("# %s\n", e.text);
            fflush(stdout);
            _exit(1);
        }
    }
    return published;
}

static void racing_runs_publish_in_the_order_of_their_epochs(void)
{
    struct fixture f = fixture_make();
    uint64_t results[RACERS] = {0}, published = 0, epoch = 0;
    struct store_generation *list = NULL;
    struct err e = {0};
    size_t n = 0;

    CHECK_INT(race(&f, take_and_publish, results), 0);
    for (int i = 0; i < RACERS; i++)
        published += results[i];
    CHECK_INT(store_list(f.s, &list, &n, &e), 0);
    CHECK_INT(n, published);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(list[i].generation, i + 1);
        CHECK_INT(list[i].damage.kind, ERR_NONE);
        CHECK(list[i].meta.epoch >= epoch);
        epoch = list[i].meta.epoch;
        CHECK_INT(store_verify(f.s, i + 1, STORE_FULL, NULL, NULL, NULL, &e), 0);
    }
    free(list);
    fixture_drop(&f);
}

static void a_damaged_or_missing_copy_is_made_anew_from_the_claim(void)
{
    struct fixture f = fixture_make();
    struct store_epoch now = {0};
    struct err e = {0};
    int dir = store_dirfd(f.s);

    scratch_put(dir, "epoch", "junk", 4);
    CHECK_INT(store_epoch_current(f.s, &now, &e), -1);
    CHECK_INT(e.kind, ERR_CORRUPT);
    CHECK_HAS(e.text, "epoch line 1: ");
    CHECK_INT(store_epoch_check(f.s, 1, &e), 0);
    CHECK_INT(store_epoch_current(f.s, &now, &e), 0);
    CHECK_INT(now.epoch, 1);
    CHECK_INT(unlinkat(dir, "epoch", 0), 0);
    CHECK_INT(store_epoch_check(f.s, 1, &e), 0);
    scratch_put(dir, "epoch", "junk", 4);
    CHECK_INT(fixture_take(f.s), 2);
    /* A starter that dies between its claim and the copy. */
    scratch_put(dir, "epoch.3", "{}", 2);
    CHECK_INT(store_epoch_check(f.s, 2, &e), 0);
    CHECK_INT(fixture_take(f.s), 4);
    fixture_drop(&f);
}

static void without_its_claim_the_copy_still_counts(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};
    uint64_t epoch;

    CHECK_INT(fixture_take(f.s), 2);
    CHECK_INT(unlinkat(store_dirfd(f.s), "epoch.2", 0), 0);
    CHECK_INT(store_epoch_check(f.s, 2, &e), 0);
    CHECK_INT(fixture_take(f.s), 3);
    CHECK_INT(unlinkat(store_dirfd(f.s), "epoch.3", 0), 0);
    scratch_put(store_dirfd(f.s), "epoch", "junk", 4);
    CHECK_INT(store_epoch_take(f.s, "alpha", 1, "", &epoch, &e), -1);
    CHECK_INT(e.kind, ERR_CORRUPT);
    fixture_drop(&f);
}

int main(void)
{
    RUN(each_run_has_a_higher_epoch);
    RUN(before_the_first_run_there_is_none);
    RUN(a_superseded_run_changes_nothing);
    RUN(who_came_before_is_known_at_once);
    RUN(an_equal_number_is_not_the_same_run);
    RUN(taking_an_epoch_sweeps_what_earlier_runs_had_begun);
    RUN(of_racing_starters_each_has_its_own_epoch);
    RUN(racing_runs_publish_in_the_order_of_their_epochs);
    RUN(a_damaged_or_missing_copy_is_made_anew_from_the_claim);
    RUN(without_its_claim_the_copy_still_counts);
    return tap_done();
}
