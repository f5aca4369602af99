/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/codec.h"

#include "base/err.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

enum { ENC_FIRST_ROOM = 256 };

/* The length that stands for a string that is not there. */
#define ABSENT UINT32_MAX

static bool make_room(struct enc *c, size_t more)
{
    size_t room = c->room ? c->room : ENC_FIRST_ROOM;
    uint8_t *data;

    if (c->failed || more > SIZE_MAX / 4 - c->size) {
        c->failed = true;
        return false;
    }
    while (room < c->size + more)
        room *= 2;
    if (room == c->room)
        return true;
    data = realloc(c->data, room);
    if (!data) {
        c->failed = true;
        return false;
    }
    c->data = data;
    c->room = room;
    return true;
}

void enc_raw(struct enc *c, const void *data, size_t size)
{
    if (size == 0 || !make_room(c, size))
        return;
    memcpy(c->data + c->size, data, size);
    c->size += size;
}

void enc_u8(struct enc *c, uint8_t v)
{
    enc_raw(c, &v, 1);
}

static void enc_little(struct enc *c, uint64_t v, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = v >> (8 * i);
    enc_raw(c, bytes, size);
}

void enc_u32(struct enc *c, uint32_t v)
{
    enc_little(c, v, 4);
}

void enc_u64(struct enc *c, uint64_t v)
{
    enc_little(c, v, 8);
}

void enc_bytes(struct enc *c, const void *data, size_t size)
{
    if (size >= ABSENT) {
        c->failed = true;
        return;
    }
    enc_u32(c, size);
    enc_raw(c, data, size);
}

void enc_string(struct enc *c, const char *s)
{
    if (s)
        enc_bytes(c, s, strlen(s));
    else
        enc_u32(c, ABSENT);
}

int enc_blob(struct enc *c, struct image_blob *out, struct err *e)
{
    if (c->failed) {
        enc_free(c);
        return err_set(e, ERR_FAILED, "out of memory");
    }
    out->data = c->data;
    out->size = c->size;
    *c = (struct enc){0};
    return 0;
}

void enc_free(struct enc *c)
{
    free(c->data);
    *c = (struct enc){0};
}

/* A view of the next `size` bytes, or NULL: then nothing more can be read. */
static const uint8_t *take(struct dec *d, size_t size)
{
    const uint8_t *at;

    if (d->failed || size > d->size - d->pos) {
        d->failed = true;
        return NULL;
    }
    at = d->data + d->pos;
    d->pos += size;
    return at;
}

static uint64_t dec_little(struct dec *d, size_t size)
{
    const uint8_t *at = take(d, size);
    uint64_t v = 0;

    for (size_t i = 0; at && i < size; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

uint8_t dec_u8(struct dec *d)
{
    return dec_little(d, 1);
}

uint32_t dec_u32(struct dec *d)
{
    return dec_little(d, 4);
}

uint64_t dec_u64(struct dec *d)
{
    return dec_little(d, 8);
}

void dec_raw(struct dec *d, void *out, size_t size)
{
    const uint8_t *at = take(d, size);

    if (at && size)
        memcpy(out, at, size);
    else if (size)
        memset(out, 0, size);
}

const void *dec_bytes(struct dec *d, size_t *size)
{
    uint32_t length = dec_u32(d);
    const void *at = take(d, length);

    *size = at ? length : 0;
    return at;
}

char *dec_string(struct dec *d)
{
    uint32_t length = dec_u32(d);
    const uint8_t *at;
    char *s;

    if (d->failed || length == ABSENT)
        return NULL;
    at = take(d, length);
    if (!at || (length && memchr(at, '\0', length))) {
        d->failed = true;
        return NULL;
    }
    s = malloc((size_t)length + 1);
    if (!s) {
        d->failed = true;
        return NULL;
    }
    memcpy(s, at, length);
    s[length] = '\0';
    return s;
}

int dec_end(const struct dec *d, const char *what, struct err *e)
{
    if (d->failed)
        return err_set(e, ERR_CORRUPT, "%s: a field is missing or does not fit", what);
    if (d->pos != d->size)
        return err_set(e, ERR_CORRUPT, "%s: %zu bytes too many", what,
                       d->size - d->pos);
    return 0;
}
