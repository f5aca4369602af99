/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Damages a good image in many ways, the same each time: mutate_image FILE [COUNT].
 */
#include "mend.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252;

static uint64_t random_below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return n ? state % n : 0;
}

struct victim {
    uint8_t *data; /* room for twice the image */
    size_t size, room;
};

static void flip_bit(struct victim *v)
{
    v->data[random_below(v->size)] ^= 1 << random_below(8);
}

/* Numbers at the edges of what fits. */
static void set_number(struct victim *v)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       0x7f,
                                       0xff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0xfffffffe,
                                       0x1000,
                                       1 << 20,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffffffffffff,
                                       0xfffffffffffff000,
                                       0x800000000000};
    uint64_t number = numbers[random_below(sizeof(numbers) / sizeof(numbers[0]))];
    size_t size = (size_t)1 << random_below(4);

    if (v->size < size)
        return;
    memcpy(v->data + random_below(v->size - size + 1), &number, size);
}

/* Adds or takes a little: sizes and counts that nearly fit. */
static void nudge(struct victim *v)
{
    v->data[random_below(v->size)] +=
        random_below(2) ? 1 + random_below(8) : -1 - random_below(8);
}

static void copy_span(struct victim *v)
{
    size_t size = 1 + random_below(v->size < 64 ? v->size : 64);

    memmove(v->data + random_below(v->size - size + 1),
            v->data + random_below(v->size - size + 1), size);
}

static void cut_span(struct victim *v)
{
    size_t size = 1 + random_below(v->size < 64 ? v->size : 64);
    size_t at = random_below(v->size - size + 1);

    memmove(v->data + at, v->data + at + size, v->size - at - size);
    v->size -= size;
}

static void truncate_end(struct victim *v)
{
    v->size = random_below(v->size) + 1;
}

/* ---- whole records ---- */

/* The start and size of some record. */
static size_t some_record(const struct victim *v, size_t *size)
{
    size_t at = 24, chosen = 0, seen = 0;

    *size = 0;
    while (v->size - at >= 20) {
        uint64_t length;

        memcpy(&length, v->data + at + 4, 8);
        if (length > v->size - at - 20)
            break;
        if (random_below(++seen) == 0) {
            chosen = at;
            *size = length + 20;
        }
        at += length + 20;
    }
    return chosen;
}

static void drop_record(struct victim *v)
{
    size_t size, at;

    if (v->size < 44)
        return;
    at = some_record(v, &size);
    memmove(v->data + at, v->data + at + size, v->size - at - size);
    v->size -= size;
}

static void repeat_record(struct victim *v)
{
    size_t size, at;

    if (v->size < 44)
        return;
    at = some_record(v, &size);
    if (v->size + size > v->room)
        return;
    memmove(v->data + at + size, v->data + at, v->size - at);
    v->size += size;
}

/* Cuts or lengthens a record and says so in its length. */
static void resize_record(struct victim *v)
{
    size_t size, at, less;
    uint64_t length;

    if (v->size < 44)
        return;
    at = some_record(v, &size);
    if (size <= 20)
        return;
    less = 1 + random_below(size - 20);
    length = size - 20 - less;
    memcpy(v->data + at + 4, &length, 8);
    memmove(v->data + at + size - 8 - less, v->data + at + size - 8,
            v->size - at - size + 8);
    v->size -= less;
}

static void change_type(struct victim *v)
{
    size_t size, at;

    if (v->size < 44)
        return;
    at = some_record(v, &size);
    if (size)
        v->data[at] = random_below(14);
}

typedef void mutation(struct victim *v);

static mutation *const mutations[] = {
    flip_bit,    flip_bit,      set_number,    set_number, set_number,
    nudge,       nudge,         copy_span,     cut_span,   truncate_end,
    drop_record, repeat_record, resize_record, change_type};

static void mutate(struct victim *v)
{
    uint64_t n = 1 + random_below(3);

    while (n-- > 0 && v->size > 0)
        mutations[random_below(sizeof(mutations) / sizeof(mutations[0]))](v);
}

int main(int argc, char **argv)
{
    auto_free char *good = NULL;
    auto_free uint8_t *room = NULL;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
    unsigned long images = 0;
    struct err e = {0};
    size_t size = 0;

    if (argc < 2 || io_read_file(AT_FDCWD, argv[1], 1 << 24, &good, &size, &e) < 0) {
        printf("Bail out! %s\n", argc < 2 ? "which file?" : e.text);
        return 1;
    }
    room = malloc(2 * size);
    for (unsigned long i = 0; room && i < count; i++) {
        struct victim v = {.data = room, .size = size, .room = 2 * size};
        uint8_t *exact;

        memcpy(v.data, good, size);
        mutate(&v);
        if (i % 8)
            mend_image(v.data, v.size);
        /* A sanitizer sees a step behind the end of a buffer of just this size. */
        exact = malloc(v.size + 1);
        memcpy(exact, v.data, v.size);
        images += mend_try(exact, v.size);
        free(exact);
    }
    printf("# %lu of %lu were still images\n", images, count);
    /* Neither is a test if all or none come through. */
    printf("%sok 1 - broken images are errors and nothing else\n1..1\n",
           images > count / 50 && images < count ? "" : "not ");
    return images > count / 50 && images < count ? 0 : 1;
}
