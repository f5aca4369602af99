/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_fixture.h"

#include <jansson.h>

enum { FUZZ_ROUNDS = 1500 };

static const char *const all_files[] = {
    "manifest.json", "manifest.json.sum", "pages", "pages.sum", "tree", "tree.sum"};

enum { N_FILES = sizeof(all_files) / sizeof(all_files[0]) };

/* A store with generation 1 and its directory. */
static struct fixture make_one(int *dir)
{
    struct fixture f = fixture_make();
    struct err e = {0};

    CHECK_INT(fixture_publish(f.s, f.epoch, NULL, &e), 0);
    *dir = openat(store_dirfd(f.s), "gen/000001", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f;
}

static int verify(struct fixture *f, enum store_depth depth, struct err *e)
{
    err_clear(e);
    return store_verify(f->s, 1, depth, NULL, NULL, NULL, e);
}

static void every_damaged_byte_is_found(void)
{
    int dir;
    struct fixture f = make_one(&dir);
    unsigned seed = 4711;
    struct err e = {0};

    for (int i = 0; i < N_FILES; i++) {
        off_t size = scratch_size(dir, all_files[i]);
        bool data = !strcmp(all_files[i], "pages") || !strcmp(all_files[i], "tree");

        CHECK(size > 0);
        for (off_t at = 0; at < size; at++) {
            int bit = rand_r(&seed) % 8;

            CHECK(scratch_flip(dir, all_files[i], at, bit));
            CHECK_INT(verify(&f, STORE_FULL, &e), -1);
            CHECK_INT(e.kind, ERR_CORRUPT);
            CHECK_HAS(e.text, "generation 1: ");
            CHECK_INT(verify(&f, STORE_QUICK, &e), data ? 0 : -1);
            CHECK(scratch_flip(dir, all_files[i], at, bit));
        }
    }
    CHECK_INT(verify(&f, STORE_FULL, &e), 0);
    close(dir);
    fixture_drop(&f);
}

static void files_that_are_cut_missing_or_strange_are_found(void)
{
    for (int i = 0; i < N_FILES; i++) {
        int dir;
        struct fixture f = make_one(&dir);
        off_t size = scratch_size(dir, all_files[i]);
        auto_free char *data = NULL;
        struct err e = {0};

        CHECK_INT(io_read_file(dir, all_files[i], 10000, &data, NULL, &e), 0);
        for (off_t cut = 1; cut <= size; cut += 1 + cut / 2) {
            scratch_put(dir, all_files[i], data, size - cut);
            CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
            CHECK_INT(e.kind, ERR_CORRUPT);
        }
        scratch_put(dir, all_files[i], data, size);
        CHECK_INT(verify(&f, STORE_FULL, &e), 0);
        CHECK_INT(unlinkat(dir, all_files[i], 0), 0);
        CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
        CHECK(strstr(e.text, all_files[i]) != NULL);
        CHECK_INT(symlinkat("/etc/passwd", dir, all_files[i]), 0);
        CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
        CHECK_INT(unlinkat(dir, all_files[i], 0), 0);
        CHECK_INT(mkfifoat(dir, all_files[i], 0600), 0);
        CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
        close(dir);
        fixture_drop(&f);
    }
}

static void a_file_too_many_is_found(void)
{
    static const char *const extra[] = {"core", "core.sum", ".hidden", "pages.sum.sum"};
    int dir;
    struct fixture f = make_one(&dir);
    struct err e = {0};

    for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
        scratch_put(dir, extra[i], "x", 1);
        CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
        CHECK_HAS(e.text, "is not in the manifest");
        CHECK_INT(unlinkat(dir, extra[i], 0), 0);
    }
    /* What an NFS client leaves of a file that was removed while open. */
    scratch_put(dir, ".nfs0000000000c0ffee", "x", 1);
    CHECK_INT(verify(&f, STORE_FULL, &e), 0);
    close(dir);
    fixture_drop(&f);
}

static void files_of_another_generation_do_not_pass(void)
{
    int dir;
    struct fixture f = make_one(&dir);
    struct err e = {0};

    CHECK_INT(unlinkat(dir, "pages", 0), 0);
    CHECK_INT(unlinkat(dir, "pages.sum", 0), 0);
    CHECK_INT(fixture_write(dir, "pages", 2500, 'q', &e), 0);
    CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
    CHECK_STR(e.text, "generation 1: pages.sum does not match the manifest");
    CHECK_INT(renameat(store_dirfd(f.s), "gen/000001", store_dirfd(f.s), "gen/000005"),
              0);
    CHECK_INT(store_verify(f.s, 5, STORE_QUICK, NULL, NULL, NULL, &e), -1);
    CHECK_STR(e.text, "generation 5: manifest.json is that of generation 1");
    close(dir);
    fixture_drop(&f);
}

/* A manifest with checksums that fit it: its words are all that can be wrong. */
static void put_manifest(int dir, const char *text, size_t size)
{
    char digest[SUM_DIGEST_SIZE], sum[64];

    sum_digest(text, size, digest);
    snprintf(sum, sizeof(sum), "%zu %s\n", size, digest);
    scratch_put(dir, "manifest.json", text, size);
    scratch_put(dir, "manifest.json.sum", size ? sum : "", size ? strlen(sum) : 0);
}

/* `text` with the first `old` replaced; the caller frees it. */
static char *replaced(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);
    char *out = NULL;

    if (!at ||
        asprintf(&out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old)) < 0) {
        printf("Bail out! no '%s' in %s\n", old, text);
        exit(1);
    }
    return out;
}

static void every_value_of_a_manifest_is_checked(void)
{
    static const struct {
        const char *old, *new, *text;
    } cases[] = {
        {"\"format\": 1", "\"format\": 0", "manifest.json: 'format' is not a number"},
        {"\"format\": 1", "\"format\": \"1\"", "'format' is not a number"},
        {"\"format\": 1,", "", "'format' is missing"},
        {"\"format\": 1", "\"format\": 1.0", "'format' is not a number"},
        {"\"epoch\": 1", "\"epoch\": 0", "'epoch' is not a number from 1"},
        {"\"epoch\": 1", "\"epoch\": -1", "'epoch' is not a number from 1"},
        {"\"epoch\": 1", "\"epoch\": 1, \"epoch\": 1",
         "manifest.json line 9: duplicate"},
        {"\"processes\": 3", "\"processes\": null", "'processes' is not a number"},
        {"\"threads\": 9", "\"threads\": [9]", "'threads' is not a number"},
        {"\"bytes\": 1000", "\"bytes\": 99999999999999999999", "too big"},
        {"\"bytes\": 1000", "\"bytes\": -1", "'bytes' is not a number from 0"},
        {"\"stored_bytes\": 900", "\"stored\": 900", "'stored_bytes' is missing"},
        {"\"host\": \"alpha\"", "\"host\": \"\"", "'host' is empty"},
        {"\"host\": \"alpha\"", "\"host\": {}", "'host' is not a string"},
        {"\"host\": \"alpha\"", "\"host\": \"a\\u001b[2J\"", "'host' has control"},
        {"\"host\": \"alpha\"", "\"host\": \"a\\u009b2J\"", "'host' has control"},
        {"\"host\": \"alpha\"", "\"host\": \"a\\u0000\"", "\\u0000"},
        {"\"engine\": \"native\"",
         "\"engine\": \"native native native native native native\"",
         "'engine' is longer than 31 bytes"},
        {"\"label\": \"", "\"label\": \"\xff", "unable to decode byte 0xff"},
        {"\"name\": \"pages\"", "\"name\": \"../pages\"",
         "'files' entry 1: '../pages' is not a name for a file"},
        {"\"name\": \"pages\"", "\"name\": \"/etc/passwd\"",
         "is not a name for a file"},
        {"\"name\": \"pages\"", "\"name\": \"\"", "is not a name for a file"},
        {"\"name\": \"pages\"", "\"name\": \"manifest.json\"",
         "is not a name for a file"},
        {"\"name\": \"pages\"", "\"name\": \"pages.sum\"", "is not a name for a file"},
        {"\"name\": \"pages\"", "\"name\": \"tree\"", "'tree' is out of order"},
        {"\"name\": \"pages\"", "\"name\": \"zebra\"", "'tree' is out of order"},
        {"\"name\": \"pages\"", "\"name\": \"other\"", "other is missing"},
        {"\"size\": 2500", "\"size\": 2501", "the manifest says 2501"},
        {"\"chunks\": 3", "\"chunks\": 4", "the manifest says 2500 in 4"},
        {"\"chunks\": 3", "\"chunks\": \"3\"", "entry 1: 'chunks' is not a number"},
        {"\"sums\": \"", "\"sums\": \"0", "entry 1: 'sums' is longer than 32"},
        {"\"sums\": \"", "\"sums\": \"\", \"x\": \"", "'sums' is not a checksum"},
        {"\"files\": [", "\"files\": [], \"x\": [", "'files' is not a list"},
        {"\"files\": [", "\"files\": 7, \"x\": [", "'files' is not a list"},
        {"\"files\": [", "\"files\": [[],", "'files' entry 1: is not an object"},
        {"{", "[", "manifest.json line"},
        {"{", "{}{", "manifest.json line 1: end of file expected"},
        {"{", "null{", "manifest.json line 1"},
        {"}\n", "", "manifest.json line"},
    };
    int dir;
    struct fixture f = make_one(&dir);
    auto_free char *good = NULL;
    struct err e = {0};
    size_t size;

    CHECK_INT(io_read_file(dir, "manifest.json", 10000, &good, &size, &e), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *bad = replaced(good, cases[i].old, cases[i].new);

        put_manifest(dir, bad, strlen(bad));
        CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
        CHECK_INT(e.kind, ERR_CORRUPT);
        CHECK_HAS(e.text, cases[i].text);
    }
    put_manifest(dir, "", 0);
    CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
    put_manifest(dir, good, size);
    CHECK_INT(verify(&f, STORE_FULL, &e), 0);
    close(dir);
    fixture_drop(&f);
}

static void what_a_newer_qckpt_wrote_is_no_damage(void)
{
    int dir;
    struct fixture f = make_one(&dir);
    auto_free struct store_generation *list = NULL;
    auto_free char *good = NULL, *newer = NULL;
    struct err e = {0};
    size_t size;

    CHECK_INT(io_read_file(dir, "manifest.json", 10000, &good, &size, &e), 0);
    newer = replaced(good, "\"format\": 1", "\"format\": 9");
    put_manifest(dir, newer, strlen(newer));
    CHECK_INT(verify(&f, STORE_QUICK, &e), -1);
    CHECK_INT(e.kind, ERR_WRONG_HOST);
    CHECK_HAS(e.text, "generation 1: manifest.json: format 9 is newer than this qckpt "
                      "reads (1): install a newer one here");
    CHECK_INT(store_list(f.s, &list, &size, &e), 0);
    CHECK_INT(size, 1);
    CHECK_INT(list[0].damage.kind, ERR_WRONG_HOST);
    close(dir);
    fixture_drop(&f);
}

static void members_that_nobody_knows_are_passed_over(void)
{
    int dir;
    struct fixture f = make_one(&dir);
    auto_free char *good = NULL, *more = NULL;
    struct err e = {0};

    CHECK_INT(io_read_file(dir, "manifest.json", 10000, &good, NULL, &e), 0);
    more = replaced(good, "{", "{\"comment\": {\"deep\": [1, 2]},");
    put_manifest(dir, more, strlen(more));
    CHECK_INT(verify(&f, STORE_FULL, &e), 0);
    close(dir);
    fixture_drop(&f);
}

/* ---- random damage ---- */

static const char *const tokens[] = {
    "null",    "-1",
    "1e999",   "9223372036854775808",
    "{",       "}",
    "[",       "]",
    "\"",      ":",
    ",",       "true",
    "\\u0000", " ",
    "1.5e3",   "\n",
    "\\",      "\"files\"",
    "/",       "../",
    "\xff",    "[[[[[[[[[[[[[[[[",
    "0",       "-",
};

enum { N_TOKENS = sizeof(tokens) / sizeof(tokens[0]) };

/* One random change of `text`, in place; `room` is enough. */
static size_t mutate(char *text, size_t size, unsigned *seed)
{
    size_t at = rand_r(seed) % (size + 1), length;
    const char *token = tokens[rand_r(seed) % N_TOKENS];

    switch (rand_r(seed) % 4) {
    case 0:
        if (at < size)
            text[at] = rand_r(seed);
        return size;
    case 1:
        length = rand_r(seed) % 40;
        if (length > size - at)
            length = size - at;
        memmove(text + at, text + at + length, size - at - length);
        return size - length;
    case 2:
        return rand_r(seed) % 8 ? size : at;
    default:
        length = strlen(token);
        memmove(text + at + length, text + at, size - at);
        memcpy(text + at, token, length);
        return size + length;
    }
}

/* What is read from a file with random damage is taken or refused, nothing else. */
static void fuzz(int dir, const char *name,
                 int (*read_it)(struct fixture *, struct err *), struct fixture *f)
{
    auto_free char *good = NULL;
    char text[8192];
    unsigned seed = 20261122;
    struct err e = {0};
    size_t good_size;
    int refused = 0;

    CHECK_INT(io_read_file(dir, name, 4000, &good, &good_size, &e), 0);
    for (int i = 0; i < FUZZ_ROUNDS; i++) {
        size_t size = good_size;

        memcpy(text, good, size);
        for (int n = 1 + rand_r(&seed) % 6; n > 0; n--)
            size = mutate(text, size, &seed);
        if (strcmp(name, "manifest.json") == 0)
            put_manifest(dir, text, size);
        else
            scratch_put(dir, name, text, size);
        err_clear(&e);
        if (read_it(f, &e) == 0)
            continue;
        refused++;
        CHECK_INT(e.kind, strstr(e.text, "is newer than this qckpt reads")
                              ? ERR_WRONG_HOST
                              : ERR_CORRUPT);
        CHECK(strlen(e.text) > 10);
    }
    CHECK(refused > FUZZ_ROUNDS / 2);
}

static int read_manifest(struct fixture *f, struct err *e)
{
    return verify(f, STORE_QUICK, e);
}

static int read_done(struct fixture *f, struct err *e)
{
    uint64_t epoch = 0;
    int status = -1;

    if (store_done_read(f->s, &status, &epoch, e) < 0)
        return -1;
    CHECK(status >= 0 && status <= 255 && epoch > 0);
    return 0;
}

static int read_epoch(struct fixture *f, struct err *e)
{
    struct store_epoch now = {0};

    if (store_epoch_current(f->s, &now, e) < 0)
        return -1;
    CHECK(now.epoch > 0 && now.pid > 0);
    return 0;
}

static int read_job(struct fixture *f, struct err *e)
{
    json_t *record = NULL;

    if (store_job_read(f->s, &record, e) < 0)
        return -1;
    CHECK(json_is_object(record));
    json_decref(record);
    return 0;
}

static void random_damage_is_refused_and_never_more(void)
{
    int dir;
    struct fixture f = make_one(&dir);
    json_t *record = json_pack("{s:[s,s,s], s:s, s:s}", "argv", "sh", "-c", "make",
                               "cwd", "/home/ann", "engine", "native");
    struct err e = {0};

    CHECK_INT(store_done_write(f.s, f.epoch, 3, &e), 0);
    CHECK_INT(store_job_write(f.s, f.epoch, record, &e), 0);
    json_decref(record);
    fuzz(dir, "manifest.json", read_manifest, &f);
    fuzz(store_dirfd(f.s), "done.json", read_done, &f);
    fuzz(store_dirfd(f.s), "job.json", read_job, &f);
    fuzz(store_dirfd(f.s), "epoch", read_epoch, &f);
    close(dir);
    fixture_drop(&f);
}

/* ---- what older versions wrote ---- */

/* A checkout has other modes and owners than a store: a copy gets ours. */
static void copy_tree(int from, int to)
{
    auto_dir DIR *dir = fdopendir(openat(from, ".", O_RDONLY | O_DIRECTORY));
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        auto_free char *data = NULL;
        struct err e = {0};
        size_t size;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (io_read_file(from, name, 1 << 20, &data, &size, &e) == 0) {
            scratch_put(to, name, data, size);
            continue;
        }
        auto_fd int below = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK_INT(mkdirat(to, name, 0700), 0);
        auto_fd int copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        copy_tree(below, copy);
    }
}

static void check_golden(struct store *s)
{
    struct store_meta meta = {0};
    struct store_epoch now = {0};
    json_t *record = NULL;
    struct err e = {0};
    int status = -1;

    CHECK_STR(fixture_list(s), "1 2");
    CHECK_INT(store_verify(s, 2, STORE_FULL, &meta, NULL, NULL, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_STR(meta.host, "alpha");
    CHECK_STR(meta.label, "blast \xc3\xbc");
    CHECK_STR(meta.cpu, "x86_64\n\tavx2");
    CHECK_INT(meta.epoch, 1);
    CHECK_INT(meta.pause_us, 5);
    CHECK_INT(store_epoch_current(s, &now, &e), 0);
    CHECK_INT(now.epoch, 1);
    CHECK_INT(store_done_read(s, &status, NULL, &e), 0);
    CHECK_INT(status, 3);
    CHECK_INT(store_job_read(s, &record, &e), 0);
    CHECK_STR(json_string_value(json_object_get(record, "cwd")), "/home/ann");
    json_decref(record);
}

static void a_store_of_format_1_is_read(void)
{
    struct scratch dir = scratch_make();
    auto_fd int from = open(GOLDEN "/store/format-1", O_RDONLY | O_DIRECTORY);
    struct err e = {0};
    struct store *s;

    CHECK(from >= 0);
    copy_tree(from, dir.fd);
    s = store_open_dir(dir.path, false, &e);
    CHECK(s != NULL);
    if (s)
        check_golden(s);
    store_close(s);
    s = store_open_dir(dir.path, true, &e);
    CHECK_INT(fixture_publish(s, fixture_take(s), NULL, &e), 0);
    CHECK_STR(fixture_list(s), "2 3");
    store_close(s);
    scratch_drop(&dir);
}

/* `test_store_damage --golden DIR` writes what is kept for later versions to read. */
static int write_golden(const char *path)
{
    struct err e = {0};
    struct store *s = store_open_dir(path, true, &e);
    json_t *record =
        json_pack("{s:[s,s,s], s:s}", "argv", "sh", "-c", "make", "cwd", "/home/ann");
    bool done = s && fixture_take(s) == 1 && store_job_write(s, 1, record, &e) == 0 &&
                fixture_publish(s, 1, NULL, &e) == 0 &&
                fixture_publish(s, 1, NULL, &e) == 0 &&
                store_done_write(s, 1, 3, &e) == 0;

    if (done)
        store_log(s, LOG_INFO, "supervisor", 1, "ended", NULL, "status 3");
    else
        printf("%s\n", e.text);
    json_decref(record);
    store_close(s);
    return done ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--golden") == 0)
        return write_golden(argv[2]);
    RUN(every_damaged_byte_is_found);
    RUN(files_that_are_cut_missing_or_strange_are_found);
    RUN(a_file_too_many_is_found);
    RUN(files_of_another_generation_do_not_pass);
    RUN(every_value_of_a_manifest_is_checked);
    RUN(what_a_newer_qckpt_wrote_is_no_damage);
    RUN(members_that_nobody_knows_are_passed_over);
    RUN(random_damage_is_refused_and_never_more);
    RUN(a_store_of_format_1_is_read);
    return tap_done();
}
