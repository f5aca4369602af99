/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file as a whole: header, framing of records, the end. */
#include "image/format.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/sum.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { OUT_ROOM = IMAGE_CHUNK_MAX };

/* A file being written: bytes gather in `buffer`; `hash` has seen all of them. */
struct out {
    struct sum_file *file;
    XXH3_state_t *hash;
    uint8_t *buffer;
    size_t used;
    uint64_t n_records;
};

static int flush(struct out *o, struct err *e)
{
    uint64_t offset;

    if (o->used && sum_append(o->file, o->buffer, o->used, &offset, e) < 0)
        return -1;
    o->used = 0;
    return 0;
}

static int put_bytes(struct out *o, const void *data, size_t size, struct err *e)
{
    const uint8_t *p = data;

    XXH3_128bits_update(o->hash, data, size);
    while (size > 0) {
        size_t n = size < OUT_ROOM - o->used ? size : OUT_ROOM - o->used;

        memcpy(o->buffer + o->used, p, n);
        o->used += n;
        p += n;
        size -= n;
        if (o->used == OUT_ROOM && flush(o, e) < 0)
            return -1;
    }
    return 0;
}

static uint64_t record_checksum(const void *head, const void *payload, size_t size)
{
    XXH64_hash_t of_payload = XXH3_64bits(payload, size);

    /* The seed ties the payload to its type and length. */
    return XXH3_64bits_withSeed(head, FORMAT_RECORD_HEAD, of_payload);
}

static int put_record(void *arg, uint32_t type, const struct enc *payload,
                      struct err *e)
{
    struct out *o = arg;
    struct enc head = {0}, tail = {0};
    int result;

    enc_u32(&head, type);
    enc_u64(&head, payload->size);
    if (!head.failed)
        enc_u64(&tail, record_checksum(head.data, payload->data, payload->size));
    if (head.failed || tail.failed)
        result = err_set(e, ERR_FAILED, "out of memory");
    else if (put_bytes(o, head.data, head.size, e) < 0 ||
             (payload->size && put_bytes(o, payload->data, payload->size, e) < 0) ||
             put_bytes(o, tail.data, tail.size, e) < 0)
        result = -1;
    else
        result = 0;
    enc_free(&head);
    enc_free(&tail);
    o->n_records++;
    return result;
}

static int put_header(struct out *o, struct err *e)
{
    struct enc c = {0};
    int result;

    enc_raw(&c, FORMAT_MAGIC, 8);
    enc_u32(&c, FORMAT_VERSION);
    enc_u32(&c, 0);
    if (!c.failed)
        enc_u64(&c, XXH3_64bits(c.data, c.size));
    result = c.failed ? err_set(e, ERR_FAILED, "out of memory")
                      : put_bytes(o, c.data, c.size, e);
    enc_free(&c);
    return result;
}

static int put_end(struct out *o, struct err *e)
{
    XXH128_canonical_t digest;
    struct enc c = {0};
    int result;

    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(o->hash));
    enc_u64(&c, o->n_records);
    enc_raw(&c, &digest, sizeof(digest));
    result = c.failed ? err_set(e, ERR_FAILED, "out of memory")
                      : put_record(o, FORMAT_END, &c, e);
    enc_free(&c);
    return result;
}

static int put_file(struct out *o, const struct image *img, struct err *e)
{
    if (!o->hash || !o->buffer)
        return err_set(e, ERR_FAILED, "out of memory");
    XXH3_128bits_reset(o->hash);
    if (put_header(o, e) < 0 || format_encode(img, put_record, o, e) < 0 ||
        put_end(o, e) < 0)
        return -1;
    return flush(o, e);
}

int image_save(const struct image *img, int dirfd, struct err *e)
{
    struct out o = {0};
    int result;

    /* What could not be loaded again is not a checkpoint: better known now. */
    if (format_check_host(img, e) < 0 || format_check(img, e) < 0) {
        e->kind = ERR_FAILED;
        return err_wrap(e, "image (not written)");
    }
    o.file = sum_create(dirfd, "image", e);
    if (!o.file)
        return -1;
    o.hash = XXH3_createState();
    o.buffer = malloc(OUT_ROOM);
    result = put_file(&o, img, e);
    XXH3_freeState(o.hash);
    free(o.buffer);
    if (result < 0) {
        sum_abandon(o.file);
        return -1;
    }
    return sum_finish(o.file, e);
}

/* ---- reading ---- */

static int read_header(struct dec *d, struct err *e)
{
    const uint8_t *start = d->data;
    char magic[8];
    uint32_t version, zero;
    uint64_t checksum;

    dec_raw(d, magic, sizeof(magic));
    version = dec_u32(d);
    zero = dec_u32(d);
    checksum = dec_u64(d);
    if (d->failed || memcmp(magic, FORMAT_MAGIC, sizeof(magic)) != 0)
        return err_set(e, ERR_CORRUPT, "not an image of qckpt");
    if (checksum != XXH3_64bits(start, FORMAT_HEADER_SIZE - sizeof(checksum)))
        return err_set(e, ERR_CORRUPT, "header: checksum does not match");
    if (version > FORMAT_VERSION)
        return err_set(e, ERR_WRONG_HOST,
                       "format %u is newer than this qckpt reads (%d): install a newer "
                       "one here",
                       version, FORMAT_VERSION);
    if (version < 1 || zero != 0)
        return err_set(e, ERR_CORRUPT, "header: format %u does not exist", version);
    return 0;
}

/* Takes one record; its payload is a view into the file. */
static int read_record(struct dec *d, uint32_t *type, struct dec *payload,
                       struct err *e)
{
    const uint8_t *head = d->data + d->pos;
    uint64_t length;

    *type = dec_u32(d);
    length = dec_u64(d);
    if (d->failed || d->size - d->pos < FORMAT_RECORD_TAIL ||
        length > d->size - d->pos - FORMAT_RECORD_TAIL)
        return err_set(e, ERR_CORRUPT,
                       "longer than the file, which is truncated or "
                       "damaged");
    *payload = (struct dec){.data = d->data + d->pos, .size = length};
    d->pos += length;
    if (dec_u64(d) != record_checksum(head, payload->data, length))
        return err_set(e, ERR_CORRUPT, "checksum does not match");
    return 0;
}

static int read_end(const struct dec *file, size_t start, struct dec *payload,
                    uint64_t n_records, struct err *e)
{
    XXH128_canonical_t digest;
    uint64_t count = dec_u64(payload);

    dec_raw(payload, &digest, sizeof(digest));
    if (dec_end(payload, "end", e) < 0)
        return -1;
    if (count != n_records)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " records before it, not %" PRIu64,
                       n_records, count);
    if (!XXH128_isEqual(XXH128_hashFromCanonical(&digest),
                        XXH3_128bits(file->data, start)))
        return err_set(e, ERR_CORRUPT, "checksum of the file does not match");
    if (file->pos != file->size)
        return err_set(e, ERR_CORRUPT, "%zu bytes behind it", file->size - file->pos);
    return 0;
}

static int read_records(struct image *img, struct dec *d, struct err *e)
{
    for (uint64_t n = 0;; n++) {
        size_t start = d->pos;
        struct dec payload;
        uint32_t type;

        if (start == d->size)
            return err_set(e, ERR_CORRUPT, "truncated: no end after record %" PRIu64,
                           n);
        if (read_record(d, &type, &payload, e) < 0)
            return err_wrap(e, "record %" PRIu64, n);
        if (type == FORMAT_END)
            return read_end(d, start, &payload, n, e) < 0 ? err_wrap(e, "end record")
                                                          : 0;
        if (format_decode(img, type, &payload, e) < 0)
            return err_wrap(e, "record %" PRIu64 " (%s)", n, format_record_name(type));
    }
}

struct image *format_read(const void *data, size_t size, struct err *e)
{
    struct dec d = {.data = data, .size = size};
    auto_image struct image *img = NULL;

    if (read_header(&d, e) < 0)
        return NULL;
    img = image_new(e);
    if (!img || read_records(img, &d, e) < 0 || format_check(img, e) < 0)
        return NULL;
    return take_ptr(img);
}

struct image *image_load(int dirfd, struct err *e)
{
    auto_free char *data = NULL;
    struct image *img;
    size_t size;

    if (io_read_file(dirfd, "image", FORMAT_FILE_MAX, &data, &size, e) < 0)
        return NULL;
    img = format_read(data, size, e);
    if (!img)
        err_wrap(e, "image");
    return img;
}
