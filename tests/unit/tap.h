/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TAP for unit tests: each test is a function whose name is a sentence.
 *
 *     int main(void) { RUN(wrapping_reads_outside_in); return tap_done(); }
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Weak: the files of one program share them, so that a check in a fixture counts. */
__attribute__((weak)) int tap_count, tap_failed;
__attribute__((weak)) bool tap_test_failed;
__attribute__((weak)) const char *tap_skip_reason;

#define CHECK(cond)                                                       \
    do {                                                                  \
        if (!(cond)) {                                                    \
            printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
            tap_test_failed = true;                                       \
        }                                                                 \
    } while (0)

#define CHECK_INT(got, want)                                                          \
    do {                                                                              \
        long long got_ = (got), want_ = (want);                                       \
        if (got_ != want_) {                                                          \
            printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, \
                   want_);                                                            \
            tap_test_failed = true;                                                   \
        }                                                                             \
    } while (0)

#define CHECK_STR(got, want)                                                    \
    do {                                                                        \
        const char *got_ = (got), *want_ = (want);                              \
        if (!got_ || strcmp(got_, want_) != 0) {                                \
            printf("# %s:%d: %s is '%s', not '%s'\n", __FILE__, __LINE__, #got, \
                   got_ ? got_ : "NULL", want_);                                \
            tap_test_failed = true;                                             \
        }                                                                       \
    } while (0)

#define CHECK_HAS(got, part)                                                        \
    do {                                                                            \
        const char *got_ = (got), *part_ = (part);                                  \
        if (!got_ || !strstr(got_, part_)) {                                        \
            printf("# %s:%d: %s is '%s', without '%s'\n", __FILE__, __LINE__, #got, \
                   got_ ? got_ : "NULL", part_);                                    \
            tap_test_failed = true;                                                 \
        }                                                                           \
    } while (0)

/* Inside a test: the rest cannot run here, and why. */
#define SKIP(reason)                \
    do {                            \
        tap_skip_reason = (reason); \
        return;                     \
    } while (0)

#define RUN(test) tap_run(test, #test)

static inline void tap_run(void (*test)(void), const char *name)
{
    tap_test_failed = false;
    tap_skip_reason = NULL;
    test();
    tap_count++;
    tap_failed += tap_test_failed;
    printf("%s %d - ", tap_test_failed ? "not ok" : "ok", tap_count);
    for (const char *c = name; *c; c++)
        putchar(*c == '_' ? ' ' : *c);
    if (tap_skip_reason && !tap_test_failed)
        printf(" # SKIP %s", tap_skip_reason);
    putchar('\n');
    fflush(stdout);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

#endif
