/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char MANIFEST[] = "manifest.json";

/* The plain members of a manifest, in the order in which they are written. */
static const struct {
    const char *key;
    size_t offset;
    uint64_t min;
} numbers[] = {
    {"generation", offsetof(struct store_meta, generation), 1},
    {"epoch", offsetof(struct store_meta, epoch), 1},
    {"processes", offsetof(struct store_meta, processes), 0},
    {"threads", offsetof(struct store_meta, threads), 0},
    {"bytes", offsetof(struct store_meta, bytes), 0},
    {"stored_bytes", offsetof(struct store_meta, stored_bytes), 0},
    {"pause_us", offsetof(struct store_meta, pause_us), 0},
    {"time_us", offsetof(struct store_meta, time_us), 0},
};

#define TEXT(member) \
    offsetof(struct store_meta, member), sizeof(((struct store_meta *)0)->member)

static const struct {
    const char *key;
    size_t offset, size;
    bool lines, filled, optional;
} texts[] = {
    {"time", TEXT(time), .filled = true},
    {"host", TEXT(host), .filled = true},
    {"engine", TEXT(engine), .filled = true},
    {"label", TEXT(label)},
    {"cpu", TEXT(cpu), .lines = true},
    {"cpu_all", TEXT(cpu_all), .lines = true, .optional = true},
};

enum {
    N_NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
    N_TEXTS = sizeof(texts) / sizeof(texts[0]),
};

static uint64_t *number_at(struct store_meta *meta, int i)
{
    return (uint64_t *)((char *)meta + numbers[i].offset);
}

static char *text_at(struct store_meta *meta, int i)
{
    return (char *)meta + texts[i].offset;
}

bool store_file_name_ok(const char *name)
{
    size_t length = strlen(name);

    return str_is_name(name) && name[0] != '.' && length + 4 < STORE_NAME_SIZE &&
           store_text_ok(name, false) && strcmp(name, MANIFEST) != 0 &&
           !(length >= 4 && strcmp(name + length - 4, ".sum") == 0);
}

static int put_meta(json_t *root, struct store_meta *meta, struct err *e)
{
    for (int i = 0; i < N_TEXTS; i++)
        if (!(texts[i].optional && !text_at(meta, i)[0]) &&
            json_object_set_new(root, texts[i].key, json_string(text_at(meta, i))) < 0)
            return err_set(e, ERR_FAILED, "%s: '%s' is not UTF-8", MANIFEST,
                           texts[i].key);
    for (int i = 0; i < N_NUMBERS; i++) {
        uint64_t n = *number_at(meta, i);

        if (n > INT64_MAX || json_object_set_new(root, numbers[i].key, json_integer(n)))
            return err_set(e, ERR_FAILED, "%s: '%s' is too large", MANIFEST,
                           numbers[i].key);
    }
    return 0;
}

static int put_files(json_t *root, const struct store_manifest *m, struct err *e)
{
    json_t *files = json_array();

    if (json_object_set_new(root, "files", files) < 0)
        return err_set(e, ERR_FAILED, "%s: out of memory", MANIFEST);
    for (size_t i = 0; i < m->n; i++) {
        const struct store_file *f = &m->files[i];
        json_t *entry = json_pack("{s:s, s:I, s:I, s:s}", "name", f->name, "size",
                                  (json_int_t)f->info.size_bytes, "chunks",
                                  (json_int_t)f->info.chunks, "sums", f->info.digest);

        if (json_array_append_new(files, entry) < 0)
            return err_set(e, ERR_FAILED, "%s: cannot describe '%s'", MANIFEST,
                           f->name);
    }
    return 0;
}

int store_manifest_write(int dirfd, const struct store_manifest *m, struct err *e)
{
    auto_json json_t *root = json_pack("{s:i}", "format", STORE_FORMAT);
    auto_free char *text = NULL;
    struct store_meta meta = m->meta;
    size_t size;

    if (!root)
        return err_set(e, ERR_FAILED, "%s: out of memory", MANIFEST);
    if (put_meta(root, &meta, e) < 0 || put_files(root, m, e) < 0)
        return -1;
    text = store_json_text(root, &size, e);
    if (!text)
        return err_wrap(e, "%s", MANIFEST);
    return sum_write_file(dirfd, MANIFEST, text, size, e);
}

static int get_meta(const json_t *root, struct store_meta *meta, struct err *e)
{
    for (int i = 0; i < N_NUMBERS; i++)
        if (store_json_u64(root, numbers[i].key, numbers[i].min, INT64_MAX,
                           number_at(meta, i), e) < 0)
            return -1;
    for (int i = 0; i < N_TEXTS; i++) {
        if (texts[i].optional && !json_object_get(root, texts[i].key))
            continue;
        if (store_json_string(root, texts[i].key, texts[i].lines, text_at(meta, i),
                              texts[i].size, e) < 0)
            return -1;
        if (texts[i].filled && !text_at(meta, i)[0])
            return err_set(e, ERR_CORRUPT, "'%s' is empty", texts[i].key);
    }
    return 0;
}

static int get_file(const json_t *entry, struct store_file *f, struct err *e)
{
    if (!json_is_object(entry))
        return err_set(e, ERR_CORRUPT, "is not an object");
    if (store_json_string(entry, "name", false, f->name, sizeof(f->name), e) < 0 ||
        store_json_u64(entry, "size", 0, INT64_MAX, &f->info.size_bytes, e) < 0 ||
        store_json_u64(entry, "chunks", 0, INT64_MAX, &f->info.chunks, e) < 0 ||
        store_json_string(entry, "sums", false, f->info.digest, sizeof(f->info.digest),
                          e) < 0)
        return -1;
    if (!store_file_name_ok(f->name))
        return err_set(e, ERR_CORRUPT, "'%s' is not a name for a file", f->name);
    if (strspn(f->info.digest, "0123456789abcdef") != SUM_DIGEST_SIZE - 1)
        return err_set(e, ERR_CORRUPT, "'sums' is not a checksum");
    return 0;
}

/* The names ascend, so that none can come twice. */
static int get_files(const json_t *root, struct store_manifest *m, struct err *e)
{
    const json_t *files = json_object_get(root, "files");
    size_t n = json_array_size(files);

    if (n == 0)
        return err_set(e, ERR_CORRUPT, "'files' is not a list of files");
    m->files = calloc(n, sizeof(*m->files));
    if (!m->files)
        return err_sys(e, "'files'");
    for (m->n = 0; m->n < n; m->n++) {
        struct store_file *f = &m->files[m->n];

        if (get_file(json_array_get(files, m->n), f, e) < 0)
            return err_wrap(e, "'files' entry %zu", m->n + 1);
        if (m->n > 0 && strcmp(f[-1].name, f->name) >= 0)
            return err_set(e, ERR_CORRUPT, "'files' entry %zu: '%s' is out of order",
                           m->n + 1, f->name);
    }
    return 0;
}

int store_manifest_read(int dirfd, uint64_t generation, struct store_manifest *m,
                        struct err *e)
{
    auto_manifest struct store_manifest found = {0};
    auto_json json_t *root = NULL;

    if (sum_verify(dirfd, MANIFEST, NULL, e) < 0)
        return -1;
    if (store_json_read(dirfd, MANIFEST, &root, e) < 0)
        return -1;
    if (get_meta(root, &found.meta, e) < 0 || get_files(root, &found, e) < 0)
        return err_wrap(e, "%s", MANIFEST);
    if (found.meta.generation != generation)
        return err_set(e, ERR_CORRUPT, "%s is that of generation %ju", MANIFEST,
                       (uintmax_t)found.meta.generation);
    *m = found;
    found = (struct store_manifest){0};
    return 0;
}

void store_manifest_free(struct store_manifest *m)
{
    free(m->files);
    m->files = NULL;
    m->n = 0;
}
