/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strings and numbers from outside, checked.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* The whole of `text` as a decimal number; no sign, space or trailing letters. */
int str_to_u64(const char *text, uint64_t *value, struct err *e);

/* A time in seconds: "90", "90s", "10m", "2h". At least 1 s, at most a year. */
int str_to_seconds(const char *text, unsigned *seconds, struct err *e);

/* "1.5 GiB", "12.3 ms": for people. `out` is returned. */
const char *str_bytes(uint64_t bytes, char out[32]);
const char *str_duration_us(uint64_t us, char out[32]);

/* 32 hexadecimal digits from getrandom(2) and a NUL. */
enum { STR_NONCE_SIZE = 33 };
int str_nonce(char out[STR_NONCE_SIZE], struct err *e);

/* The time now, "2026-11-22T11:00:00.123Z". */
enum { STR_TIME_SIZE = 32 };
void str_time_now(char out[STR_TIME_SIZE]);

/* Whether `text` is a plain file name: not empty, not "." or "..", no '/'. */
bool str_is_name(const char *text);

/* Whether `text` may be `name` mistyped: at most two letters are missing, too many, or
 * others. Names of less than five letters may have one such letter. */
bool str_is_near(const char *text, const char *name);

/* snprintf that fails with ERR_FAILED instead of cutting off. */
int str_format(char *out, size_t size, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
