/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/record.h"

#include "base/err.h"
#include "base/gate.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/str.h"
#include "base/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RECORD_FORMAT = 1, RECORD_MAX = 64 << 20 };
enum { IMAGES_MAX = 1 << 20 };

static const char RECORD[] = "dmtcp.json";

static void release_json(json_t **j)
{
    json_decref(*j);
}
#define auto_json __attribute__((cleanup(release_json)))

void record_free(struct record *r)
{
    for (size_t i = 0; i < r->n_hosts; i++)
        free(r->hosts[i].keep);
    free(r->hosts);
    r->hosts = NULL;
    r->n_hosts = 0;
    images_free(&r->images);
}

/* ---- hosts ---- */

int record_add_host(struct record *r, const char *name, const char *keep, struct err *e)
{
    struct record_host *more = realloc(r->hosts, (r->n_hosts + 1) * sizeof(*more));
    struct record_host *host;

    if (!more)
        return err_sys(e, "hosts of the job");
    r->hosts = more;
    host = &more[r->n_hosts];
    if (str_format(host->name, sizeof(host->name), e, "%s", name) < 0)
        return -1;
    host->keep = strdup(keep);
    if (!host->keep)
        return err_sys(e, "hosts of the job");
    r->n_hosts++;
    return 0;
}

const char *record_kept(const struct record *r, const char *host)
{
    for (size_t i = 0; i < r->n_hosts; i++)
        if (strcmp(r->hosts[i].name, host) == 0)
            return r->hosts[i].keep;
    return "";
}

/* ---- standard descriptors ---- */

static void note_path(int fd, char *out, size_t size)
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, out, size);
    if (n < 0 || (size_t)n >= size)
        n = 0;
    out[n] = '\0';
}

void record_note_stdio(const int fd[3], struct record_stdio out[3])
{
    for (int i = 0; i < 3; i++) {
        off_t position;
        struct stat st;

        out[i] = (struct record_stdio){0};
        if (fd[i] < 0 || fstat(fd[i], &st) < 0)
            continue;
        out[i].is_open = true;
        out[i].inode = st.st_ino;
        note_path(fd[i], out[i].path, sizeof(out[i].path));
        if (!S_ISREG(st.st_mode))
            continue;
        position = lseek(fd[i], 0, SEEK_CUR);
        out[i].is_regular = true;
        out[i].position = position < 0 ? 0 : position;
        out[i].size_bytes = st.st_size;
    }
}

/* ---- writing ---- */

/* A path that is not UTF-8 cannot be said here. It is only compared with another. */
static json_t *path_or_empty(const char *path)
{
    json_t *text = json_string(path);

    return text ? text : json_string("");
}

static json_t *stdio_json(const struct record_stdio s[3])
{
    json_t *list = json_array();

    for (int i = 0; i < 3; i++)
        json_array_append_new(list, json_pack("{s:b, s:b, s:I, s:I, s:I, s:o}", "open",
                                              s[i].is_open, "regular", s[i].is_regular,
                                              "inode", (json_int_t)s[i].inode,
                                              "position", (json_int_t)s[i].position,
                                              "size", (json_int_t)s[i].size_bytes,
                                              "path", path_or_empty(s[i].path)));
    return list;
}

static json_t *saved_json(const struct image *image)
{
    json_t *list = json_array();

    for (size_t i = 0; i < image->n_saved; i++)
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "file", image->saved[i].file,
                                            "name", image->saved[i].name)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *images_json(const struct images *set, struct err *e)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->n; i++) {
        const struct image *image = &set->image[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:o}", "file", image->file,
                                "name", image->name, "process", image->unique, "host",
                                image->host, "saved", saved_json(image));

        if (json_array_append_new(list, one) < 0) {
            err_set(e, ERR_FAILED, "%s: the name of %s is not UTF-8", RECORD,
                    image->name);
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *carried_json(const struct record_carried *c)
{
    if (!c->path[0])
        return json_null();
    return json_pack("{s:s, s:s, s:i, s:I}", "path", c->path, "file", c->file, "mode",
                     (int)c->mode, "mtime_ns", (json_int_t)c->mtime_ns);
}

static json_t *hosts_json(const struct record *r)
{
    json_t *list = json_array();

    for (size_t i = 0; i < r->n_hosts; i++)
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "name", r->hosts[i].name,
                                            "cpu", r->hosts[i].keep)) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *make(const struct record *r, struct err *e)
{
    json_t *images = images_json(&r->images, e);
    json_t *root;

    if (!images)
        return NULL;
    root = json_pack("{s:i, s:i, s:i, s:b, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}",
                     "format", RECORD_FORMAT, "dmtcp_major", (int)r->major,
                     "dmtcp_minor", (int)r->minor, "gzip", r->gzip, "root", r->root,
                     "directory", r->directory, "tmpdir", path_or_empty(r->tmpdir),
                     "tmpdir_file", r->tmpdir_file, "stdio", stdio_json(r->stdio),
                     "job_script", carried_json(&r->job_script), "hosts", hosts_json(r),
                     "images", images);
    if (!root)
        err_set(e, ERR_FAILED,
                "%s: the path of the job's directory, or the name of a host, is not "
                "UTF-8",
                RECORD);
    return root;
}

int record_write(int dirfd, const struct record *r, struct err *e)
{
    auto_json json_t *root = make(r, e);
    auto_free char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;

    if (!root)
        return -1;
    if (!text)
        return err_set(e, ERR_FAILED, "%s: out of memory", RECORD);
    return sum_write_file(dirfd, RECORD, text, strlen(text), e);
}

/* ---- reading ---- */

static int wrong(const char *key, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "%s: the member '%s' is missing or wrong", RECORD,
                   key);
}

static int read_number(const json_t *o, const char *key, uint64_t max, uint64_t *out,
                       struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        (uint64_t)json_integer_value(v) > max)
        return wrong(key, e);
    *out = json_integer_value(v);
    return 0;
}

static int read_unsigned(const json_t *o, const char *key, unsigned *out, struct err *e)
{
    uint64_t n;

    if (read_number(o, key, UINT32_MAX, &n, e) < 0)
        return -1;
    *out = n;
    return 0;
}

static int read_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_boolean(v))
        return wrong(key, e);
    *out = json_is_true(v);
    return 0;
}

static int read_text(const json_t *o, const char *key, char *out, size_t size,
                     struct err *e)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_string(v) || json_string_length(v) >= size ||
        strlen(json_string_value(v)) != json_string_length(v))
        return wrong(key, e);
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return 0;
}

/* What will be a name in a directory of ours. */
static int read_name(const json_t *o, const char *key, char *out, size_t size,
                     struct err *e)
{
    if (read_text(o, key, out, size, e) < 0)
        return -1;
    return str_is_name(out) ? 0 : wrong(key, e);
}

static int read_path(const json_t *o, const char *key, char *out, size_t size,
                     struct err *e)
{
    if (read_text(o, key, out, size, e) < 0)
        return -1;
    return out[0] == '/' ? 0 : wrong(key, e);
}

static int read_stdio(const json_t *root, struct record_stdio out[3], struct err *e)
{
    const json_t *list = json_object_get(root, "stdio");

    if (!json_is_array(list) || json_array_size(list) != 3)
        return wrong("stdio", e);
    for (int i = 0; i < 3; i++) {
        const json_t *o = json_array_get(list, i);

        if (read_bool(o, "open", &out[i].is_open, e) < 0 ||
            read_bool(o, "regular", &out[i].is_regular, e) < 0 ||
            read_number(o, "inode", INT64_MAX, &out[i].inode, e) < 0 ||
            read_number(o, "position", INT64_MAX, &out[i].position, e) < 0 ||
            read_number(o, "size", INT64_MAX, &out[i].size_bytes, e) < 0 ||
            read_text(o, "path", out[i].path, sizeof(out[i].path), e) < 0)
            return -1;
    }
    return 0;
}

static int read_saved(const json_t *o, struct image *image, struct err *e)
{
    const json_t *list = json_object_get(o, "saved");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > IMAGES_MAX)
        return wrong("saved", e);
    image->saved = calloc(n + 1, sizeof(*image->saved));
    if (!image->saved)
        return err_sys(e, "%s", RECORD);
    image->n_saved = n;
    for (size_t i = 0; i < n; i++) {
        struct image_saved *s = &image->saved[i];

        if (read_name(json_array_get(list, i), "file", s->file, sizeof(s->file), e) <
                0 ||
            read_name(json_array_get(list, i), "name", s->name, sizeof(s->name), e) < 0)
            return -1;
    }
    return 0;
}

static bool is_image_name(const char *name)
{
    static const char start[] = "ckpt_", end[] = ".dmtcp";
    size_t n = strlen(name);

    return n > sizeof(start) + sizeof(end) &&
           strncmp(name, start, sizeof(start) - 1) == 0 &&
           strcmp(name + n - (sizeof(end) - 1), end) == 0;
}

static int read_image(const json_t *o, struct image *image, struct err *e)
{
    if (read_name(o, "file", image->file, sizeof(image->file), e) < 0 ||
        read_name(o, "name", image->name, sizeof(image->name), e) < 0 ||
        read_text(o, "process", image->unique, sizeof(image->unique), e) < 0 ||
        read_text(o, "host", image->host, sizeof(image->host), e) < 0)
        return -1;
    return is_image_name(image->name) ? read_saved(o, image, e) : wrong("name", e);
}

static int read_images(const json_t *root, struct record *r, struct err *e)
{
    const json_t *list = json_object_get(root, "images");
    size_t n = json_array_size(list);
    bool has_root = false;

    if (!json_is_array(list) || n == 0 || n > IMAGES_MAX)
        return wrong("images", e);
    r->images.image = calloc(n, sizeof(*r->images.image));
    if (!r->images.image)
        return err_sys(e, "%s", RECORD);
    r->images.n = n;
    for (size_t i = 0; i < n; i++) {
        if (read_image(json_array_get(list, i), &r->images.image[i], e) < 0)
            return -1;
        has_root = has_root || strcmp(r->images.image[i].unique, r->root) == 0;
    }
    return has_root ? 0 : wrong("root", e);
}

static int read_carried(const json_t *root, const char *key, struct record_carried *c,
                        struct err *e)
{
    const json_t *o = json_object_get(root, key);
    uint64_t mtime_ns;
    unsigned mode;

    if (json_is_null(o))
        return 0;
    if (!json_is_object(o))
        return wrong(key, e);
    if (read_path(o, "path", c->path, sizeof(c->path), e) < 0 ||
        read_name(o, "file", c->file, sizeof(c->file), e) < 0 ||
        read_unsigned(o, "mode", &mode, e) < 0 ||
        read_number(o, "mtime_ns", INT64_MAX, &mtime_ns, e) < 0)
        return -1;
    c->mode = mode & 0777;
    c->mtime_ns = mtime_ns;
    return 0;
}

/* Earlier versions did not write it. */
static int read_hosts(const json_t *root, struct record *r, struct err *e)
{
    const json_t *list = json_object_get(root, "hosts");
    char keep[GATE_KEEP_SIZE], name[256];

    if (list && (!json_is_array(list) || json_array_size(list) > IMAGES_MAX))
        return wrong("hosts", e);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);

        if (read_text(o, "name", name, sizeof(name), e) < 0 ||
            read_text(o, "cpu", keep, sizeof(keep), e) < 0 ||
            record_add_host(r, name, keep, e) < 0)
            return -1;
    }
    return 0;
}

static int take(const json_t *root, struct record *r, struct err *e)
{
    unsigned format;

    if (read_unsigned(root, "format", &format, e) < 0)
        return -1;
    if (format > RECORD_FORMAT)
        return err_set(e, ERR_WRONG_HOST,
                       "%s: format %u is newer than this qckpt reads (%d): install a "
                       "newer one here",
                       RECORD, format, RECORD_FORMAT);
    if (format != RECORD_FORMAT)
        return err_set(e, ERR_CORRUPT, "%s: format %u does not exist", RECORD, format);
    if (read_unsigned(root, "dmtcp_major", &r->major, e) < 0 ||
        read_unsigned(root, "dmtcp_minor", &r->minor, e) < 0 ||
        read_bool(root, "gzip", &r->gzip, e) < 0 ||
        read_text(root, "root", r->root, sizeof(r->root), e) < 0 ||
        read_path(root, "directory", r->directory, sizeof(r->directory), e) < 0 ||
        read_text(root, "tmpdir", r->tmpdir, sizeof(r->tmpdir), e) < 0 ||
        read_text(root, "tmpdir_file", r->tmpdir_file, sizeof(r->tmpdir_file), e) < 0 ||
        read_stdio(root, r->stdio, e) < 0 ||
        read_carried(root, "job_script", &r->job_script, e) < 0 ||
        read_hosts(root, r, e) < 0)
        return -1;
    if (r->tmpdir_file[0] && !str_is_name(r->tmpdir_file))
        return wrong("tmpdir_file", e);
    return read_images(root, r, e);
}

int record_read(int dirfd, struct record *out, struct err *e)
{
    auto_record struct record r = {0};
    auto_free char *text = NULL;
    auto_json json_t *root = NULL;
    json_error_t why;
    size_t size;

    if (io_read_file(dirfd, RECORD, RECORD_MAX, &text, &size, e) < 0) {
        if (e->kind == ERR_SYS && e->sys == ENOENT)
            return err_set(e, ERR_CORRUPT, "%s is missing", RECORD);
        return -1;
    }
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!root && json_error_code(&why) == json_error_out_of_memory)
        return err_code(e, ENOMEM, "%s", RECORD);
    if (!root)
        return err_set(e, ERR_CORRUPT, "%s line %d: %s", RECORD, why.line, why.text);
    if (take(root, &r, e) < 0)
        return -1;
    *out = r;
    r = (struct record){0};
    return 0;
}
