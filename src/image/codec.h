/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes of the record format: little-endian fields one after the other, written into a
 * growing buffer and read back with every length checked.
 *
 * Both sides remember their first failure, so that a sequence of calls needs one check
 * at its end.
 */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct image_blob;

struct enc {
    uint8_t *data; /* owned; enc_free, or taken by enc_blob */
    size_t size, room;
    bool failed; /* out of memory */
};

void enc_u8(struct enc *c, uint8_t v);
void enc_u32(struct enc *c, uint32_t v);
void enc_u64(struct enc *c, uint64_t v);
void enc_raw(struct enc *c, const void *data, size_t size);
/* Length (u32) and bytes; NULL strings are told from empty ones. */
void enc_bytes(struct enc *c, const void *data, size_t size);
void enc_string(struct enc *c, const char *s);
/* Gives the buffer away as a blob; -1 when memory ran short. */
int enc_blob(struct enc *c, struct image_blob *out, struct err *e);
void enc_free(struct enc *c);

struct dec {
    const uint8_t *data; /* not owned */
    size_t size, pos;
    bool failed; /* something was missing or too long */
};

uint8_t dec_u8(struct dec *d);
uint32_t dec_u32(struct dec *d);
uint64_t dec_u64(struct dec *d);
void dec_raw(struct dec *d, void *out, size_t size);
/* A view into the buffer; NULL and 0 on failure. */
const void *dec_bytes(struct dec *d, size_t *size);
/* A new string or NULL (absent); fails on an embedded NUL. The caller frees it. */
char *dec_string(struct dec *d);
/* ERR_CORRUPT when something failed or bytes are left over; `what` names the record. */
int dec_end(const struct dec *d, const char *what, struct err *e);

#endif
