/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/codec.h"

#include "base/err.h"
#include "image/image.h"
#include "tap.h"

#include <stdlib.h>

static struct dec reader(const struct image_blob *b)
{
    return (struct dec){.data = b->data, .size = b->size};
}

static void fields_are_little_endian(void)
{
    static const uint8_t want[] = {0x01, 0x05, 0x04, 0x03, 0x02, 0x0d, 0x0c,
                                   0x0b, 0x0a, 0x09, 0x08, 0x07, 0x06};
    struct image_blob b = {0};
    struct enc c = {0};
    struct err e = {0};

    enc_u8(&c, 1);
    enc_u32(&c, 0x02030405);
    enc_u64(&c, 0x060708090a0b0c0d);
    CHECK_INT(enc_blob(&c, &b, &e), 0);
    CHECK_INT(b.size, sizeof(want));
    CHECK(memcmp(b.data, want, sizeof(want)) == 0);
    CHECK(c.data == NULL);
    free(b.data);
}

static void what_is_written_is_read(void)
{
    struct image_blob b = {0};
    struct enc c = {0};
    struct err e = {0};
    struct dec d;
    size_t size;
    char raw[3], *s;

    enc_u64(&c, UINT64_MAX);
    enc_string(&c, "a path");
    enc_string(&c, "");
    enc_string(&c, NULL);
    enc_bytes(&c, "\0x", 2);
    enc_raw(&c, "abc", 3);
    CHECK_INT(enc_blob(&c, &b, &e), 0);
    d = reader(&b);
    CHECK(dec_u64(&d) == UINT64_MAX);
    s = dec_string(&d);
    CHECK_STR(s, "a path");
    free(s);
    s = dec_string(&d);
    CHECK_STR(s, "");
    free(s);
    CHECK(dec_string(&d) == NULL);
    CHECK(memcmp(dec_bytes(&d, &size), "\0x", 2) == 0);
    CHECK_INT(size, 2);
    dec_raw(&d, raw, 3);
    CHECK(memcmp(raw, "abc", 3) == 0);
    CHECK_INT(dec_end(&d, "it", &e), 0);
    free(b.data);
}

static void a_short_buffer_fails_once_and_for_all(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct dec d = {.data = bytes, .size = sizeof(bytes)};
    struct err e = {0};

    CHECK_INT(dec_u32(&d), 0);
    CHECK_INT(dec_u8(&d), 0);
    CHECK_INT(dec_end(&d, "process", &e), -1);
    CHECK(e.kind == ERR_CORRUPT);
    CHECK_HAS(e.text, "process: ");
}

static void bytes_left_over_are_an_error(void)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct dec d = {.data = bytes, .size = sizeof(bytes)};
    struct err e = {0};

    CHECK_INT(dec_u8(&d), 1);
    CHECK_INT(dec_end(&d, "thread", &e), -1);
    CHECK_STR(e.text, "thread: 2 bytes too many");
}

static void a_length_beyond_the_end_is_an_error(void)
{
    static const uint8_t bytes[] = {0xfe, 0xff, 0xff, 0xff, 'x', 'y'};
    struct dec d = {.data = bytes, .size = sizeof(bytes)};
    size_t size = 1;

    CHECK(dec_bytes(&d, &size) == NULL);
    CHECK_INT(size, 0);
    CHECK(d.failed);
    d = (struct dec){.data = bytes, .size = sizeof(bytes)};
    CHECK(dec_string(&d) == NULL);
    CHECK(d.failed);
}

static void a_string_with_a_nul_inside_is_an_error(void)
{
    static const uint8_t bytes[] = {3, 0, 0, 0, 'x', 0, 'y'};
    struct dec d = {.data = bytes, .size = sizeof(bytes)};

    CHECK(dec_string(&d) == NULL);
    CHECK(d.failed);
}

static void large_buffers_grow(void)
{
    struct image_blob b = {0};
    struct enc c = {0};
    struct err e = {0};
    struct dec d;
    bool same = true;

    for (uint32_t i = 0; i < 100000; i++)
        enc_u32(&c, i);
    CHECK_INT(enc_blob(&c, &b, &e), 0);
    CHECK_INT(b.size, 400000);
    d = reader(&b);
    for (uint32_t i = 0; i < 100000; i++)
        same = same && dec_u32(&d) == i;
    CHECK(same);
    free(b.data);
}

int main(void)
{
    RUN(fields_are_little_endian);
    RUN(what_is_written_is_read);
    RUN(a_short_buffer_fails_once_and_for_all);
    RUN(bytes_left_over_are_an_error);
    RUN(a_length_beyond_the_end_is_an_error);
    RUN(a_string_with_a_nul_inside_is_an_error);
    RUN(large_buffers_grow);
    return tap_done();
}
