/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lines of the text forms: a key, a space, a value; the value may be empty. They
 * come in a fixed order, all of them, and nothing else (doc/format/cpu.md).
 */
#ifndef CPU_TEXT_H
#define CPU_TEXT_H

#include "cpu/cpu.h"

/* ---- writing ---- */

struct text_out {
    char *data;
    size_t size, used;
    bool cut; /* something did not fit */
};

void text_put(struct text_out *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void text_put_flags(struct text_out *out, const char *key, const struct cpu_flags *set);
void text_put_cpu(struct text_out *out, const struct cpu *c);
/* ERR_FAILED when something did not fit. */
int text_finish(const struct text_out *out, const char *what, struct err *e);

/* ---- reading ---- */

enum { TEXT_LINE_SIZE = 6400 }; /* a full set of flags has 6144 */

struct text_in {
    const char *rest;
    unsigned number;           /* of the line */
    char line[TEXT_LINE_SIZE]; /* what text_value returns is in here */
};

/* The value of the next line, which must have this key. NULL: ERR_CORRUPT. */
const char *text_value(struct text_in *in, const char *key, struct err *e);
int text_number(struct text_in *in, const char *key, uint32_t *value, struct err *e);
int text_flags(struct text_in *in, const char *key, struct cpu_flags *set,
               struct err *e);
int text_cpu(struct text_in *in, struct cpu *c, struct err *e);
/* The first line. ERR_WRONG_HOST: a newer qckpt wrote it. */
int text_format(struct text_in *in, const char *key, uint32_t format, struct err *e);
int text_end(const struct text_in *in, struct err *e);

#endif
