/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mend.h"

#include "base/err.h"
#include "image/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static uint64_t get(const uint8_t *p, int size)
{
    uint64_t v = 0;

    for (int i = 0; i < size; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static void put(uint8_t *p, int size, uint64_t v)
{
    for (int i = 0; i < size; i++)
        p[i] = v >> 8 * i;
}

static void seal(uint8_t *head, uint64_t length)
{
    uint64_t of_payload = XXH3_64bits(head + FORMAT_RECORD_HEAD, length);

    put(head + FORMAT_RECORD_HEAD + length, 8,
        XXH3_64bits_withSeed(head, FORMAT_RECORD_HEAD, of_payload));
}

static void mend_end(uint8_t *data, size_t at, uint64_t length, uint64_t n_records)
{
    XXH128_canonical_t digest;

    if (length < 8 + sizeof(digest))
        return;
    put(data + at + FORMAT_RECORD_HEAD, 8, n_records);
    XXH128_canonicalFromHash(&digest, XXH3_128bits(data, at));
    memcpy(data + at + FORMAT_RECORD_HEAD + 8, &digest, sizeof(digest));
}

void mend_image(uint8_t *data, size_t size)
{
    size_t at = FORMAT_HEADER_SIZE;

    if (size < FORMAT_HEADER_SIZE)
        return;
    put(data + 16, 8, XXH3_64bits(data, 16));
    for (uint64_t n = 0; size - at >= FORMAT_RECORD_HEAD + FORMAT_RECORD_TAIL; n++) {
        uint64_t length = get(data + at + 4, 8);

        if (length > size - at - FORMAT_RECORD_HEAD - FORMAT_RECORD_TAIL)
            return;
        if (get(data + at, 4) == FORMAT_END)
            mend_end(data, at, length, n);
        seal(data + at, length);
        at += FORMAT_RECORD_HEAD + length + FORMAT_RECORD_TAIL;
    }
}

static void must(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "image: %s\n", what);
    abort();
}

/* ---- an image that was loaded ---- */

static int gather(void *arg, uint32_t type, const struct enc *payload, struct err *e)
{
    struct enc *all = arg;

    (void)e;
    enc_u32(all, type);
    enc_u64(all, payload->size);
    enc_raw(all, payload->data, payload->size);
    enc_u64(all, 0);
    return 0;
}

static void write_again(const struct image *img, struct enc *out)
{
    static const uint8_t header[FORMAT_HEADER_SIZE] = FORMAT_MAGIC "\1";
    static const uint8_t end[24];
    struct enc payload = {.data = (uint8_t *)end, .size = sizeof(end)};
    struct err e = {0};

    enc_raw(out, header, sizeof(header));
    must(format_encode(img, gather, out, &e) == 0, "cannot be written");
    gather(out, FORMAT_END, &payload, &e);
    must(!out->failed, "out of memory");
    mend_image(out->data, out->size);
}

int mend_try(const uint8_t *data, size_t size)
{
    struct enc first = {0}, second = {0};
    struct err e = {0};
    struct image *img = format_read(data, size, &e), *again;

    if (!img) {
        must(e.kind == ERR_CORRUPT || e.kind == ERR_WRONG_HOST, e.text);
        must(e.text[0] != '\0', "no text");
        return 0;
    }
    write_again(img, &first);
    again = format_read(first.data, first.size, &e);
    must(again != NULL, e.text);
    write_again(again, &second);
    must(first.size == second.size && memcmp(first.data, second.data, first.size) == 0,
         "comes back different");
    enc_free(&first);
    enc_free(&second);
    image_free(img);
    image_free(again);
    return 1;
}
