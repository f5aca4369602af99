/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/record.h"

#include "base/err.h"
#include "base/io.h"
#include "base/sum.h"
#include "scratch.h"
#include "tap.h"

#include <jansson.h>
#include <stdlib.h>

#define UNIQUE "98ff-40000-e8d874bc27a"

static struct image_saved saved = {"ckpt_0001.file1", "fd-info.txt"};
static struct image image = {.file = "ckpt_0001.dmtcp",
                             .name = "ckpt_bash_" UNIQUE ".dmtcp",
                             .unique = UNIQUE,
                             .saved = &saved,
                             .n_saved = 1};

static struct record sample(void)
{
    struct record r = {.major = 4,
                       .minor = 2,
                       .gzip = true,
                       .root = UNIQUE,
                       .directory = "/jobs/run/images",
                       .tmpdir = "/tmp/1.1.all.q",
                       .tmpdir_file = "tmpdir.tar",
                       .job_script = {"/spool/1", "job_script", 0755, 1234567890123},
                       .images = {&image, 1}};

    r.stdio[1] =
        (struct record_stdio){true, true, 77, UINT64_C(1) << 40, 4321, "/home/out"};
    return r;
}

static void what_was_written_is_read(void)
{
    struct scratch s = scratch_make();
    struct record in = sample(), out = {0};
    struct err e = {0};

    CHECK_INT(record_add_host(&in, "n2", "needs avx2\n", &e), 0);
    CHECK_INT(record_write(s.fd, &in, &e), 0);
    CHECK_INT(sum_verify(s.fd, "dmtcp.json", NULL, &e), 0);
    CHECK_INT(record_read(s.fd, &out, &e), 0);
    CHECK_STR(e.text, "");
    CHECK_INT(out.major * 100 + out.minor, 402);
    CHECK(out.gzip);
    CHECK_STR(out.root, in.root);
    CHECK_STR(out.directory, in.directory);
    CHECK_STR(out.tmpdir, in.tmpdir);
    CHECK_STR(out.tmpdir_file, in.tmpdir_file);
    CHECK(!out.stdio[0].is_open && out.stdio[1].is_open && out.stdio[1].is_regular);
    CHECK_INT(out.stdio[1].inode, 77);
    CHECK_INT(out.stdio[1].position, UINT64_C(1) << 40);
    CHECK_INT(out.stdio[1].size_bytes, 4321);
    CHECK_STR(out.stdio[1].path, "/home/out");
    CHECK_STR(out.job_script.path, "/spool/1");
    CHECK_INT(out.job_script.mode, 0755);
    CHECK_INT(out.job_script.mtime_ns, 1234567890123);
    CHECK_INT(out.images.n, 1);
    CHECK_STR(out.images.n ? out.images.image[0].name : "", image.name);
    CHECK_STR(out.images.n ? out.images.image[0].saved[0].name : "", "fd-info.txt");
    CHECK_STR(record_kept(&out, "n2"), "needs avx2\n");
    CHECK_STR(record_kept(&out, "n1"), "");
    record_free(&out);
    free(in.hosts[0].keep);
    free(in.hosts);
    scratch_drop(&s);
}

/* The record with one member of the object at `path` set to `value`. */
static void spoil(json_t *root, const char *path, const char *key, json_t *value)
{
    json_t *at = root;

    if (strcmp(path, "images") == 0)
        at = json_array_get(json_object_get(root, "images"), 0);
    if (strcmp(path, "saved") == 0)
        at = json_array_get(
            json_object_get(json_array_get(json_object_get(root, "images"), 0),
                            "saved"),
            0);
    if (strcmp(path, "stdio") == 0)
        at = json_array_get(json_object_get(root, "stdio"), 1);
    if (strcmp(path, "job_script") == 0)
        at = json_object_get(root, "job_script");
    CHECK(json_object_get(at, key) != NULL);
    CHECK_INT(json_object_set_new(at, key, value), 0);
}

static void check_kind(enum err_kind kind, const char *path, const char *key,
                       const char *value, const char *part)
{
    struct scratch s = scratch_make();
    struct record in = sample(), out = {0};
    struct err e = {0};
    char *text = NULL, file[128];
    json_t *root;

    CHECK_INT(record_write(s.fd, &in, &e), 0);
    snprintf(file, sizeof(file), "%s/dmtcp.json", s.path);
    root = json_load_file(file, 0, NULL);
    spoil(root, path, key, json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
    text = json_dumps(root, 0);
    CHECK_INT(unlinkat(s.fd, "dmtcp.json", 0), 0);
    CHECK_INT(io_create_file(s.fd, "dmtcp.json", text, strlen(text), &e), 0);
    CHECK_INT(record_read(s.fd, &out, &e), -1);
    CHECK_INT(e.kind, kind);
    CHECK_HAS(e.text, part);
    CHECK(out.images.image == NULL);
    free(text);
    json_decref(root);
    scratch_drop(&s);
}

static void check_spoilt(const char *path, const char *key, const char *value,
                         const char *part)
{
    check_kind(ERR_CORRUPT, path, key, value, part);
}

static void a_wrong_member_is_named(void)
{
    check_spoilt("", "format", "0", "dmtcp.json: format 0 does not exist");
    check_kind(ERR_WRONG_HOST, "", "format", "2",
               "dmtcp.json: format 2 is newer than this qckpt reads (1)");
    check_spoilt("", "dmtcp_major", "-1", "'dmtcp_major'");
    check_spoilt("", "gzip", "1", "'gzip'");
    check_spoilt("", "root", "\"98ff-1-1\"", "'root'");
    check_spoilt("", "directory", "\"relative\"", "'directory'");
    check_spoilt("", "tmpdir", "null", "'tmpdir'");
    check_spoilt("", "tmpdir_file", "\"../x\"", "'tmpdir_file'");
    check_spoilt("", "stdio", "[]", "'stdio'");
    check_spoilt("", "job_script", "7", "'job_script'");
    check_spoilt("", "images", "[]", "'images'");
    check_spoilt("stdio", "open", "1", "'open'");
    check_spoilt("stdio", "position", "-4", "'position'");
    check_spoilt("stdio", "path", "\"a\\u0000b\"", "dmtcp.json");
    check_spoilt("job_script", "path", "\"x\"", "'path'");
    check_spoilt("job_script", "file", "\"a/b\"", "'file'");
    check_spoilt("images", "file", "\"..\"", "'file'");
    check_spoilt("images", "name", "\"/etc/ckpt_a.dmtcp\"", "'name'");
    check_spoilt("images", "name", "\"passwd\"", "'name'");
    check_spoilt("images", "saved", "{}", "'saved'");
    check_spoilt("saved", "name", "\"../../x\"", "'name'");
    check_spoilt("saved", "file", "\"\"", "'file'");
}

static void a_record_that_is_cut_off_is_damage(void)
{
    struct scratch s = scratch_make();
    struct record in = sample(), out = {0};
    struct err e = {0};

    CHECK_INT(record_read(s.fd, &out, &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    CHECK_HAS(e.text, "dmtcp.json is missing");
    CHECK_INT(record_write(s.fd, &in, &e), 0);
    for (off_t size = scratch_size(s.fd, "dmtcp.json") - 2; size >= 0; size -= 37) {
        char path[128];

        snprintf(path, sizeof(path), "%s/dmtcp.json", s.path);
        CHECK_INT(truncate(path, size), 0);
        err_clear(&e);
        CHECK_INT(record_read(s.fd, &out, &e), -1);
        CHECK(e.kind == ERR_CORRUPT);
    }
    scratch_drop(&s);
}

static void positions_are_those_of_now(void)
{
    struct scratch s = scratch_make();
    struct record_stdio out[3];
    struct err e = {0};
    int fd[3] = {-1, -1, -1};
    char path[128];

    CHECK_INT(io_create_file(s.fd, "out", "0123456789", 10, &e), 0);
    snprintf(path, sizeof(path), "%s/out", s.path);
    fd[1] = open(path, O_RDWR | O_CLOEXEC);
    fd[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_INT(lseek(fd[1], 4, SEEK_SET), 4);
    record_note_stdio(fd, out);
    CHECK(!out[0].is_open);
    CHECK(out[1].is_open && out[1].is_regular);
    CHECK_INT(out[1].position, 4);
    CHECK_INT(out[1].size_bytes, 10);
    CHECK_STR(out[1].path, path);
    CHECK(out[2].is_open && !out[2].is_regular);
    CHECK_STR(out[2].path, "/dev/null");
    close(fd[1]);
    close(fd[2]);
    scratch_drop(&s);
}

int main(void)
{
    RUN(what_was_written_is_read);
    RUN(a_wrong_member_is_named);
    RUN(a_record_that_is_cut_off_is_damage);
    RUN(positions_are_those_of_now);
    return tap_done();
}
