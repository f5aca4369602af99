/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

/* Another user's id; nobody needs to have it. */
enum { STRANGER = 54321 };

static void check_refused(const struct fixture *f, enum err_kind kind, const char *text)
{
    struct err e = {0};
    struct store *s = fixture_open(f, true, &e);

    CHECK(s == NULL);
    CHECK_INT(e.kind, kind);
    CHECK_HAS(e.text, text);
    store_close(s);
    err_clear(&e);
    s = fixture_open(f, false, &e);
    CHECK(s == NULL);
    CHECK_INT(e.kind, kind);
    store_close(s);
}

static void check_opens(const struct fixture *f)
{
    struct err e = {0};
    struct store *s = fixture_open(f, false, &e);

    CHECK(s != NULL);
    CHECK_STR(e.text, "");
    store_close(s);
}

static int mode_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) < 0 ? -1 : (int)(st.st_mode & 07777);
}

static void what_is_made_is_closed_to_others(void)
{
    mode_t old = umask(0);
    struct fixture f = fixture_make();
    struct err e = {0};
    char path[256];

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(store_done_write(f.s, f.epoch, 0, &e), 0);
    store_log(f.s, LOG_INFO, "supervisor", 1, "ended", NULL, "x");
    CHECK_INT(mode_of(f.job), 0700);
    static const char *const files[] = {"epoch", "done.json", "log.jsonl",
                                        "gen/000001/manifest.json",
                                        "gen/000001/pages.sum"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", f.job, files[i]);
        CHECK_INT(mode_of(path), 0600);
    }
    snprintf(path, sizeof(path), "%s/gen/000001", f.job);
    CHECK_INT(mode_of(path), 0700);
    snprintf(path, sizeof(path), "%s/ann", f.ckpt);
    CHECK_INT(mode_of(path), 0700);
    fixture_drop(&f);
    umask(old);
}

static void a_job_that_was_never_there_is_nothing(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    CHECK(store_open_job(f.ckpt, "bob", "4711", "1", false, &e) == NULL);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_HAS(e.text, "/ckpt/bob does not exist");
    CHECK(store_open_job(f.ckpt, "ann", "4711", "2", false, &e) == NULL);
    CHECK_INT(e.kind, ERR_NOTHING);
    CHECK_HAS(e.text, "/ckpt/ann/4711.2 does not exist");
    CHECK_INT(fixture_entries(f.ckpt), 1);
    fixture_drop(&f);
}

static void a_ckpt_dir_that_is_missing_is_described(void)
{
    struct err e = {0};

    CHECK(store_open_job("/nonexistent", "bob", "4711", "1", true, &e) == NULL);
    CHECK_STR(e.text, "ckpt_dir, a directory of mode 1777 that all hosts share: open "
                      "/nonexistent: No such file or directory");
}

static void names_that_lead_elsewhere_are_refused(void)
{
    static const char *const bad[][3] = {
        {"..", "1", "1"},      {"", "1", "1"},       {"a/b", "1", "1"},
        {".hidden", "1", "1"}, {"ann", "1/..", "1"}, {"ann", "", "1"},
        {"ann", "1.2", "3"},   {"ann", "1", "2.3"},  {"ann", "1", "../x"},
        {"ann\n", "1", "1"},
    };
    struct fixture f = fixture_make();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};

        CHECK(!store_open_job(f.ckpt, bad[i][0], bad[i][1], bad[i][2], true, &e));
        CHECK_INT(e.kind, ERR_USAGE);
    }
    CHECK_INT(fixture_entries(f.ckpt), 1);
    fixture_drop(&f);
}

static void a_symbolic_link_is_refused_anywhere(void)
{
    static const char *const parts[] = {"ann", "ann/4711.1", "ann/4711.1/gen"};
    struct fixture f = fixture_make();
    char from[256], to[256];

    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof(from), "%s/%s", f.ckpt, parts[i]);
        snprintf(to, sizeof(to), "%s/elsewhere", f.dir.path);
        CHECK_INT(rename(from, to), 0);
        CHECK_INT(symlink(to, from), 0);
        check_refused(&f, ERR_UNSAFE, "is a symbolic link");
        CHECK_INT(unlink(from), 0);
        scratch_put(AT_FDCWD, from, "x", 1);
        check_refused(&f, ERR_UNSAFE, "is not a directory");
        CHECK_INT(unlink(from), 0);
        CHECK_INT(rename(to, from), 0);
        check_opens(&f);
    }
    fixture_drop(&f);
}

static void a_directory_open_to_others_is_refused(void)
{
    static const char *const parts[] = {"ann", "ann/4711.1", "ann/4711.1/gen"};
    static const int modes[] = {0750, 0770, 0777, 0705, 01777, 0701, 0720};
    struct fixture f = fixture_make();
    char path[256], text[300];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", f.ckpt, parts[i]);
        for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
            CHECK_INT(chmod(path, modes[m]), 0);
            snprintf(text, sizeof(text), "%s is open to others (mode %04o", path,
                     modes[m]);
            check_refused(&f, ERR_UNSAFE, text);
        }
        CHECK_INT(chmod(path, 02700), 0);
        check_opens(&f);
        CHECK_INT(chmod(path, 0700), 0);
    }
    fixture_drop(&f);
}

static void a_generation_open_to_others_is_refused(void)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    CHECK_INT(fchmodat(store_dirfd(f.s), "gen/000001", 0770, 0), 0);
    CHECK_INT(store_verify(f.s, 1, STORE_QUICK, NULL, NULL, NULL, &e), -1);
    CHECK_INT(e.kind, ERR_UNSAFE);
    CHECK_STR(fixture_list(f.s), "1!");
    fixture_drop(&f);
}

static void another_owners_directory_is_refused(void)
{
    static const char *const parts[] = {"ann", "ann/4711.1", "ann/4711.1/gen"};
    struct fixture f;
    char path[256];

    if (geteuid() != 0)
        SKIP("only root can give a directory away");
    f = fixture_make();
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", f.ckpt, parts[i]);
        CHECK_INT(chown(path, STRANGER, -1), 0);
        check_refused(&f, ERR_UNSAFE, "belongs to uid 54321, not to uid 0");
        CHECK_INT(chown(path, 0, -1), 0);
        check_opens(&f);
    }
    CHECK_INT(chown(f.ckpt, STRANGER, -1), 0);
    check_opens(&f);
    fixture_drop(&f);
}

static void the_arena_must_be_sticky_when_others_can_write(void)
{
    struct fixture f = fixture_make();

    CHECK_INT(chmod(f.ckpt, 0777), 0);
    check_refused(&f, ERR_UNSAFE, "and replace what is in it: chmod +t");
    CHECK_INT(chmod(f.ckpt, 0775), 0);
    check_refused(&f, ERR_UNSAFE, "mode 0775");
    CHECK_INT(chmod(f.ckpt, 01775), 0);
    check_opens(&f);
    CHECK_INT(chmod(f.ckpt, 0755), 0);
    check_opens(&f);
    fixture_drop(&f);
}

/* ---- without Grid Engine ---- */

static void check_dir(const char *path, enum err_kind kind, const char *text)
{
    struct err e = {0};
    struct store *s = store_open_dir(path, true, &e);

    CHECK(s == NULL);
    CHECK_INT(e.kind, kind);
    CHECK_HAS(e.text, text);
    store_close(s);
}

static void a_directory_of_ones_own_is_made_and_opened_again(void)
{
    struct scratch dir = scratch_make();
    struct err e = {0};
    char path[256];
    struct store *s;

    snprintf(path, sizeof(path), "%s/my.ckpt", dir.path);
    CHECK(store_open_dir(path, false, &e) == NULL);
    CHECK_INT(e.kind, ERR_NOTHING);
    s = store_open_dir(path, true, &e);
    CHECK(s != NULL);
    CHECK_STR(store_path(s), path);
    CHECK_INT(mode_of(path), 0700);
    CHECK_INT(fixture_publish(s, fixture_take(s), NULL, &e), 0);
    store_close(s);
    strcat(path, "/");
    s = store_open_dir(path, true, &e);
    CHECK_STR(fixture_list(s), "1");
    CHECK_INT(store_remove(s, 1, &e), 0);
    CHECK_INT(fixture_entries(dir.path), 0);
    store_close(s);
    scratch_drop(&dir);
}

static void the_current_directory_can_be_a_store(void)
{
    struct scratch dir = scratch_make();
    struct err e = {0};
    struct store *s;

    CHECK_INT(chdir(dir.path), 0);
    s = store_open_dir(".", true, &e);
    CHECK(s != NULL);
    CHECK_INT(fixture_publish(s, fixture_take(s), NULL, &e), 0);
    CHECK_INT(store_remove(s, 1, &e), 0);
    CHECK_INT(fixture_entries(dir.path), 0);
    store_close(s);
    s = store_open_dir("new", true, &e);
    CHECK(s != NULL);
    store_close(s);
    CHECK_INT(chdir("/"), 0);
    scratch_drop(&dir);
}

static void a_directory_with_other_things_is_not_made_a_store(void)
{
    struct scratch dir = scratch_make();

    scratch_put(dir.fd, "thesis.tex", "x", 1);
    check_dir(dir.path, ERR_USAGE, "holds 'thesis.tex' and no checkpoints");
    scratch_put(dir.fd, "epoch.1", "x", 1);
    store_close(store_open_dir(dir.path, true, &(struct err){0}));
    scratch_drop(&dir);
}

static void a_strangers_way_in_is_refused(void)
{
    struct scratch dir = scratch_make();
    struct err e = {0};
    char path[256], link[256];
    struct store *s;

    snprintf(path, sizeof(path), "%s/my.ckpt", dir.path);
    snprintf(link, sizeof(link), "%s/link", dir.path);
    store_close(store_open_dir(path, true, &e));
    CHECK_INT(symlink(path, link), 0);
    check_dir(link, ERR_UNSAFE, "is a symbolic link");
    strcat(link, "/");
    check_dir(link, ERR_UNSAFE, "is a symbolic link");
    CHECK_INT(chmod(dir.path, 0777), 0);
    check_dir(path, ERR_UNSAFE, "everybody can write to the directory of");
    CHECK_INT(chmod(dir.path, 01777), 0);
    CHECK_INT(chmod(path, 0755), 0);
    check_dir(path, ERR_UNSAFE, "is open to others (mode 0755");
    CHECK_INT(chmod(path, 0700), 0);
    CHECK_INT(chmod(dir.path, 0770), 0);
    s = store_open_dir(path, true, &e);
    CHECK(s != NULL);
    store_close(s);
    scratch_drop(&dir);
}

int main(void)
{
    RUN(what_is_made_is_closed_to_others);
    RUN(a_job_that_was_never_there_is_nothing);
    RUN(a_ckpt_dir_that_is_missing_is_described);
    RUN(names_that_lead_elsewhere_are_refused);
    RUN(a_symbolic_link_is_refused_anywhere);
    RUN(a_directory_open_to_others_is_refused);
    RUN(a_generation_open_to_others_is_refused);
    RUN(another_owners_directory_is_refused);
    RUN(the_arena_must_be_sticky_when_others_can_write);
    RUN(a_directory_of_ones_own_is_made_and_opened_again);
    RUN(the_current_directory_can_be_a_store);
    RUN(a_directory_with_other_things_is_not_made_a_store);
    RUN(a_strangers_way_in_is_refused);
    return tap_done();
}
